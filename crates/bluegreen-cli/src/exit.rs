use std::io::{self, Write as _};
use std::process::ExitCode;

use bluegreen::{IdentityError, StoreError};

/// The deployment does not allow it, or not in time.
const REFUSED: u8 = 1;
/// The command line is wrong; clap says the same number.
const USAGE: u8 = 2;
/// The store cannot be reached, is not set up, or holds what cannot be read.
const STORE: u8 = 3;

/// The command line does not make sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Usage {
    #[error("{0} is missing; see --help")]
    Missing(&'static str),
    #[error("{0}")]
    Wrong(&'static str),
    #[error(transparent)]
    Name(#[from] IdentityError),
}

/// Says on standard error what went wrong, and answers the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever read our output has seen enough.
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    // Nothing is left to say it to when standard error fails as well.
    drop(writeln!(io::stderr(), "bluegreen: {error:#}"));
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<StoreError>()) {
        STORE
    } else if error.chain().any(|cause| cause.is::<Usage>()) {
        USAGE
    } else {
        REFUSED
    }
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen::UpdateError;

    #[test]
    fn the_code_tells_who_has_to_act() {
        let down = || StoreError::Unavailable { source: "no route".into() };
        assert_eq!(code(&down().into()), STORE);
        assert_eq!(code(&UpdateError::from(down()).into()), STORE);
        assert_eq!(code(&UpdateError::NoRecord.into()), REFUSED);
        assert_eq!(code(&Usage::Missing("--store").into()), USAGE);
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(anyhow::Error::from(closed).chain().any(is_broken_pipe));
    }
}
