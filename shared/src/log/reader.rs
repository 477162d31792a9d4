//! stub
use super::Cursor;
use crate::error::Result;
use crate::id::Seq;
use crate::os::Storage;

/// What a reader meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// One record: its position and its line without the newline.
    Record {
        /// Position.
        seq: Seq,
        /// The line.
        line: String,
    },
    /// Records that can not be delivered any more, or a line nobody can read.
    Gap(Gap),
}

/// Something is missing between two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Records `from..=to` are gone (retention, hand deletion).
    Lagged {
        /// First missing.
        from: Seq,
        /// Last missing.
        to: Seq,
    },
    /// Sequence numbers skipped by a new epoch; nothing was lost that had been synced.
    Epoch {
        /// Last before.
        after: Seq,
        /// First of the new epoch.
        next: Seq,
    },
    /// A line that is no JSON object; skipped, takes no sequence number.
    Poison {
        /// First sequence number of the segment.
        segment: u64,
        /// Where in the segment.
        offset: u64,
        /// Why.
        reason: String,
    },
}

/// Reads a log from a cursor on, without locks.
pub struct LogReader<S: Storage> {
    _storage: S,
}

impl<S: Storage> LogReader<S> {
    /// Takes everything complete behind the cursor, at most `max` entries; advances the in-memory cursor.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn read(&mut self, _max: usize) -> Result<Vec<Entry>> {
        todo!()
    }

    /// Where the reader stands; persist this after handling what was read.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        todo!()
    }
}
