//! Reading without locks: from a cursor to the last newline, across segments, telling every gap.
//!
//! The reader never repairs and never waits. Whatever does not fit (the file was cut, replaced, shifted by hand) makes it
//! look for its place again by sequence number; what it cannot find again it reports with exact bounds. Idle, one look costs
//! one `statx`.

use std::io;
use std::path::PathBuf;

use super::Cursor;
use super::entry::{Entry, Gap, Taker};
use super::epoch::EPOCH_STEP;
use super::frame::{self, Line};
use super::segment;
use crate::error::{Context as _, Result};
use crate::id::Seq;
use crate::os::{Handle as _, OpenMode, Storage};

/// Bytes taken at once at least, and at most unless a line is longer.
const CHUNK: (u64, u64) = (16 * 1024, 256 * 1024);
/// Length of most lines: so many bytes are taken for each entry that is wanted.
const USUAL_LINE: u64 = 256;
/// Every so many looks without news the directory is read as well, in case somebody made a segment by hand.
const LOOKS_PER_SEARCH: u32 = 128;
/// So often the place is looked for anew in one reading.
const LOST_MAX: u32 = 3;

/// Reads a log from a cursor on, without locks.
pub struct LogReader<S: Storage> {
    storage: S,
    dir: PathBuf,
    cursor: Cursor,
    open: Option<S::File>,
    /// The last line taken was empty: look for a successor.
    sealed: bool,
    /// After the log was cut: numbers above this one are given again.
    reused_above: Option<u64>,
    /// Looks without news since the directory was read.
    idle: u32,
    buffer: Vec<u8>,
}

/// What one look at the open segment showed.
enum Look {
    /// Complete lines were taken.
    Taken,
    /// All complete lines there were.
    All,
    /// Nothing complete behind the cursor.
    Nothing,
    /// The place is lost: find it again by number.
    Lost,
}

/// What came of looking for the place of a cursor.
enum Place {
    Found,
    /// The segment was removed between the look into the directory and the opening.
    Gone,
    /// There is no log yet.
    NoLog,
}

impl<S: Storage> LogReader<S> {
    pub(super) fn new(storage: S, dir: PathBuf, cursor: Cursor) -> Self {
        Self {
            storage,
            dir,
            cursor,
            open: None,
            sealed: false,
            reused_above: None,
            idle: 0,
            buffer: Vec::new(),
        }
    }

