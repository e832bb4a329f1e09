mod failure;
pub(crate) mod folder;
pub(crate) mod layout;
pub(crate) mod record;
mod step;

#[cfg(test)]
mod crash;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bluegreen_core::{
    Change, Clock, Decision, Deployment, Member, Outcome, ServiceKey, Store, StoreError,
};

use failure::failed;
use folder::Folder;

/// How long the record of a dead process is kept, so that people can still see who died.
pub(crate) const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(3600);

/// The store of all processes that share a file system: one machine, or one mounted volume.
///
/// A record is replaced whole: written beside, flushed, renamed, and the folder flushed. Writers
/// of one service, in whatever process, take turns by a lock on a file of its folder; the system
/// releases it when its holder dies, so a kill at any point leaves the old record or the new one
/// and nothing to clear up. A writer that stands still with the lock in hand is waited for by
/// others for two seconds at a time: they answer that the store is unavailable, and may try again.
/// Readers need no lock. On a network file system all this is as good as
/// its locks and its renames are.
///
/// A file that is torn, foreign, of another service, or written in a format not known here is
/// refused with its path and left as it is.
///
/// ```
/// # use bluegreen_core::{Color, Deployment, Release, ServiceKey, Store, update};
/// # use bluegreen_state::FileStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path())?;
/// let orders = ServiceKey::new("orders")?;
/// let release = Release::new("1")?;
/// update(&store, &orders, |_| Ok(Deployment::first(orders.clone(), Color::Blue, release.clone())))
///     .await?;
/// assert!(store.load(&orders).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    root: Arc<Path>,
    clock: Clock,
}

impl FileStore {
    /// The store in the folder `dir`, which is created where it is missing.
    ///
    /// # Errors
    /// When the folder is missing and cannot be created.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(|source| failed("create", &dir, source))?;
        Ok(Self { root: dir.into(), clock: Clock::system() })
    }

    /// The same with another clock: it tells which members are long gone.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn service(&self, key: &ServiceKey) -> Folder {
        Folder::new(layout::service(&self.root, key))
    }

    fn members_of(&self, key: &ServiceKey) -> Folder {
        Folder::new(layout::members(&self.root, key))
    }

    /// Runs file work where it may block. Dropped, the work still runs to its end.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or_else(|source| Err(StoreError::Unavailable { source: source.into() }))
    }

    fn apply(&self, change: &Change) -> Result<Outcome, StoreError> {
        let next = change.next();
        let folder = self.service(next.service());
        let writer = folder.lock()?;
        let found = record::deployment(&folder.file(layout::DEPLOYMENT), next.service())?;
        match change.decide(found.as_ref())? {
            Decision::Write => {
                writer.replace(layout::DEPLOYMENT, &next.to_json())?;
                if found.is_none() {
                    folder.flush_up_to(&self.root)?;
                }
                Ok(Outcome::Won)
            }
            Decision::Answer(outcome) => {
                // An earlier try may have died between the rename and the flush.
                if outcome == Outcome::Won {
                    folder.flush_up_to(&self.root)?;
                }
                Ok(outcome)
            }
        }
    }

    fn put_member(&self, key: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        let folder = self.members_of(key);
        let writer = folder.lock()?;
        // A process that starts clears up after those that ended without a word.
        if member.beat <= 1 {
            remove_long_gone(&folder, self.clock.now());
        }
        writer.replace(&layout::member(&member.instance), &record::member_text(member))
    }
}

/// Removes the records of processes that expired long ago. What cannot be read or removed stays:
/// it is somebody else's to judge. The caller holds the folder's lock.
fn remove_long_gone(folder: &Folder, now: SystemTime) {
    let Ok(paths) = folder.records() else { return };
    for path in paths {
        if let Ok(Some(member)) = record::member(&path)
            && now >= member.expires() + KEPT_AFTER_EXPIRY
            && fs::remove_file(&path).is_ok()
        {
            tracing::debug!(instance = member.instance, "removed the record of a dead process");
        }
    }
}

impl Store for FileStore {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        let key = service.clone();
        self.blocking(move |store| {
            record::deployment(&store.service(&key).file(layout::DEPLOYMENT), &key)
        })
        .await
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        let change = change.clone();
        self.blocking(move |store| store.apply(&change)).await
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        let (key, member) = (service.clone(), member.clone());
        self.blocking(move |store| store.put_member(&key, &member)).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        let (key, file) = (service.clone(), layout::member(instance));
        self.blocking(move |store| store.members_of(&key).remove(&file)).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        let key = service.clone();
        self.blocking(move |store| {
            let paths = store.members_of(&key).records()?;
            // A member that withdraws between the listing and the reading is simply gone.
            paths.iter().filter_map(|path| record::member(path).transpose()).collect()
        })
        .await
    }
}
