use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bluegreen_core::StoreError;

use super::{failure::failed, step};

/// Held by the one process that writes in the folder. Never removed: its lock is what counts.
const LOCK: &str = ".lock";

/// How long to wait for the right to write, and how often to try. A write takes milliseconds. Behind
/// a writer that was stopped, or hangs on a sick disk, each waiting call would hold a thread for
/// good, until the process has none left and cannot even end.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const TRY_EVERY: Duration = Duration::from_millis(2);

/// The record being written. Only the holder of the lock writes, so one name will do, and what a
/// killed process left there is overwritten by the next writer.
const UNFINISHED: &str = ".unfinished";

/// A folder of records that are replaced whole.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// The right to write in a folder, until dropped. The system takes it back from a dead process.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    folder: &'a Folder,
    _lock: File,
}

impl Folder {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits a moment for the right to write; creates the folder where it is missing.
    pub(crate) fn lock(&self) -> Result<Writer<'_>, StoreError> {
        fs::create_dir_all(&self.path).map_err(|source| failed("create", &self.path, source))?;
        let path = self.file(LOCK);
        let locked =
            File::options().create(true).truncate(false).write(true).open(&path).and_then(|file| {
                wait_for_lock(&file)?;
                Ok(file)
            });
        let lock = locked.map_err(|source| failed("lock", &path, source))?;
        step::passed();
        Ok(Writer { folder: self, _lock: lock })
    }

    /// The paths of all records, in the order of their names.
    pub(crate) fn records(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut paths = match self.list() {
            Ok(paths) => paths,
            Err(source) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(failed("list", &self.path, source)),
        };
        // Two dot files of ours have no such ending, and what people leave there does not matter.
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        Ok(paths)
    }

    fn list(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Removes a record; none there is as good.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path, source))
            }
            _ => Ok(()),
        }
    }

    /// Flushes this folder and those above it, so that the names in them outlive a power cut.
    pub(crate) fn flush_up_to(&self, root: &Path) -> Result<(), StoreError> {
        for folder in self.path.ancestors().take_while(|folder| folder.starts_with(root)) {
            flush(folder).map_err(|source| failed("flush", folder, source))?;
        }
        Ok(())
    }
}

impl Writer<'_> {
    /// Replaces a record whole. Killed at any point, the old record is there or the new one.
    pub(crate) fn replace(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let path = self.folder.file(name);
        self.try_replace(&path, text).map_err(|source| failed("write", &path, source))
    }

    fn try_replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let unfinished = self.folder.file(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        step::passed();
        file.write_all(text.as_bytes())?;
        step::passed();
        file.sync_all()?;
        step::passed();
        fs::rename(&unfinished, path)?;
        step::passed();
        flush(&self.folder.path)?;
        step::passed();
        Ok(())
    }
}

fn wait_for_lock(file: &File) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if waited < LONGEST_WAIT => {
                thread::park_timeout(TRY_EVERY);
                waited += TRY_EVERY;
            }
            Err(TryLockError::WouldBlock) => {
                let reason = format!("another writer has held it for {LONGEST_WAIT:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Flushes the names in a folder. Elsewhere than on Unix a folder cannot be opened as a file, and
/// the file system keeps its names in order by itself.
fn flush(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
