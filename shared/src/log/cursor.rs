//! What a reader has seen — pure.

use serde::{Deserialize, Serialize};

use crate::id::Seq;

/// Position behind the last record taken. `seq` is the truth; `segment` and `offset` are a hint that is checked before use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Last record taken; 0 = none.
    pub seq: Seq,
    /// First sequence number of the segment it was in (its file name).
    #[serde(default)]
    pub segment: u64,
    /// Byte offset behind it.
    #[serde(default)]
    pub offset: u64,
}
