//! What a reader of a log meets: records, and what is missing between them.

use crate::id::Seq;

/// What a reader meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// One record: its position and its line without the newline. The line has the form we write, or is JSON; a caller that
    /// cannot parse a line in our form (bytes were changed by hand or by the disk) has to report it, not to skip it.
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
    /// Sequence numbers skipped by a new epoch, or given again because the log was cut or replaced (`next` is then not above
    /// `after`); nothing was lost that had been synced.
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
    /// A JSON object without `seq`, appended by hand; takes no sequence number. Whoever imports appends it anew, once.
    Unnumbered {
        /// First sequence number of the segment.
        segment: u64,
        /// Where in the segment: with `segment`, the identity of this line.
        offset: u64,
        /// The line.
        line: String,
    },
}
