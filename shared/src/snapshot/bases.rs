//! Earlier revisions of one document, so that what a hand changed in one of them can be told from what others wrote since.
//!
//! Files: `.tachi/backup/<document>/<boot>-<rev>.json`, each as the document was written with that revision; the newest
//! [`KEPT`], fewer of a large document. Written after the document, under its lock, and not synced: they are needed only while
//! an editor is open. A crash may leave the newest one out; then the one before it serves as well, because what both sides
//! have is no difference. A power loss may keep them and take the document back: those of another boot count for nothing,
//! or the document would look like an edit of itself.

use std::path::{Path, PathBuf};

use super::document::{Document, parse};
use crate::error::{Context as _, Result};
use crate::os::Storage;
use crate::os::place::{Sync, place};

/// Revisions kept.
const KEPT: usize = 64;
/// Bytes they may take together.
const ROOM: usize = 16 * 1024 * 1024;

/// The revisions of one document.
#[derive(Debug, Clone)]
pub(super) struct Bases {
    dir: PathBuf,
    /// What the names of this boot begin with.
    boot: String,
}

impl Bases {
    pub(super) fn new(dir: PathBuf, boot_id: &str) -> Self {
        Self { dir, boot: format!("{boot_id}-") }
    }

    /// The newest revision kept; 0 if there is none.
    pub(super) fn newest<S: Storage>(&self, storage: &S) -> u64 {
        self.list(storage).last().copied().unwrap_or_default()
    }

    /// The document as it was at `rev`, or at the last revision kept before it.
    pub(super) fn at<D: Document, S: Storage>(&self, storage: &S, rev: u64) -> Option<D> {
        let rev = self.list(storage).into_iter().rfind(|kept| *kept <= rev)?;
        let path = self.path(rev);
        parse(&path, &storage.read(&path, D::LIMIT).ok()?).ok()
    }

    /// Keeps `bytes` as revision `rev` and drops what is too old.
    pub(super) fn keep<S: Storage>(&self, storage: &S, tmp: &Path, rev: u64, bytes: &[u8]) -> Result<()> {
        storage.make_dir(&self.dir).context("create", &self.dir)?;
        place(storage, tmp, &self.path(rev), bytes, Sync::Skip)?;
        let count = (ROOM / bytes.len().max(1)).clamp(1, KEPT);
        let kept = self.list(storage);
        let old = kept.iter().take(kept.len().saturating_sub(count)).map(|old| self.path(*old));
        for path in old.chain(self.of_other_boots(storage)) {
            // One too many costs space only.
            let _ = storage.remove(&path);
        }
        Ok(())
    }

    fn path(&self, rev: u64) -> PathBuf {
        self.dir.join(format!("{}{rev}.json", self.boot))
    }

    fn list<S: Storage>(&self, storage: &S) -> Vec<u64> {
        let names = storage.list(&self.dir).unwrap_or_default();
        let mut revs: Vec<u64> = names.iter().filter_map(|name| self.rev(name)).collect();
        revs.sort_unstable();
        revs
    }

    fn rev(&self, name: &str) -> Option<u64> {
        name.strip_prefix(&self.boot)?.strip_suffix(".json")?.parse().ok()
    }

    fn of_other_boots<S: Storage>(&self, storage: &S) -> Vec<PathBuf> {
        let names = storage.list(&self.dir).unwrap_or_default();
        names.iter().filter(|name| self.rev(name).is_none()).map(|name| self.dir.join(name)).collect()
    }
}
