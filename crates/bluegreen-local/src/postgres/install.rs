use super::account;
use super::binaries::on_path;

/// The package managers known, each with its command.
const MANAGERS: [(&str, &str); 6] = [
    ("apt-get", "apt-get update && apt-get install -y postgresql"),
    ("dnf", "dnf install -y postgresql-server"),
    ("apk", "apk add postgresql"),
    ("pacman", "pacman -S --noconfirm postgresql"),
    ("zypper", "zypper --non-interactive install postgresql-server"),
    ("brew", "brew install postgresql"),
];

/// The command, for a shell, that installs a PostgreSQL server on this machine; `None` where no
/// package manager is known. It starts with `sudo` where the present user needs it.
#[must_use]
pub fn install_command() -> Option<String> {
    let present = |program: &str| on_path(program).is_some();
    command(present, account::is_root())
}

fn command(present: impl Fn(&str) -> bool, root: bool) -> Option<String> {
    let (manager, command) = MANAGERS.into_iter().find(|(manager, _)| present(manager))?;
    if root || manager == "brew" {
        Some(command.to_owned())
    } else {
        Some(format!("sudo {}", command.replace("&& ", "&& sudo ")))
    }
}

/// The same as advice in a sentence.
pub(super) fn advice() -> String {
    match install_command() {
        Some(command) => format!("install one with `{command}`"),
        None => "install one with the system's package manager".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_fits_the_machine_and_the_user() {
        let apt = |program: &str| program == "apt-get";
        let as_root = command(apt, true).unwrap();
        assert_eq!(as_root, "apt-get update && apt-get install -y postgresql");
        let as_user = command(apt, false).unwrap();
        assert_eq!(as_user, "sudo apt-get update && sudo apt-get install -y postgresql");
        let brew = command(|program| program == "brew", false).unwrap();
        assert_eq!(brew, "brew install postgresql");
        assert_eq!(command(|_| false, true), None);
    }
}
