//! One replaced JSON file: reading with a last good state, writing with a backup.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::bases::Bases;
use super::document::{Document, Loaded, parse, render};
use crate::clock::Mono;
use crate::error::{Context as _, Error, Result};
use crate::os::place::{Sync, place};
use crate::os::swap::swap;
use crate::os::{Disk, Handle, Stat, Storage};

/// So long a file that does not parse is left alone: an editor may be writing it.
pub const GRACE: Duration = Duration::from_secs(2);
/// Between two looks at a file that does not parse.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A reader that is overtaken by writers looks again this often.
const OVERTAKEN: u32 = 16;
/// A single writer that replaces often refreshes the backup at most this often.
const BACKUP_EVERY: Duration = Duration::from_secs(1);

/// One replaced JSON file.
pub struct Snapshot<D: Document, S: Storage = Disk> {
    pub(super) storage: S,
    pub(super) path: PathBuf,
    lock: Option<PathBuf>,
    tmp: PathBuf,
    pub(super) backup: PathBuf,
    pub(super) bases: Option<Bases>,
    pub(super) rejected: PathBuf,
    sync: Sync,
    /// Last good state this object has read or written.
    pub(super) good: Option<D>,
    /// The file as it was judged last, if it is an edit of an older revision.
    pub(super) hand: Option<D>,
    /// The file as it was judged last, and the reason if it was refused.
    judged: Option<(Stat, Option<Refusal>)>,
    backed_up: Option<Mono>,
    /// Writes so far that only took over an edit which had crossed the one before.
    pub(super) crossings: u32,
    /// What was set aside, for whoever can tell a person.
    pub(super) notes: Vec<String>,
}

