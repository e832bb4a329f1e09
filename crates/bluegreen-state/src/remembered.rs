use std::path::PathBuf;

use bluegreen_core::{Deployment, Remember, ServiceKey, StoreError};

use crate::files::folder::Folder;
use crate::files::{layout, record};

/// A file on this machine that keeps what its processes last followed, so that one that starts
/// while the store is down knows more than nothing.
///
/// All processes of a service on the machine may share it: it never goes back to an earlier
/// revision. It is a memory, not a second truth: a file that cannot be read is reported, counts as
/// none and is replaced. When a store is set up anew and its revisions begin again, remove it.
#[derive(Clone, Debug)]
pub struct RememberedFile {
    folder: PathBuf,
    key: ServiceKey,
}

impl RememberedFile {
    /// Remembers the deployment of `key` below the folder `dir`, which should outlive the process
    /// but not the machine: `/var/lib/bluegreen`, a container's mounted volume. Nothing is read or
    /// written yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, key: ServiceKey) -> Self {
        Self { folder: layout::service(&dir.into(), &key), key }
    }

    fn read(&self) -> Result<Option<Deployment>, StoreError> {
        record::deployment(&self.folder.join(REMEMBERED), &self.key)
    }

    fn write(&self, deployment: &Deployment) -> Result<(), StoreError> {
        let folder = Folder::new(self.folder.clone());
        let writer = folder.lock()?;
        match self.read() {
            Ok(Some(kept)) if kept.revision() > deployment.revision() => Ok(()),
            Ok(Some(kept)) if kept == *deployment => Ok(()),
            _ => writer.replace(REMEMBERED, &deployment.to_json()),
        }
    }
}

/// Another name than the store's record, should both be given the same folder.
const REMEMBERED: &str = "remembered.json";

impl Remember for RememberedFile {
    async fn recall(&self) -> Option<Deployment> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || this.read()).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error);
                tracing::warn!(%error, source, "what was remembered cannot be read");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "what was remembered was not read");
                None
            }
        }
    }

    async fn keep(&self, deployment: &Deployment) {
        let (this, deployment) = (self.clone(), deployment.clone());
        match tokio::task::spawn_blocking(move || this.write(&deployment)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error);
                tracing::warn!(%error, source, "the deployment cannot be remembered");
            }
            Err(error) => tracing::warn!(%error, "the deployment was not remembered"),
        }
    }
}
