//! Appending: one `write(2)` at the end of the newest segment, under the topic's lock.
//!
//! A complete line that stood in the file once stays: a reader may have seen it, and its number must not be given to another
//! record. So of a write that came up short the whole lines are kept, only what is torn behind them is cut off, and the
//! caller is told which records are not stored.

use std::collections::BTreeSet;

use super::writer::Log;
use super::{Cursor, LINE_MAX, LogReader, Room};
use super::{frame, segment, tail};
use crate::error::{Context as _, Error, Result};
use crate::id::Seq;
use crate::os::{Handle as _, Storage};

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

/// A log whose writer lock is held.
pub struct LogWriter<'a, S: Storage> {
    log: &'a mut Log<S>,
    room: Room,
    wrote: bool,
}

/// What an append still owes.
struct Owed<'a, R> {
    records: &'a [R],
    /// Those that are not stored, in order.
    missing: Vec<usize>,
    /// Number of the first one that is.
    first: Option<u64>,
}

impl<R: AsRef<[u8]>> Owed<'_, R> {
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.missing.iter().filter_map(|at| self.records.get(*at)).map(AsRef::as_ref)
    }

    /// Takes off what arrived; the missing ones were written with the numbers behind `last`.
    fn arrived(&mut self, last: u64, numbers: &[u64]) {
        self.first = self.first.or(numbers.first().copied());
        let mut number = last;
        self.missing.retain(|_| {
            number += 1;
            !numbers.contains(&number)
        });
    }

    /// The truth about an append that ends with `error`.
    fn failed(self, error: Error) -> Error {
        if self.missing.len() == self.records.len() {
            return error;
        }
        Error::StoredInPart { missing: self.missing, source: Box::new(error) }
    }
}

impl<'a, S: Storage> LogWriter<'a, S> {
    pub(super) fn new(log: &'a mut Log<S>) -> Self {
        Self { log, room: Room::Usual, wrote: false }
    }

    pub(super) fn in_room(&mut self, room: Room) -> &mut Self {
        self.room = room;
        self
    }

    pub(super) fn log(&mut self) -> &mut Log<S> {
        self.log
    }

    /// Whether anything was written that may have to be synced.
    pub(super) fn wrote(&self) -> bool {
        self.wrote
    }

    /// Appends as [`Log::append`] does. Nothing to append is no error; it returns the end twice.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<Appended> {
        let mut owed = Owed { records, missing: (0..records.len()).collect(), first: None };
        for _ in 0..=ATTEMPTS {
            match self.attempt(&mut owed) {
                Ok(None) => {}
                Ok(Some(done)) => return Ok(done),
                Err(error) => return Err(owed.failed(error)),
            }
        }
        let why = "somebody keeps writing into the log without its lock";
        Err(owed.failed(Error::Refused(why.to_owned())))
    }

    /// One write of what is missing; `None` = somebody wrote in between, and some of it is missing still.
    fn attempt<R: AsRef<[u8]>>(&mut self, owed: &mut Owed<'_, R>) -> Result<Option<Appended>> {
        let active = self.log.ready()?;
        let (last, before) = (active.last, active.end);
        if owed.missing.is_empty() {
            let first = Seq(owed.first.unwrap_or(last));
            return Ok(Some(Appended { first, last: Seq(last) }));
        }
        self.log.fill_buffer(last + 1, owed.lines())?;
        self.log.make_room(self.room)?;
        let written = self.log.write_buffer()?;
        self.wrote = true;
        let whole = self.log.buffer.len() as u64;
        if (written.bytes, written.end) == (whole, before + whole) {
            let highest = last + owed.missing.len() as u64;
            self.log.ends_at(written.end, highest);
            return Ok(Some(Appended { first: Seq(owed.first.unwrap_or(last + 1)), last: Seq(highest) }));
        }
        let numbers = self.log.numbers_that_arrived(before, written)?;
        self.log.floor = numbers.iter().copied().max().unwrap_or(last);
        owed.arrived(last, &numbers);
        if written.bytes == whole { Ok(None) } else { Err(self.log.full()) }
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

/// What one write did.
#[derive(Debug, Clone, Copy)]
struct Written {
    /// So many bytes of the buffer are in the file.
    bytes: u64,
    /// They end here; behind the cached end plus their length if somebody else wrote in between.
    end: u64,
}

impl<S: Storage> Log<S> {
    /// Puts the records into the buffer, numbered from `first`.
    fn fill_buffer<'r>(&mut self, first: u64, records: impl Iterator<Item = &'r [u8]>) -> Result<()> {
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

    /// One write of the buffer. After an error nothing was written; the cached end stands, or its size tells that it does not.
    fn write_buffer(&mut self) -> Result<Written> {
        let Some(active) = &self.active else { return Ok(Written { bytes: 0, end: 0 }) };
        let bytes = active.file.append(&self.buffer);
        let bytes = bytes.map_err(|error| Error::io("append to", &self.active_path(), error))?;
        let end = active.file.tell().context("look at", &self.dir)?;
        Ok(Written { bytes: bytes as u64, end })
    }

    /// Everything written stands where it should.
    fn ends_at(&mut self, end: u64, last: u64) {
        self.floor = last;
        if let Some(active) = &mut self.active {
            (active.end, active.last) = (end, last);
        }
    }

    /// Numbers of the buffer's lines that are whole lines in the file behind `from`. The others were not written, are torn,
    /// or got foreign bytes glued on. What is torn is cut off if nothing else lies around it. The cached end stays where it
    /// was, so the next append looks at the file anew.
    fn numbers_that_arrived(&self, from: u64, written: Written) -> Result<Vec<u64>> {
        let Some(active) = &self.active else { return Ok(Vec::new()) };
        let from = from.min(written.end);
        let mut bytes = Vec::new();
        let mine = usize::try_from(written.bytes).unwrap_or(usize::MAX);
        match self.buffer.get(..mine) {
            // Nobody else wrote in between: known without a look, which may fail on a machine in trouble.
            Some(mine) if written.end == from + written.bytes => bytes.extend_from_slice(mine),
            _ => segment::read_into(&active.file, &mut bytes, from, written.end - from)
                .context("read", &self.dir)?,
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let torn = bytes.get(whole..).unwrap_or_default();
        let alone = written.end == from + written.bytes
            && active.file.extent().is_ok_and(|now| now.size == written.end);
        let is_cut = torn.is_empty() || (alone && active.file.truncate(from + whole as u64).is_ok());
        // Left there, a line that lacks only its newline is made whole by the next writer.
        if !is_cut && tail::judge(torn) == tail::Repair::AddNewline {
            bytes.push(b'\n');
        }
        let ours: BTreeSet<&[u8]> = segment::lines(&self.buffer).map(|(_, line)| line).collect();
        let arrived = segment::lines(&bytes).filter(|(_, line)| ours.contains(line));
        let numbers = arrived.filter_map(|(_, line)| match frame::classify(line) {
            frame::Line::Numbered(number) => Some(number),
            _ => None,
        });
        Ok(numbers.collect())
    }

    fn full(&self) -> Error {
        Error::DiskFull { operation: "append to", path: self.active_path() }
    }
}
