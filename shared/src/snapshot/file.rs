//! One replaced JSON file: reading with a last good state, writing with a backup.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{Document, Loaded, parse, render};
use crate::clock::Mono;
use crate::error::{Context as _, Error, Result};
use crate::os::place::{Sync, keep_refused, place, stamp_of};
use crate::os::{Disk, Stat, Storage};

/// So long a file that does not parse is left alone: an editor may be writing it.
pub const GRACE: Duration = Duration::from_secs(2);
/// Between two looks at a file that does not parse.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A single writer that replaces often refreshes the backup at most this often.
const BACKUP_EVERY: Duration = Duration::from_secs(1);

/// One replaced JSON file.
pub struct Snapshot<D: Document, S: Storage = Disk> {
    storage: S,
    path: PathBuf,
    lock: Option<PathBuf>,
    tmp: PathBuf,
    backup: PathBuf,
    rejected: PathBuf,
    sync: Sync,
    /// Last good state this object has read or written.
    good: Option<D>,
    /// The file as it was judged last, and the reason if it was refused.
    judged: Option<(Stat, Option<Refusal>)>,
    backed_up: Option<Mono>,
}

/// Why a file was not taken.
#[derive(Debug, Clone)]
struct Refusal {
    reason: String,
    /// It is whole and readable, only older than what we know: no editor is in the middle of writing it.
    stale: bool,
}

impl<D: Document, S: Storage> Snapshot<D, S> {
    /// A snapshot at `path`, guarded by `lock`, temp files in `tmp`, last good copy at `backup`, refused bytes to `rejected`.
    pub fn new(
        storage: S,
        path: PathBuf,
        lock: Option<PathBuf>,
        tmp: PathBuf,
        backup: PathBuf,
        rejected: PathBuf,
    ) -> Self {
        let (sync, good, judged, backed_up) = (Sync::Data, None, None, None);
        Self { storage, path, lock, tmp, backup, rejected, sync, good, judged, backed_up }
    }

    /// The same file with another promise about power loss.
    #[must_use]
    pub fn with_sync(mut self, sync: Sync) -> Self {
        self.sync = sync;
        self
    }