/// Why a file was not taken.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// It is whole and readable, only older than what we know: no editor is in the middle of writing it.
    pub(super) stale: bool,
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
        Self {
            storage,
            path,
            lock,
            tmp,
            backup,
            bases: None,
            rejected,
            sync: Sync::Data,
            good: None,
            hand: None,
            judged: None,
            backed_up: None,
            crossings: 0,
            notes: Vec::new(),
        }
    }

    /// The same file with earlier revisions kept in `dir`, for merging what hands edit.
    #[must_use]
    pub fn with_bases(mut self, dir: PathBuf) -> Self {
        self.bases = Some(Bases::new(dir, &self.storage.boot_id()));
        self
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
            self.judged = Some(self.judge_settled(stat)?);
        }
        match (&self.judged, &self.good) {
            (Some((_, Some(refusal))), _) => {
                let reason = refusal.reason.clone();
                let merged = self.hand.as_ref().and_then(|hand| self.merged(hand));
                Ok(match merged {
                    Some((merged, conflicts)) if conflicts.is_empty() => Loaded::Good(merged),
                    Some((merged, _)) => Loaded::Fallback(merged, reason),
                    None => Loaded::Fallback(self.last_good(), reason),
                })
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
        let rev = document.rev().max(self.known_rev());
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

    /// Takes in what hands left: an edit of an older revision is merged, and a file that is bad and in nobody's hands any
    /// more is told (it stays, so that it can be corrected). For a keeper that comes by when the file has changed.
    ///
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn settle(&mut self, wait: Duration) -> Result<Option<String>> {
        self.load()?;
        let Some((stat, Some(refusal))) = self.judged.clone() else { return Ok(None) };
        if refusal.stale {
            self.update(wait, |_| Ok(()))?;
            return Ok(None);
        }
        let age = self.age(&stat);
        Ok((age >= GRACE).then_some(refusal.reason))
    }

    /// The document as it was written with exactly this revision, if that is still kept.
    #[must_use]
    pub fn base(&self, rev: u64) -> Option<D> {
        let found: D = self.bases.as_ref()?.at(&self.storage, rev)?;
        (found.rev() == rev).then_some(found)
    }

    /// The last good state this object has read or written, with what it took over from hands.
    #[must_use]
    pub fn known(&self) -> Option<&D> {
        self.good.as_ref()
    }

    /// What was set aside since the last call, one sentence each.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
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

    /// How long ago a file was written, up to a second more.
    fn age(&self, stat: &Stat) -> Duration {
        let written = i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default();
        crate::clock::Timestamp::from_unix(written).age(self.storage.now().wall)
    }

    /// Judges the file until the judgement fits what lies there. Readers take no lock: a revision written between our reading
    /// and our look at what is known makes the bytes in hand look like an old edit, but the file is another one by then.
    fn judge_settled(&mut self, mut stat: Stat) -> Result<(Stat, Option<Refusal>)> {
        for _ in 0..OVERTAKEN {
            // The stat is older than the bytes: if the file changes in between, the next look judges it again.
            let refusal = self.judge()?;
            let is_stale = refusal.as_ref().is_some_and(|refusal| refusal.stale);
            match self.storage.stat(&self.path) {
                Ok(now) if is_stale && !same_file(&now, &stat) => stat = now,
                _ => return Ok((stat, refusal)),
            }
        }
        Ok((stat, self.judge()?))
    }

    /// Judges the file as it is now; a good one becomes the last good state.
    fn judge(&mut self) -> Result<Option<Refusal>> {
        self.hand = None;
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

    /// The state to change. A refused file is kept in `rejected/` first, once it can not be half written any more.
    fn load_for_writing(&mut self) -> Result<D> {
        let loaded = self.load()?;
        let Some((stat, Some(refusal))) = self.judged.clone() else { return Ok(loaded.into_state()) };
        let age = self.age(&stat);
        // A second of rounding is in the age.
        if !refusal.stale && age < GRACE + Duration::from_secs(1) {
            // Judged once more, because an error carries the place as numbers.
            let path = self.path.clone();
            let reason = refusal.reason;
            return Err(self.error_now().unwrap_or(Error::Rejected { path, line: 0, column: 0, reason }));
        }
        if let Some(hand) = self.hand.clone() {
            return self.take_stale(&hand, &refusal.reason);
        }
        self.keep_current(&refusal.reason)?;
        Ok(self.last_good())
    }

    /// Backup first, so that the last good state is never older than the file; then the file, then its copy as a base. The
    /// backup is the last thing before the file gets its name: what is told as failed must not come back out of it.
    pub(super) fn write(&mut self, document: D, bytes: &[u8], backup: bool) -> Result<()> {
        let Self { storage, tmp, backup: kept, .. } = &*self;
        let keep = || if backup { place(storage, tmp, kept, bytes, Sync::Skip) } else { Ok(()) };
        let swapped = swap(storage, tmp, &self.path, bytes, self.sync, keep)?;
        if backup {
            self.backed_up = Some(self.storage.now().mono);
        }
        let is_base = backup && document.is_base(self.good.as_ref());
        if let Some(bases) = self.bases.as_ref().filter(|_| is_base) {
            // The document is written; without its base an edit of it is at worst set aside.
            let _ = bases.keep(&self.storage, &self.tmp, document.rev(), bytes);
        }
        self.good = Some(document);
        self.hand = None;
        let judged = self.judged.replace((swapped.placed, None));
        match swapped.replaced {
            Some(old) if !is_as_judged(&old, judged.as_ref()) => self.rescue(&old),
            _ => Ok(()),
        }
    }
}

/// Whether a replaced file is the one that was judged, unchanged since.
fn is_as_judged<F: Handle>(old: &F, judged: Option<&(Stat, Option<Refusal>)>) -> bool {
    let stat = old.stat().ok();
    judged.zip(stat).is_some_and(|((judged, _), stat)| same_file(judged, &stat))
}

/// Whether two looks saw the same content, as far as that shows without reading.
fn same_file(a: &Stat, b: &Stat) -> bool {
    (a.dev, a.ino, a.size, a.mtime_ns) == (b.dev, b.ino, b.size, b.mtime_ns)
}
