use std::io;
use std::path::{Path, PathBuf};

use bluegreen_core::StoreError;

/// File work that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Says whether waiting may help: a full disk may empty, a missing permission stays missing.
pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    let lasting = matches!(
        source.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::Unsupported
    );
    if lasting {
        let reason = format!("cannot {action} {}", path.display());
        StoreError::Misconfigured { reason, source: source.into() }
    } else {
        let source = FileError { action, path: path.to_owned(), source };
        StoreError::Unavailable { source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn what_waiting_mends_may_be_tried_again_and_both_name_the_path() {
        let path = Path::new("/state/orders");
        let full = failed("write", path, io::ErrorKind::StorageFull.into());
        assert!(full.is_retryable());
        assert_eq!(full.source().unwrap().to_string(), "cannot write /state/orders");
        let denied = failed("write", path, io::ErrorKind::PermissionDenied.into());
        assert!(!denied.is_retryable());
        assert!(denied.to_string().ends_with("cannot write /state/orders"));
    }
}
