//! `artifacts/memory/<list>.jsonl`: entries that were pushed out of `memory.json` by newer ones, one a line, oldest first.
//!
//! Writer: whoever writes the memory, under `memory.lock`, synced *before* the shorter memory replaces the longer one. A crash
//! in between leaves an entry in both places, so whoever reads takes each id once, and a torn last line, which the next
//! writer closes. Nothing here is ever removed by Tachi.

use std::path::PathBuf;

use super::{Entry, EntryKind, Memory};
use crate::error::{Context as _, Error, Result};
use crate::layout::StateDir;
use crate::os::{Handle as _, OpenMode, Storage};

/// Entries a list keeps in `memory.json`.
pub const LIST_MAX: usize = 500;
/// Largest archive read, in bytes.
const READ_MAX: u64 = 256 * 1024 * 1024;

/// The archive of one state directory.
#[derive(Debug, Clone)]
pub(super) struct Archive<S: Storage> {
    storage: S,
    dir: PathBuf,
}

impl<S: Storage> Archive<S> {
    pub(super) fn new(storage: S, dir: &StateDir) -> Self {
        Self { storage, dir: dir.artifacts().join("memory") }
    }

    /// Moves what is beyond [`LIST_MAX`] out of `memory`.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`]; the memory must not be written then.
    pub(super) fn relieve(&self, memory: &mut Memory) -> Result<()> {
        for kind in EntryKind::ALL {
            let list = memory.list_mut(kind);
            let surplus = list.len().saturating_sub(LIST_MAX);
            if surplus > 0 {
                let old: Vec<Entry> = list.drain(..surplus).collect();
                self.keep(kind, &old)?;
            }
        }
        Ok(())
    }

    /// Everything that was moved out of one list, oldest first; lines that are no entries are left out.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn read(&self, kind: EntryKind) -> Result<Vec<Entry>> {
        let path = self.path(kind);
        let bytes = match self.storage.read(&path, READ_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.context("read", &path)?,
        };
        let lines = bytes.split(|byte| *byte == b'\n');
        let entries = lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        let mut seen = std::collections::BTreeSet::new();
        Ok(entries.filter(|entry| seen.insert(entry.id.clone())).collect())
    }

    fn keep(&self, kind: EntryKind, entries: &[Entry]) -> Result<()> {
        let path = self.path(kind);
        if let Some(parent) = self.dir.parent() {
            self.storage.make_dir(parent).context("create", parent)?;
        }
        self.storage.make_dir(&self.dir).context("create", &self.dir)?;
        let file = match self.storage.open(&path, OpenMode::Append) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.storage.open(&path, OpenMode::Create).context("create", &path)?
            }
            opened => opened.context("open", &path)?,
        };
        let size = file.extent().context("look at", &path)?.size;
        let mut last = [b'\n'];
        if size > 0 {
            file.read_at(&mut last, size - 1).context("read", &path)?;
        }
        let mut text = if last == [b'\n'] { Vec::new() } else { vec![b'\n'] };
        for entry in entries {
            serde_json::to_writer(&mut text, entry).map_err(|error| Error::Refused(error.to_string()))?;
            text.push(b'\n');
        }
        let written = file.append(&text).context("append to", &path)?;
        if written < text.len() {
            let _ = file.truncate(size);
            return Err(Error::DiskFull { operation: "append to", path });
        }
        file.sync().map_err(|source| Error::DurabilityUnknown { path, source })
    }

    fn path(&self, kind: EntryKind) -> PathBuf {
        self.dir.join(format!("{}s.jsonl", kind.word()))
    }
}
