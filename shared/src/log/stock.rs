//! The segments of a log as a stock of bytes: counting them, making room, removing what may go, beginning a new one by age.
//!
//! Sealed segments never change, so removing one needs no lock: a reader that has it open reads it to its end. The count is
//! taken once per segment and kept; it is taken again before anybody is refused.

use std::time::Duration;

use serde::Deserialize;

use super::retention::{Piece, sacrificed};
use super::writer::Log;
use super::{Limits, Room, segment};
use crate::clock::Timestamp;
use crate::error::{Context as _, Error, Result};
use crate::os::{Handle as _, OpenMode, Storage};

/// Bytes of the first record that are looked at for its time.
const FIRST: u64 = 1024 * 1024;

/// The time a record carries.
#[derive(Deserialize)]
struct Stamp {
    #[serde(alias = "at")]
    timestamp: Timestamp,
}

impl<S: Storage> Log<S> {
    /// The same log with an end to its growth.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.segment_bytes = limits.segment_bytes();
        self.durability = limits.durability;
        self.limits = Some(limits);
        self
    }

    /// Where the segment with this first number is.
    pub(crate) fn segment(&self, base: u64) -> std::path::PathBuf {
        segment::path(&self.dir, base)
    }

    /// The segments there are, ascending.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pieces(&self) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for base in segment::list(&self.storage, &self.dir)? {
            let path = segment::path(&self.dir, base);
            // Somebody else may remove it at this moment.
            let Ok(stat) = self.storage.stat(&path) else { continue };
            let seconds = i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default();
            pieces.push(Piece { base, bytes: stat.size, written: Timestamp::from_unix(seconds) });
        }
        Ok(pieces)
    }

    /// Removes the segments with these first numbers, but never the newest; returns how many there were.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, bases: &[u64]) -> Result<usize> {
        let newest = segment::list(&self.storage, &self.dir)?.pop();
        let mut removed = 0;
        for base in bases.iter().filter(|base| Some(**base) != newest) {
            let path = segment::path(&self.dir, *base);
            match self.storage.remove(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                done => {
                    done.context("remove", &path)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Begins a new segment if the first record of the newest is older than `age`; tells whether it did.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn rotate_older(&mut self, age: Duration, now: Timestamp, wait: Duration) -> Result<bool> {
        let Some(begun) = self.begun()? else { return Ok(false) };
        if begun.age(now) <= age {
            return Ok(false);
        }
        self.rotate(wait).map(|()| true)
    }

    /// The time the first record of the newest segment carries.
    fn begun(&self) -> Result<Option<Timestamp>> {
        let Some(base) = segment::list(&self.storage, &self.dir)?.pop() else { return Ok(None) };
        let path = segment::path(&self.dir, base);
        let file = self.storage.open(&path, OpenMode::Read).context("open", &path)?;
        let size = file.extent().context("look at", &path)?.size;
        let mut bytes = Vec::new();
        segment::read_into(&file, &mut bytes, 0, size.min(FIRST)).context("read", &path)?;
        let stamp = segment::lines(&bytes).find_map(|(_, line)| serde_json::from_slice::<Stamp>(line).ok());
        Ok(stamp.map(|stamp| stamp.timestamp))
    }

    /// Makes sure that the filled buffer fits under the cap.
    pub(super) fn make_room(&mut self, room: Room) -> Result<()> {
        let (Some(limits), Some(active)) = (self.limits, &self.active) else { return Ok(()) };
        let (base, most) = (active.base, limits.cap(room));
        let more = active.end + self.buffer.len() as u64;
        if self.counted.is_some_and(|(before, sealed)| before == base && sealed + more <= most) {
            return Ok(());
        }
        let mut pieces = self.pieces()?;
        // The newest as we know it: between two writes nobody changes it.
        pieces.retain(|piece| piece.base < base);
        let sealed: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        let newest = Piece { base, bytes: 0, written: Timestamp::EPOCH };
        let candidates: Vec<Piece> = pieces.iter().copied().chain([newest]).collect();
        let Some(gone) = sacrificed(&candidates, more, most, limits.when_full) else {
            return Err(Error::QueueFull {
                topic: self.topic,
                bytes: sealed + more,
                limit: most,
                slowest: None,
            });
        };
        self.remove(&gone)?;
        let freed: u64 =
            pieces.iter().filter(|piece| gone.contains(&piece.base)).map(|piece| piece.bytes).sum();
        self.counted = Some((base, sealed - freed));
        Ok(())
    }
}
