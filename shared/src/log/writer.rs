//! One topic's log as its writers see it: locking, syncing, rotating. The append itself is in [`super::append`].
//!
//! The end of the active segment is cached; its size tells whether anybody else wrote since. A rotation by
//! another process changes the size too (the seal), so no directory is looked at on the usual path.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::active::Active;
use super::append::{Appended, LogWriter};
use super::epoch::EpochFile;
use super::{Cursor, Limits, LogReader, Room, SEGMENT_BYTES};
use super::{segment, tail};
use crate::error::{Context as _, Error, Result};
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::os::{Disk, Handle as _, OpenMode, Storage};

/// What an acknowledged append survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// `kill -9` always; after a power loss the last second may be missing (somebody calls [`Log::sync`]).
    #[default]
    Interval,
    /// Power loss too: synced before it is acknowledged, after the lock was given back.
    Durable,
}

/// One topic's log.
pub struct Log<S: Storage = Disk> {
    pub(super) storage: S,
    pub(super) dir: PathBuf,
    lock: PathBuf,
    pub(super) rejected: PathBuf,
    pub(super) topic: &'static str,
    pub(super) epoch: EpochFile,
    pub(super) boot: String,
    pub(super) boot_checked: bool,
    pub(super) durability: Durability,
    pub(super) segment_bytes: u64,
    /// The active segment must not be written to any more: a sync of it failed.
    pub(super) distrusted: bool,
    pub(super) active: Option<Active<S::File>>,
    /// Segments this object sealed and has not synced since.
    pub(super) sealed: Vec<(PathBuf, S::File)>,
    /// Highest number this object has given or seen; survives a segment that was cut or deleted by hand.
    pub(super) floor: u64,
    pub(super) limits: Option<Limits>,
    /// Bytes of the segments before the one with this first number, as counted last.
    pub(super) counted: Option<(u64, u64)>,
    pub(super) buffer: Vec<u8>,
}

