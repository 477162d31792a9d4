//! Making what others appended survive a power loss: once a second, by the supervisor.
//!
//! Every segment that grew since it was synced last is synced, also one that was sealed meanwhile. A sync that fails is not
//! repeated, because a second one would succeed without having written anything: the log goes on in a new segment.

use std::collections::BTreeMap;

use super::writer::Log;
use super::{Durability, segment};
use crate::error::{Context as _, Error, Result};
use crate::layout::{StateDir, Topic};
use crate::os::{Handle as _, OpenMode, Storage};

/// What was synced of one topic.
pub struct Flusher<S: Storage> {
    storage: S,
    dir: std::path::PathBuf,
    log: Log<S>,
    /// Size of each segment when it was synced last.
    synced: BTreeMap<u64, u64>,
}

impl<S: Storage> Flusher<S> {
    /// Knows nothing to be on the disk yet.
    pub fn new(storage: S, dir: &StateDir, topic: Topic) -> Self {
        let log = Log::new(storage.clone(), dir, topic).with_durability(Durability::Interval);
        Self { storage, dir: dir.segments(topic), log, synced: BTreeMap::new() }
    }

    /// Syncs what grew; returns how many segments that were.
    ///
    /// # Errors
    /// [`Error::DurabilityUnknown`]: told once, and the log goes on in a new segment. [`Error::Io`].
    pub fn flush(&mut self) -> Result<usize> {
        let bases = segment::list(&self.storage, &self.dir)?;
        self.synced.retain(|base, _| bases.contains(base));
        let mut flushed = 0;
        for base in bases {
            let path = segment::path(&self.dir, base);
            let Ok(stat) = self.storage.stat(&path) else { continue };
            if self.synced.get(&base) == Some(&stat.size) {
                continue;
            }
            let file = self.storage.open(&path, OpenMode::Read).context("open", &path)?;
            // Noted before: whatever comes of it, the same bytes are not synced again.
            self.synced.insert(base, stat.size);
            if let Err(source) = file.sync() {
                let _ = self.log.rotate(std::time::Duration::from_secs(1));
                return Err(Error::DurabilityUnknown { path, source });
            }
            flushed += 1;
        }
        Ok(flushed)
    }
}
