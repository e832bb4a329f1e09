//! What an error and its causes say of a fault. Pure.

use std::error::Error;
use std::io;

use crate::FaultKind;

/// How many causes are looked at: an error may name itself as its cause.
const DEEPEST: usize = 16;
/// In bytes.
const LONGEST: usize = 2_048;

/// The kind that the first error of the system among the causes speaks for.
pub(crate) fn kind_of(error: &(dyn Error + 'static)) -> Option<FaultKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).and_then(of_system)
}

/// Whether an error of the system is among the causes, of whatever kind.
pub(crate) fn has_system_error(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<io::Error>())
}

/// An error and its causes in one line of a length that answers and logs can bear.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    let mut text = texts.join(": ");
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(DEEPEST)
}

fn of_system(error: &io::Error) -> Option<FaultKind> {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
        HostUnreachable, NetworkDown, NetworkUnreachable, NotConnected, TimedOut, UnexpectedEof,
    };
    match error.kind() {
        AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkDown
        | NetworkUnreachable => Some(FaultKind::Unreachable),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => {
            Some(FaultKind::Disconnected)
        }
        TimedOut => Some(FaultKind::TimedOut),
        // An error of a library may stand in for one of the system.
        _ => error.get_ref().and_then(|inner| kind_of(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the request failed")]
    struct Outer(#[source] io::Error);

    #[test]
    fn connecting_and_answering_fail_with_kinds_of_their_own() {
        let cases = [
            (io::ErrorKind::ConnectionRefused, Some(FaultKind::Unreachable)),
            (io::ErrorKind::HostUnreachable, Some(FaultKind::Unreachable)),
            (io::ErrorKind::ConnectionReset, Some(FaultKind::Disconnected)),
            (io::ErrorKind::UnexpectedEof, Some(FaultKind::Disconnected)),
            (io::ErrorKind::TimedOut, Some(FaultKind::TimedOut)),
            (io::ErrorKind::InvalidData, None),
        ];
        for (system, expected) in cases {
            assert_eq!(kind_of(&Outer(system.into())), expected, "{system:?}");
            let wrapped = io::Error::other(Outer(system.into()));
            assert_eq!(kind_of(&wrapped), expected, "{system:?}, wrapped");
        }
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Outer(io::Error::other("no route"));
        assert_eq!(chain(&error), "the request failed: no route");
    }

    /// Long, and its own cause.
    #[derive(Debug)]
    struct Endless;

    impl std::fmt::Display for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&"ä".repeat(1_000))
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn an_error_without_end_is_told_in_part() {
        let text = chain(&Endless);
        assert!(text.len() <= LONGEST + '…'.len_utf8() && text.ends_with('…'), "{}", text.len());
        assert_eq!(kind_of(&Endless), None);
    }
}
