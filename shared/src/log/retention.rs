//! Which segments may go — pure.
//!
//! Oldest first, whole segments, never the newest. What everybody has read goes once it is beyond the time *and* the bytes
//! that are kept; when the log comes near its cap the time protects no longer. What somebody has not read stays: at the cap
//! the sender is refused, or ([`WhenFull::DropOldest`]) the oldest goes and its readers are told.

use super::{Limits, Room, WhenFull};
use crate::clock::Timestamp;
use crate::id::Seq;

/// One segment on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First number.
    pub base: u64,
    /// Its size.
    pub bytes: u64,
    /// When it was written last.
    pub written: Timestamp,
}

/// Where one reader stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub name: String,
    /// The last record it has no need of any more.
    pub seq: Seq,
}

/// The reader that holds most back.
#[must_use]
pub fn slowest(readers: &[Standing]) -> Option<&Standing> {
    readers.iter().min_by_key(|reader| reader.seq)
}

/// First numbers of the segments that may go now. `pieces` ascend.
#[must_use]
pub fn expendable(pieces: &[Piece], readers: &[Standing], limits: &Limits, now: Timestamp) -> Vec<u64> {
    let read = slowest(readers).map_or(u64::MAX, |reader| reader.seq.0);
    let mut left: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let mut gone = Vec::new();
    for (piece, next) in pieces.iter().zip(pieces.iter().skip(1)) {
        let crowded = left > limits.cap(Room::Usual) - limits.cap(Room::Usual) / 10;
        let old = piece.written.age(now) > limits.keep_time;
        let beyond = left.saturating_sub(piece.bytes) >= limits.keep_bytes.min(limits.max_bytes / 2);
        if next.base > read.saturating_add(1) || !beyond || !(old || crowded) {
            break;
        }
        left = left.saturating_sub(piece.bytes);
        gone.push(piece.base);
    }
    gone
}

/// First numbers of the segments that have to go so that the log has at most `most` bytes after `extra` more; `None` if it
/// is not allowed to make room that way, or if that would not be enough.
#[must_use]
pub fn sacrificed(pieces: &[Piece], extra: u64, most: u64, when_full: WhenFull) -> Option<Vec<u64>> {
    let mut left = pieces.iter().map(|piece| piece.bytes).sum::<u64>() + extra;
    let mut gone = Vec::new();
    for (piece, _next) in pieces.iter().zip(pieces.iter().skip(1)) {
        if left <= most || when_full == WhenFull::Reject {
            break;
        }
        left = left.saturating_sub(piece.bytes);
        gone.push(piece.base);
    }
    (left <= most).then_some(gone)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: u64 = 3600;

    fn limits() -> Limits {
        Limits {
            keep_time: Duration::from_secs(24 * HOUR),
            keep_bytes: 20,
            max_bytes: 1000,
            ..Limits::default()
        }
    }

    /// Segments of ten records and `bytes` each; `ages` in hours, oldest first.
    fn pieces(bytes: u64, ages: &[u64]) -> Vec<Piece> {
        let written = |age: u64| Timestamp::from_unix(i64::try_from((1000 - age) * HOUR).unwrap());
        let piece =
            |(n, age): (usize, &u64)| Piece { base: n as u64 * 10 + 1, bytes, written: written(*age) };
        ages.iter().enumerate().map(piece).collect()
    }

    fn check(pieces: &[Piece], read: &[u64], expected: &[u64]) {
        let standing = |seq: &u64| Standing { name: format!("reader_{seq}"), seq: Seq(*seq) };
        let readers: Vec<Standing> = read.iter().map(standing).collect();
        let now = Timestamp::from_unix(1000 * 3600);
        assert_eq!(expendable(pieces, &readers, &limits(), now), expected, "read {read:?}");
    }

    #[test]
    fn s29_what_a_reader_has_not_read_stays() {
        let old = pieces(10, &[100, 90, 80, 70, 60]);
        check(&old, &[], &[1, 11, 21]);
        check(&old, &[50], &[1, 11, 21]);
        check(&old, &[50, 20], &[1, 11]);
        check(&old, &[19], &[1]);
        check(&old, &[9], &[]);
        check(&old, &[0, 50], &[]);
    }

    #[test]
    fn s29_what_is_young_or_among_the_newest_bytes_stays_although_it_was_read() {
        check(&pieces(10, &[100, 90, 3, 2, 1]), &[50], &[1, 11]);
        check(&pieces(10, &[100, 90, 80]), &[30], &[1]);
        check(&pieces(10, &[100, 90]), &[20], &[]);
        check(&pieces(10, &[100]), &[10], &[]);
        check(&[], &[], &[]);
    }

    #[test]
    fn s29_near_the_cap_age_protects_no_longer_but_unread_records_stay() {
        // 950 are for usual messages, so from 855 on it is crowded.
        let young = pieces(100, &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
        check(&young, &[90], &[1]);
        check(&young, &[9], &[]);
        check(&pieces(90, &[9, 8, 7, 6, 5, 4, 3, 2, 1]), &[90], &[]);
    }

    #[test]
    fn s29_room_is_made_only_where_that_is_allowed_and_never_with_the_newest() {
        let full = pieces(100, &[3, 2, 1]);
        assert_eq!(sacrificed(&full, 10, 310, WhenFull::Reject), Some(vec![]));
        assert_eq!(sacrificed(&full, 11, 310, WhenFull::Reject), None);
        assert_eq!(sacrificed(&full, 11, 310, WhenFull::DropOldest), Some(vec![1]));
        assert_eq!(sacrificed(&full, 10, 110, WhenFull::DropOldest), Some(vec![1, 11]));
        assert_eq!(sacrificed(&full, 11, 110, WhenFull::DropOldest), None);
    }

    #[test]
    fn s29_urgent_messages_have_a_twentieth_of_the_room_for_themselves() {
        assert_eq!((limits().cap(Room::Usual), limits().cap(Room::Reserved)), (950, 1000));
    }
}
