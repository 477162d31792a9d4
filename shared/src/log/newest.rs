//! The end of a log: its newest records without reading all of it.

use std::collections::VecDeque;

use super::{Cursor, Entry, Log, segment};
use crate::error::Result;
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::os::Storage;

/// Records taken in one go.
const CHUNK: usize = 1024;

/// The newest `count` records of a topic, oldest first. Reads as many segments from the end as that takes, and of the last
/// one only what can be among the newest.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn newest<S: Storage>(
    storage: &S,
    dir: &StateDir,
    topic: Topic,
    log: &Log<S>,
    count: usize,
) -> Result<Vec<(Seq, String)>> {
    let bases = segment::list(storage, &dir.segments(topic))?;
    // Positions are contiguous within a segment, so nothing before this can be among the newest of the last one.
    let mut floor = log.end()?.seq.0.saturating_sub(count as u64);
    let mut found: VecDeque<(Seq, String)> = VecDeque::new();
    let mut until = u64::MAX;
    for base in bases.into_iter().rev() {
        let from = floor.max(base.saturating_sub(1));
        let mut kept = stretch(log, Seq(from), until, count - found.len())?;
        kept.append(&mut found);
        found = kept;
        if found.len() >= count {
            break;
        }
        // How far an older segment reaches is known only by reading it: an epoch may have skipped positions.
        (floor, until) = (0, base);
    }
    Ok(found.into())
}

/// The newest `count` records behind `after` and before `until`.
fn stretch<S: Storage>(
    log: &Log<S>,
    after: Seq,
    until: u64,
    count: usize,
) -> Result<VecDeque<(Seq, String)>> {
    let mut reader = log.reader(Cursor { seq: after, ..Cursor::default() });
    let mut kept = VecDeque::new();
    loop {
        let entries = reader.read(CHUNK)?;
        if entries.is_empty() {
            return Ok(kept);
        }
        for entry in entries {
            let Entry::Record { seq, line } = entry else { continue };
            if seq.0 >= until {
                return Ok(kept);
            }
            kept.push_back((seq, line));
            if kept.len() > count {
                kept.pop_front();
            }
        }
    }
}