    /// Reads without a lock. An unchanged file is not parsed again.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::NewerSchema`]; a bad file is not an error but [`Loaded::Fallback`].
    pub fn load(&mut self) -> Result<Loaded<D>> {
        let stat = match self.storage.stat(&self.path) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.judged = None;
                return Ok(Loaded::Missing);
            }
            Err(error) => return Err(Error::io("look at", &self.path, error)),
        };
        if !self.judged.as_ref().is_some_and(|(judged, _)| same_file(judged, &stat)) {
            // The stat is older than the bytes: if the file changes in between, the next look judges it again.
            let refusal = self.judge()?;
            self.judged = Some((stat, refusal));
        }
        match (&self.judged, &self.good) {
            (Some((_, Some(refusal))), _) => {
                let reason = refusal.reason.clone();
                Ok(Loaded::Fallback(self.last_good(), reason))
            }
            (_, Some(good)) => Ok(Loaded::Good(good.clone())),
            _ => Ok(Loaded::Missing),
        }
    }

    /// Reads, changes, replaces; the change runs under the lock on the newest state. `rev` is advanced here.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`], [`crate::Error::DiskFull`], [`crate::Error::Io`], [`crate::Error::NewerSchema`], and whatever `change` returns;
    /// nothing is changed then. [`crate::Error::Rejected`]: the file does not parse and may still be in an editor's hands.
    pub fn update<T>(&mut self, wait: Duration, change: impl FnOnce(&mut D) -> Result<T>) -> Result<T> {
        let deadline = self.storage.now().mono.after(wait);
        let (_guard, mut document) = loop {
            let left = deadline.since(self.storage.now().mono);
            let guard = match &self.lock {
                Some(lock) => Some(self.storage.lock(lock, "update", left)?),
                None => None,
            };
            match self.load_for_writing() {
                Ok(document) => break (guard, document),
                Err(error @ Error::Rejected { .. }) => {
                    drop(guard);
                    if self.storage.now().mono >= deadline {
                        return Err(error);
                    }
                    self.storage.pause(LOOK_AGAIN);
                }
                Err(error) => return Err(error),
            }
        };
        let rev = document.rev().max(self.good.as_ref().map_or(0, D::rev));
        let result = change(&mut document)?;
        document.set_rev(rev + 1);
        let bytes = render(&self.path, &document)?;
        self.write(document, &bytes, true)?;
        Ok(result)
    }

    /// Replaces the file by `document` without reading it: for files with a single writer.
    ///
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn replace(&mut self, document: &D) -> Result<()> {
        let bytes = render(&self.path, document)?;
        let now = self.storage.now().mono;
        let due = self.backed_up.is_none_or(|at| now.since(at) >= BACKUP_EVERY);
        // Not our own last write: it may be newer than we know, or somebody's only copy.
        self.load()?;
        if let Some((_, Some(refusal))) = &self.judged {
            let reason = refusal.reason.clone();
            self.keep_current(&reason)?;
        }
        self.write(document.clone(), &bytes, due)
    }

    /// Proof of life without a write: sets the file's times to now.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn touch(&mut self) -> Result<()> {
        self.storage.touch(&self.path).context("touch", &self.path)?;
        let stat = self.storage.stat(&self.path).context("look at", &self.path)?;
        if let Some((judged, _)) = &mut self.judged
            && (judged.dev, judged.ino, judged.size) == (stat.dev, stat.ino, stat.size)
        {
            *judged = stat;
        }
        Ok(())
    }

    /// Judges the file as it is now; a good one becomes the last good state.
    fn judge(&mut self) -> Result<Option<Refusal>> {
        let bytes = match self.storage.read(&self.path, D::LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let reason = format!("{}:1:0: it is larger than {} bytes", self.path.display(), D::LIMIT);
                return Ok(Some(Refusal { reason, stale: false }));
            }
            Err(error) => return Err(Error::io("read", &self.path, error)),
        };
        match parse::<D>(&self.path, &bytes) {
            Ok(found) => Ok(self.accept(found)),
            Err(error @ Error::NewerSchema { .. }) => Err(error),
            Err(error) => Ok(Some(Refusal { reason: error.to_string(), stale: false })),
        }
    }

    /// Takes a document unless it is older than what is known.
    fn accept(&mut self, found: D) -> Option<Refusal> {
        let known = self.good.as_ref().map_or(0, D::rev);
        if found.rev() > 0 && found.rev() < known {
            let rev = found.rev();
            let path = self.path.display();
            let reason = format!(
                "{path}:1:0: it was edited from revision {rev}, but revision {known} was written since"
            );
            return Some(Refusal { reason, stale: true });
        }
        self.good = Some(found);
        None
    }

    /// Memory, else the backup, else empty.
    fn last_good(&self) -> D {
        if let Some(good) = &self.good {
            return good.clone();
        }
        let backup = self.storage.read(&self.backup, D::LIMIT).ok();
        backup.and_then(|bytes| parse(&self.backup, &bytes).ok()).unwrap_or_else(D::empty)
    }

    /// The state to change. A refused file is kept in `rejected/` first, once it can not be half written any more.
    fn load_for_writing(&mut self) -> Result<D> {
        let loaded = self.load()?;
        let Some((stat, Some(refusal))) = self.judged.clone() else { return Ok(loaded.into_state()) };
        let written = i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default();
        let age = crate::clock::Timestamp::from_unix(written).age(self.storage.now().wall);
        // A second of rounding is in the age.
        if !refusal.stale && age < GRACE + Duration::from_secs(1) {
            // Judged once more, because an error carries the place as numbers.
            let path = self.path.clone();
            let reason = refusal.reason;
            return Err(self.error_now().unwrap_or(Error::Rejected { path, line: 0, column: 0, reason }));
        }
        self.keep_current(&refusal.reason)?;
        Ok(self.last_good())
    }

    /// The refusal as an error with its place.
    fn error_now(&self) -> Option<Error> {
        let bytes = self.storage.read(&self.path, D::LIMIT).ok()?;
        parse::<D>(&self.path, &bytes).err()
    }

    /// Copies the file as it is into `rejected/`: it never disappears, and the path is never absent.
    fn keep_current(&self, reason: &str) -> Result<()> {
        let stamp = stamp_of(self.storage.now().wall);
        let limit = D::LIMIT.max(u64::from(u32::MAX));
        let bytes = self.storage.read(&self.path, limit).context("read", &self.path)?;
        keep_refused(&self.storage, &self.path, &bytes, &self.rejected, reason, &stamp).map(drop)
    }

    /// Backup first, so that the last good state is never older than the file; then the file.
    fn write(&mut self, document: D, bytes: &[u8], backup: bool) -> Result<()> {
        if backup {
            place(&self.storage, &self.tmp, &self.backup, bytes, Sync::Skip)?;
            self.backed_up = Some(self.storage.now().mono);
        }
        if let (Some((judged, _)), Ok(stat)) = (&self.judged, self.storage.stat(&self.path))
            && !same_file(judged, &stat)
        {
            // Hands take no lock. What came between our look and now would be overwritten unseen.
            self.keep_current("it was edited by hand at the moment Tachi wrote the file")?;
        }
        place(&self.storage, &self.tmp, &self.path, bytes, self.sync)?;
        self.good = Some(document);
        self.judged = self.storage.stat(&self.path).ok().map(|stat| (stat, None));
        Ok(())
    }
}

/// Whether two looks saw the same content, as far as that shows without reading.
fn same_file(a: &Stat, b: &Stat) -> bool {
    (a.dev, a.ino, a.size, a.mtime_ns) == (b.dev, b.ino, b.size, b.mtime_ns)
}