impl<S: Storage> Log<S> {
    /// Names a topic's log; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir, topic: Topic) -> Self {
        let boot = storage.boot_id();
        Self {
            storage,
            dir: dir.segments(topic),
            lock: dir.lock(topic.name()),
            rejected: dir.rejected(),
            topic: topic.name(),
            epoch: EpochFile { path: dir.epoch(), lock: dir.lock("epoch"), tmp: dir.tmp() },
            boot,
            boot_checked: false,
            durability: Durability::default(),
            segment_bytes: SEGMENT_BYTES,
            distrusted: false,
            active: None,
            sealed: Vec::new(),
            floor: 0,
            limits: None,
            counted: None,
            buffer: Vec::new(),
        }
    }

    /// The same log with another promise.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same log with segments of another size.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The same log on another kernel boot than the real one.
    #[must_use]
    pub fn with_boot(mut self, boot_id: &str) -> Self {
        boot_id.clone_into(&mut self.boot);
        self
    }

    /// A reader that continues behind `cursor`.
    pub fn reader(&self, cursor: Cursor) -> LogReader<S> {
        LogReader::new(self.storage.clone(), self.dir.clone(), cursor)
    }

    /// The cursor of somebody who has seen everything that is complete now. No lock.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn end(&self) -> Result<Cursor> {
        let Some(base) = segment::list(&self.storage, &self.dir)?.pop() else { return Ok(Cursor::default()) };
        let path = segment::path(&self.dir, base);
        let file = self.storage.open(&path, OpenMode::Read).context("open", &path)?;
        let size = file.extent().context("look at", &path)?.size;
        let end = tail::inspect(&file, size).context("read", &path)?;
        let seq = Seq(end.last.unwrap_or_else(|| base.saturating_sub(1)));
        Ok(Cursor { seq, segment: base, offset: end.complete })
    }

    /// Appends one record per element; each is a one-line JSON object **without** `seq`, which is put in front.
    /// Waits at most `wait` for the lock.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`], [`crate::Error::DiskFull`], [`crate::Error::QueueFull`], [`crate::Error::TooLarge`],
    /// [`crate::Error::Io`]; nothing is stored then.
    /// [`crate::Error::StoredInPart`]: names the records that are not stored; the others are.
    /// [`crate::Error::DurabilityUnknown`]: stored, but the sync failed.
    pub fn append<R: AsRef<str>>(&mut self, records: &[R], wait: Duration) -> Result<Appended> {
        self.locked(wait, |writer| writer.append(records))
    }

    /// As [`Log::append`], with the right to use the room that a full log keeps for urgent records.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_to<R: AsRef<str>>(
        &mut self,
        room: Room,
        records: &[R],
        wait: Duration,
    ) -> Result<Appended> {
        self.locked(wait, |writer| writer.in_room(room).append(records))
    }

    /// Runs `change` under the writer lock: for appends that depend on everything before them.
    ///
    /// # Errors
    /// As [`Log::append`], and whatever `change` returns.
    pub fn locked<T>(
        &mut self,
        wait: Duration,
        change: impl FnOnce(&mut LogWriter<'_, S>) -> Result<T>,
    ) -> Result<T> {
        let guard = self.storage.lock(&self.lock, "append", wait)?;
        let mut writer = LogWriter::new(self);
        let result = change(&mut writer);
        let wrote = writer.wrote();
        drop(guard);
        let synced = if wrote && self.durability == Durability::Durable { self.sync() } else { Ok(()) };
        match (result, synced) {
            // Of what is stored the worse is to be told; what is not stays not stored.
            (Err(Error::StoredInPart { missing, .. }), Err(source)) => {
                Err(Error::StoredInPart { missing, source: Box::new(source) })
            }
            // What was not stored is not to be taken for stored because a sync failed as well.
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(done), Ok(())) => Ok(done),
        }
    }

    /// Makes everything this object appended survive a power loss. Takes no lock.
    ///
    /// # Errors
    /// [`crate::Error::DurabilityUnknown`]: the file is not trusted any more, later appends go to a new segment.
    pub fn sync(&mut self) -> Result<()> {
        for (path, file) in std::mem::take(&mut self.sealed) {
            file.sync().map_err(|source| Error::DurabilityUnknown { path, source })?;
        }
        let Some(active) = &self.active else { return Ok(()) };
        let Err(source) = active.file.sync() else { return Ok(()) };
        let path = self.active_path();
        // A second sync would succeed without having written anything; only a new file can be believed again.
        self.distrusted = true;
        Err(Error::DurabilityUnknown { path, source })
    }

    /// Makes what anybody appended behind `since` survive a power loss too, if that is this log's promise: whoever finds there
    /// what it was to append itself, left by a predecessor that died before its sync, answers for it from then on.
    ///
    /// # Errors
    /// [`crate::Error::DurabilityUnknown`], as [`Log::sync`]; [`crate::Error::Io`].
    pub fn vouch(&mut self, since: Seq) -> Result<()> {
        if self.durability != Durability::Durable {
            return Ok(());
        }
        let bases = segment::list(&self.storage, &self.dir)?;
        let before = bases.partition_point(|base| *base <= since.next().0).saturating_sub(1);
        for base in bases.into_iter().skip(before) {
            let path = segment::path(&self.dir, base);
            // Somebody may remove what everybody has read.
            let Ok(file) = self.storage.open(&path, OpenMode::Read) else { continue };
            if let Err(source) = file.sync() {
                self.distrusted = true;
                return Err(Error::DurabilityUnknown { path, source });
            }
        }
        Ok(())
    }

    /// Seals the active segment, if it has records, and begins the next: for retention by age.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn rotate(&mut self, wait: Duration) -> Result<()> {
        self.locked(wait, |writer| {
            let log = writer.log();
            let has_records = log.ready().map(|active| active.last >= active.base)?;
            if has_records { log.begin_next(0) } else { Ok(()) }
        })
    }

    /// Path of the active segment, for who tells of it.
    pub(super) fn active_path(&self) -> PathBuf {
        segment::path(&self.dir, self.active.as_ref().map_or(self.floor, |active| active.base))
    }
}
