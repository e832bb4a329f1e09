//! What a consumer says on its standard output, one thing a line. A line is one write, so that it
//! is whole or missing when the process is killed.

use std::fmt;
use std::io::{self, Write as _};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is about to receive.
    Begun,
    /// Its handler is through with a message on this receive: nothing but its deletion is missing.
    Handled { message_id: String, receive: u32 },
    /// It has stopped in order.
    Stopped(Report),
}

/// What a consumer that stopped in order knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) released: u64,
    pub(super) undeleted: u64,
    pub(super) lost_leases: u64,
}

impl Word {
    pub(super) fn say(&self) -> io::Result<()> {
        io::stdout().lock().write_all(format!("{self}\n").as_bytes())?;
        io::stdout().flush()
    }

    pub(super) fn heard(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let word = match words.next()? {
            "begun" => Self::Begun,
            "handled" => {
                let message_id = words.next()?.to_owned();
                Self::Handled { message_id, receive: words.next()?.parse().ok()? }
            }
            "stopped" => {
                let mut number = || words.next()?.parse().ok();
                let (released, undeleted, lost_leases) = (number()?, number()?, number()?);
                Self::Stopped(Report { released, undeleted, lost_leases })
            }
            _ => return None,
        };
        words.next().is_none().then_some(word)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun => f.write_str("begun"),
            Self::Handled { message_id, receive } => write!(f, "handled {message_id} {receive}"),
            Self::Stopped(Report { released, undeleted, lost_leases }) => {
                write!(f, "stopped {released} {undeleted} {lost_leases}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let report = Report { released: 1, undeleted: 2, lost_leases: 3 };
        let handled = Word::Handled { message_id: "m".to_owned(), receive: 4 };
        for word in [Word::Begun, handled, Word::Stopped(report)] {
            assert_eq!(Word::heard(&word.to_string()), Some(word));
        }
        for noise in ["", "handled", "handled m", "handled m 1 2", "stopped 1 2", "hello"] {
            assert_eq!(Word::heard(noise), None, "{noise}");
        }
    }
}
