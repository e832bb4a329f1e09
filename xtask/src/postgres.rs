//! Sees to it that a PostgreSQL server is on this machine, as tests and demo run a real one.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::command::Run;

/// How a package manager installs the server.
struct Installer {
    program: &'static str,
    steps: &'static [&'static [&'static str]],
}

const INSTALLERS: &[Installer] = &[
    Installer {
        program: "apt-get",
        steps: &[&["apt-get", "update"], &["apt-get", "install", "-y", "postgresql"]],
    },
    Installer { program: "dnf", steps: &[&["dnf", "install", "-y", "postgresql-server"]] },
    Installer { program: "apk", steps: &[&["apk", "add", "postgresql"]] },
    Installer { program: "brew", steps: &[&["brew", "install", "postgresql"]] },
];

/// Finds a server, or installs one where that is allowed, or says the command that would.
pub(crate) fn ensure() -> Result<()> {
    if std::env::var_os("DATABASE_URL").is_some() || is_installed() {
        return Ok(());
    }
    let Some(installer) = INSTALLERS.iter().find(|i| on_path(i.program)) else {
        bail!(
            "no PostgreSQL server found: install one, or set PG_BIN to the folder of `initdb`, \
             or DATABASE_URL to a running one"
        );
    };
    let commands = installer.steps.iter().map(|step| step.join(" ")).collect::<Vec<_>>();
    let commands = commands.join(" && ");
    if !may_install(installer, &commands) {
        bail!("no PostgreSQL server found: `{commands}` installs it (as root)");
    }
    for step in installer.steps {
        let [program, arguments @ ..] = step else {
            continue;
        };
        Run::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").run()?;
    }
    if is_installed() { Ok(()) } else { bail!("`{commands}` ran, and there is still no `initdb`") }
}

/// At a terminal a person decides; elsewhere root on a machine made for the purpose, such as CI's,
/// may, and nobody else.
fn may_install(installer: &Installer, commands: &str) -> bool {
    if std::io::stdin().is_terminal() {
        eprint!("No PostgreSQL server found. Run `{commands}` now? [y/N] ");
        drop(std::io::stderr().flush());
        let mut answer = String::new();
        return std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "y";
    }
    installer.program == "brew"
        || Run::new("id").arg("-u").output().is_ok_and(|id| id.trim() == "0")
}

fn is_installed() -> bool {
    let given = std::env::var_os("PG_BIN").map(PathBuf::from);
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    given
        .into_iter()
        .chain(debian.map(|version| version.path().join("bin")))
        .any(|folder| folder.join("initdb").exists())
        || on_path("initdb")
        || on_path("pg_config")
            && Run::new("pg_config")
                .arg("--bindir")
                .output()
                .is_ok_and(|folder| Path::new(folder.trim()).join("initdb").exists())
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
}