    /// Takes everything complete behind the cursor, at most `max` entries; advances the in-memory cursor.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn read(&mut self, max: usize) -> Result<Vec<Entry>> {
        let mut out = Vec::new();
        let read = self.read_each(max, &mut |entry, _| {
            out.push(match entry {
                Entry::Record { seq, line } => Entry::Record { seq, line: line.to_owned() },
                Entry::Gap(gap) => Entry::Gap(gap),
            });
            true
        });
        match read {
            // What was taken counts as taken, so it must not get lost; the trouble shows again at the next look.
            Err(error) if out.is_empty() => Err(error),
            _ => Ok(out),
        }
    }

    /// As [`LogReader::read`], without keeping anything: `each` is given every entry and the place where it begins, and tells
    /// whether it counts. Ends when `max` counted or when there is no more.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; what was given before counts as taken.
    pub fn read_each(
        &mut self,
        max: usize,
        each: &mut dyn FnMut(Entry<&str>, &Cursor) -> bool,
    ) -> Result<()> {
        let mut taker = Taker::new(max, each);
        let mut lost = 0;
        while !taker.is_full() {
            let look = if self.open.is_some() {
                self.look(&mut taker)?
            } else {
                match self.find_place(&mut taker)? {
                    Place::Found => continue,
                    Place::Gone => Look::Lost,
                    Place::NoLog => break,
                }
            };
            match look {
                Look::Taken => {}
                // What came since then rings again.
                Look::All => break,
                Look::Nothing => {
                    if !self.advance(&mut taker)? {
                        break;
                    }
                }
                Look::Lost => {
                    self.open = None;
                    self.cursor.segment = 0;
                    lost += 1;
                    // Nothing taken would mean that nothing is there, and who looks for what it has sent believes it.
                    if lost > LOST_MAX {
                        let source = io::Error::other("its files change faster than they can be read");
                        return Err(crate::Error::io("find the place in", &self.dir, source));
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the reader stands; persist this after handling what was read.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Takes complete lines from the open segment.
    fn look(&mut self, taker: &mut Taker<'_>) -> Result<Look> {
        let Some(file) = &self.open else { return Ok(Look::Lost) };
        let extent = file.extent().context("look at", &self.dir)?;
        let offset = self.cursor.offset;
        if extent.size == offset && extent.nlink > 0 {
            return Ok(Look::Nothing);
        }
        if extent.nlink == 0 && extent.size <= offset {
            return Ok(Look::Lost);
        }
        if extent.size < offset {
            taker.gap(cut(self.cursor.segment, offset, extent.size), &self.cursor);
            return Ok(Look::Lost);
        }
        // One byte more in front: it must be the end of the line before, else the file was changed under us.
        let behind = u64::from(offset > 0);
        let wanted = USUAL_LINE.saturating_mul(taker.left() as u64).clamp(CHUNK.0, CHUNK.1);
        let mut length = wanted.min(extent.size - offset) + behind;
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            segment::read_into(file, &mut buffer, offset - behind, length).context("read", &self.dir)?;
            let whole = behind == 0 || buffer.first() == Some(&b'\n');
            let lines = buffer.get(usize::from(behind == 1)..).unwrap_or_default();
            let has_line = lines.contains(&b'\n');
            let at_end = offset - behind + length >= extent.size;
            if whole && !has_line && !at_end {
                self.buffer = buffer;
                length = (length * 4).min(extent.size - offset + behind);
                continue;
            }
            let look = if !whole {
                Look::Lost
            } else if has_line {
                self.take_lines(lines, taker);
                // A successor is looked for once at least: a power loss may have taken the seal.
                let searched = !self.idle.is_multiple_of(LOOKS_PER_SEARCH);
                let all = at_end && extent.nlink > 0 && !self.sealed && searched;
                if all { Look::All } else { Look::Taken }
            } else if extent.nlink == 0 {
                Look::Lost
            } else {
                Look::Nothing
            };
            self.buffer = buffer;
            return Ok(look);
        }
    }

    /// Turns lines into entries until there are `max`.
    fn take_lines(&mut self, bytes: &[u8], taker: &mut Taker<'_>) {
        let start = self.cursor.offset;
        for (at, line) in segment::lines(bytes) {
            self.cursor.offset = start + at as u64;
            loop {
                if taker.is_full() {
                    return;
                }
                if self.take_line(line, taker) {
                    break;
                }
            }
            self.cursor.offset += line.len() as u64 + 1;
        }
    }

    /// One line; `false` = a gap before it was told and it is still to be taken.
    fn take_line(&mut self, line: &[u8], taker: &mut Taker<'_>) -> bool {
        let (segment, offset) = (self.cursor.segment, self.cursor.offset);
        self.sealed = line.is_empty();
        match frame::classify(line) {
            Line::Blank => {}
            Line::Numbered(seq) => return self.take_record(seq, line, taker),
            Line::Unnumbered => {
                let line = String::from_utf8_lossy(line).into_owned();
                taker.gap(Gap::Unnumbered { segment, offset, line }, &self.cursor);
            }
            Line::Poison(reason) => taker.gap(Gap::Poison { segment, offset, reason }, &self.cursor),
        }
        true
    }

    /// One numbered line: in order, after a gap, given again, or a copy.
    fn take_record(&mut self, seq: u64, line: &[u8], taker: &mut Taker<'_>) -> bool {
        let (segment, offset, after) = (self.cursor.segment, self.cursor.offset, self.cursor.seq.0);
        let poison = |reason| Gap::Poison { segment, offset, reason };
        if seq > after.saturating_add(1) {
            taker.gap(gap(after, seq), &self.cursor);
            self.cursor.seq = Seq(seq - 1);
            return false;
        }
        if seq <= after {
            if self.reused_above.take_if(|floor| seq > *floor).is_none() {
                taker.gap(poison(format!("number {seq} does not follow {after}")), &self.cursor);
                return true;
            }
            taker.gap(Gap::Epoch { after: Seq(after), next: Seq(seq) }, &self.cursor);
            self.cursor.seq = Seq(seq.saturating_sub(1));
            return false;
        }
        self.reused_above = None;
        self.cursor.seq = Seq(seq);
        match std::str::from_utf8(line) {
            Ok(line) => taker.take(Entry::Record { seq: Seq(seq), line }, &self.cursor),
            Err(error) => taker.gap(poison(format!("it is not UTF-8: {error}")), &self.cursor),
        }
        true
    }

    /// At the end of the open segment: goes on in the next if there is one. `false` = no news anywhere.
    fn advance(&mut self, taker: &mut Taker<'_>) -> Result<bool> {
        if !self.sealed && !self.idle.is_multiple_of(LOOKS_PER_SEARCH) {
            self.idle = self.idle.wrapping_add(1);
            return Ok(false);
        }
        let current = self.cursor.segment;
        let bases = segment::list(&self.storage, &self.dir)?;
        let Some(next) = bases.into_iter().find(|base| *base > current) else {
            self.idle = self.idle.wrapping_add(1);
            return Ok(false);
        };
        // Records may have come between our last look and the switch; the seal is behind them.
        while let Look::Taken | Look::All = self.look(taker)? {
            if taker.is_full() {
                return Ok(true);
            }
        }
        // First this: if it fails, the next look finds everything as it was.
        self.enter(next, 0)?;
        if next > self.cursor.seq.next().0 {
            taker.gap(gap(self.cursor.seq.0, next), &self.cursor);
            self.cursor.seq = Seq(next - 1);
        }
        Ok(true)
    }

    /// As [`Self::locate`]; whoever fails half-way stands where it stood, and has told nothing.
    fn find_place(&mut self, taker: &mut Taker<'_>) -> Result<Place> {
        let before = self.cursor.clone();
        match self.locate() {
            Ok((found, lost)) => {
                lost.into_iter().for_each(|gap| taker.gap(gap, &before));
                Ok(found)
            }
            Err(error) => {
                (self.cursor, self.open) = (before, None);
                Err(error)
            }
        }
    }

    /// Opens the segment the cursor points into and finds the place in it, and what was lost on the way.
    fn locate(&mut self) -> Result<(Place, Option<Gap>)> {
        let hint = self.cursor.clone();
        if hint.segment > 0 && self.enter(hint.segment, hint.offset)? && self.next_follows()? {
            return Ok((Place::Found, None));
        }
        let bases = segment::list(&self.storage, &self.dir)?;
        let Some(first) = bases.first().copied() else { return Ok((Place::NoLog, None)) };
        let seq = hint.seq.0;
        if first > hint.seq.next().0 {
            // The segment we were in is gone: however much that is, it is not the jump of an epoch.
            let lost = Gap::Lagged { from: hint.seq.next(), to: Seq(first - 1) };
            self.cursor.seq = Seq(first - 1);
            let place = if self.enter(first, 0)? { Place::Found } else { Place::Gone };
            return Ok((place, Some(lost)));
        }
        let base = segment_of(&bases, &hint).unwrap_or(first);
        self.enter(base, 0)?;
        let Some(file) = &self.open else { return Ok((Place::Gone, None)) };
        let size = file.extent().context("look at", &self.dir)?.size;
        let by_number = segment::seek(file, size, seq).context("read", &self.dir)?;
        self.cursor.offset = by_number;
        let mut lost = None;
        if base == hint.segment {
            if size < hint.offset {
                lost = Some(cut(base, hint.offset, size));
            } else if segment::same_place(file, hint.offset, by_number, seq).context("read", &self.dir)? {
                self.cursor.offset = hint.offset;
                self.sealed = segment::is_sealed_at(file, hint.offset).context("read", &self.dir)?;
            }
        }
        if bases.last() == Some(&base) {
            let last = super::tail::inspect(file, size).context("read", &self.dir)?.highest();
            let last = last.unwrap_or_else(|| base.saturating_sub(1));
            // We have seen more than there is: the log was cut by hand or by a power loss. What comes next is new.
            self.reused_above = (last < seq).then_some(last);
        }
        Ok((Place::Found, lost))
    }

    /// Whether a line begins at the cursor and is the record that follows it: the usual case of a good hint.
    fn next_follows(&self) -> Result<bool> {
        let Some(file) = &self.open else { return Ok(false) };
        let behind = u64::from(self.cursor.offset > 0);
        let mut bytes = Vec::new();
        segment::read_into(file, &mut bytes, self.cursor.offset - behind, CHUNK.1)
            .context("read", &self.dir)?;
        if behind == 1 && bytes.first() != Some(&b'\n') {
            return Ok(false);
        }
        let lines = bytes.get(usize::from(behind == 1)..).unwrap_or_default();
        let next = segment::lines(lines).next().map(|(_, line)| frame::classify(line));
        Ok(next == Some(Line::Numbered(self.cursor.seq.next().0)))
    }

    /// Opens a segment at an offset; `false` if it is gone.
    fn enter(&mut self, base: u64, offset: u64) -> Result<bool> {
        let path = segment::path(&self.dir, base);
        self.open = match self.storage.open(&path, OpenMode::Read) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(crate::Error::io("open", &path, error)),
        };
        self.cursor.segment = base;
        self.cursor.offset = offset;
        self.sealed = false;
        self.idle = 0;
        Ok(self.open.is_some())
    }
}

/// The segment that holds the last record taken: the hinted one if that is possible, else by number.
fn segment_of(bases: &[u64], hint: &Cursor) -> Option<u64> {
    let seq = hint.seq.0;
    let at = bases.partition_point(|base| *base <= hint.segment);
    let hinted =
        bases.get(at.wrapping_sub(1)).filter(|base| **base == hint.segment && **base <= hint.seq.next().0);
    let hinted = hinted.filter(|_| bases.get(at).is_none_or(|next| *next > seq));
    hinted.or_else(|| bases.iter().rev().find(|base| **base <= seq)).copied()
}

/// A segment is shorter than what was read of it: told, because what was written since may have taken old numbers.
fn cut(segment: u64, from: u64, to: u64) -> Gap {
    Gap::Poison { segment, offset: to, reason: format!("the segment was cut from {from} to {to} bytes") }
}

/// What lies between the last record taken and the next one there is. A reader may have taken records that a power loss took
/// from the log, far fewer than an epoch skips: by so many the jump is shorter for it.
fn gap(after: u64, next: u64) -> Gap {
    if next - after > EPOCH_STEP / 2 {
        Gap::Epoch { after: Seq(after), next: Seq(next) }
    } else {
        Gap::Lagged { from: Seq(after + 1), to: Seq(next - 1) }
    }
}
