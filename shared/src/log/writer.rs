//! Writing: one append is one `write(2)` at the end of the newest segment, under the topic's lock.
//!
//! The end of the active segment is cached; its size tells whether anybody else wrote since. A rotation by
//! another process changes the size too (the seal), so no directory is looked at on the usual path.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::active::Active;
use super::epoch::EpochFile;
use super::tail;
use super::{Cursor, LINE_MAX, Limits, LogReader, Room, SEGMENT_BYTES};
use super::{frame, segment};
use crate::error::{Context as _, Error, Result};
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::os::{Disk, Handle as _, OpenMode, Storage};

/// A record is written again at most this often when foreign bytes got glued to it.
const ATTEMPTS: usize = 3;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first record written.
    pub first: Seq,
    /// Position of the last.
    pub last: Seq,
}

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
    /// [`crate::Error::DurabilityUnknown`]: stored, but the sync failed.
    pub fn append(&mut self, records: &[String], wait: Duration) -> Result<Appended> {
        self.locked(wait, |writer| writer.append(records))
    }

    /// As [`Log::append`], with the right to use the room that a full log keeps for urgent records.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_to(&mut self, room: Room, records: &[String], wait: Duration) -> Result<Appended> {
        self.locked(wait, |writer| {
            writer.room = room;
            writer.append(records)
        })
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
        let mut writer = LogWriter { log: self, room: Room::Usual, wrote: false };
        let result = change(&mut writer);
        let wrote = writer.wrote;
        drop(guard);
        let synced = if wrote && self.durability == Durability::Durable { self.sync() } else { Ok(()) };
        // What was not stored is not to be taken for stored because a sync failed as well.
        let done = result?;
        synced.map(|()| done)
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
        let path = segment::path(&self.dir, active.base);
        // A second sync would succeed without having written anything; only a new file can be believed again.
        self.distrusted = true;
        Err(Error::DurabilityUnknown { path, source })
    }

    /// Seals the active segment, if it has records, and begins the next: for retention by age.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn rotate(&mut self, wait: Duration) -> Result<()> {
        self.locked(wait, |writer| {
            let has_records = writer.log.ready().map(|active| active.last >= active.base)?;
            if has_records { writer.log.begin_next(0) } else { Ok(()) }
        })
    }

    /// Puts the records into the buffer, numbered from `first`.
    fn fill_buffer(&mut self, first: u64, records: &[&str]) -> Result<()> {
        self.buffer.clear();
        for (number, record) in (first..).zip(records) {
            frame::check_number(number)?;
            let start = self.buffer.len();
            if !frame::write(&mut self.buffer, number, record) {
                return Err(Error::Refused("a record must be one JSON object on one line".to_owned()));
            }
            let size = self.buffer.len() - start;
            if size > LINE_MAX {
                return Err(Error::TooLarge { what: "the record", size, unit: "bytes", limit: LINE_MAX });
            }
        }
        Ok(())
    }

    /// One write of the buffer; `true` if the end is where it must be.
    fn write_buffer(&mut self) -> Result<bool> {
        let Some(active) = self.active.as_mut() else { return Ok(false) };
        let (before, length) = (active.end, self.buffer.len() as u64);
        let written = active.file.append(&self.buffer);
        if let Ok(written) = &written
            && *written as u64 == length
        {
            active.end = active.file.tell().context("look at", &self.dir)?;
            return Ok(active.end == before + length);
        }
        // Cut a short write off again, unless somebody else's bytes lie around it; else the next writer repairs.
        let partial = written.as_ref().map_or(0, |written| *written as u64);
        if partial > 0 && active.file.extent().is_ok_and(|now| now.size == before + partial) {
            let _ = active.file.truncate(before);
        }
        let path = segment::path(&self.dir, active.base);
        self.active = None;
        match written {
            Err(error) => Err(Error::io("append to", &path, error)),
            Ok(_) => Err(Error::DiskFull { operation: "append to", path }),
        }
    }

    /// Numbers of the buffer's lines that are whole lines in the file behind `from`: the rest got foreign bytes glued on.
    fn numbers_that_arrived(&self, from: u64) -> Result<Vec<u64>> {
        let Some(active) = &self.active else { return Ok(Vec::new()) };
        let from = from.min(active.end);
        let mut bytes = Vec::new();
        let length = active.end - from;
        segment::read_into(&active.file, &mut bytes, from, length).context("read", &self.dir)?;
        let ours: std::collections::BTreeSet<&[u8]> =
            segment::lines(&self.buffer).map(|(_, line)| line).collect();
        let arrived = segment::lines(&bytes).filter(|(_, line)| ours.contains(line));
        let numbers = arrived.filter_map(|(_, line)| match frame::classify(line) {
            frame::Line::Numbered(number) => Some(number),
            _ => None,
        });
        Ok(numbers.collect())
    }
}

/// A log whose writer lock is held.
pub struct LogWriter<'a, S: Storage> {
    log: &'a mut Log<S>,
    room: Room,
    wrote: bool,
}

impl<S: Storage> LogWriter<'_, S> {
    /// Appends as [`Log::append`] does. Nothing to append is no error; it returns the end twice.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append(&mut self, records: &[String]) -> Result<Appended> {
        let mut missing: Vec<&str> = records.iter().map(String::as_str).collect();
        let mut first = None;
        for _ in 0..=ATTEMPTS {
            let active = self.log.ready()?;
            let (last, before) = (active.last, active.end);
            if missing.is_empty() {
                return Ok(Appended { first: Seq(first.unwrap_or(last)), last: Seq(last) });
            }
            self.log.fill_buffer(last + 1, &missing)?;
            self.log.make_room(self.room)?;
            let in_place = self.log.write_buffer()?;
            self.wrote = true;
            let mut arrived = Vec::new();
            if !in_place {
                // Somebody appended without the lock, between our look and our write.
                arrived = self.log.numbers_that_arrived(before)?;
            }
            let count = missing.len() as u64;
            let highest = if in_place { last + count } else { arrived.iter().copied().max().unwrap_or(last) };
            self.log.floor = highest;
            if in_place {
                if let Some(active) = &mut self.log.active {
                    active.last = highest;
                }
                return Ok(Appended { first: Seq(first.unwrap_or(last + 1)), last: Seq(highest) });
            }
            first = first.or(arrived.first().copied());
            let unsent = (last + 1..).zip(missing).filter(|(number, _)| !arrived.contains(number));
            missing = unsent.map(|(_, record)| record).collect();
            self.log.active = None;
        }
        Err(Error::Refused("somebody keeps writing into the log without its lock".to_owned()))
    }

    /// A reader that continues behind `cursor`; under the lock nobody else appends while it reads.
    #[must_use]
    pub fn reader(&self, cursor: Cursor) -> LogReader<S> {
        self.log.reader(cursor)
    }

    /// The end of the log, repaired if needed.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn end(&mut self) -> Result<Cursor> {
        let active = self.log.ready()?;
        Ok(Cursor { seq: Seq(active.last), segment: active.base, offset: active.end })
    }
}
