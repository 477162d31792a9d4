//! A disk that forgets bits.

use std::fs;

use tachi_shared::check::log::lines_parse;
use tachi_shared::check::segment::segments;
use tachi_shared::layout::Topic;
use tachi_shared::log::{Cursor, Gap};
use tachi_shared::os::Disk;
use tachi_shared::queue::Arrival;

use crate::place::{WAIT, id, message, role, state};

const RECORDS: usize = 5;

/// Ids delivered, and how many gaps were told.
fn delivered(store: &tachi_shared::store::Store) -> (Vec<String>, usize) {
    let mut inbox = store.queue().inbox(&id("instance_2"), &role(), Cursor::default());
    let (mut ids, mut gaps) = (Vec::new(), 0);
    loop {
        let arrivals = inbox.take(100, tachi_shared::clock::Timestamp::EPOCH).unwrap();
        if arrivals.is_empty() {
            return (ids, gaps);
        }
        for arrival in arrivals {
            match arrival {
                Arrival::Message(message) => ids.push(message.draft.id),
                Arrival::Gap(Gap::Unnumbered { .. }) => {}
                Arrival::Gap(_) => gaps += 1,
                Arrival::Expired(message) => panic!("{message:?}"),
            }
        }
    }
}

#[test]
fn s03_s08_s23_10_a_flipped_bit_in_a_sealed_segment_is_told_to_readers_and_by_doctor() {
    let (_temp, store) = state();
    let mut queue = store.queue();
    for k in 0..RECORDS {
        queue.send(&[message(k, "words")], WAIT).unwrap();
    }
    queue.log_mut().rotate(WAIT).unwrap();
    queue.send(&[message(RECORDS, "after")], WAIT).unwrap();
    let path = crate::place::segments(store.dir(), Topic::Messages).remove(0);
    let good = fs::read(&path).unwrap();
    let lines: Vec<usize> = good.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at).collect();
    // Every bit of the middle record, its newlines among them.
    for bit in lines[1] * 8..(lines[2] + 1) * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let (ids, gaps) = delivered(&store);
        let missing: Vec<usize> =
            (0..=RECORDS).filter(|k| !ids.contains(&format!("instance_1.1.{k}"))).collect();
        // A line that is still a message may have become one for somebody else, or another id; nothing else goes untold.
        assert!(
            gaps > 0 || missing.is_empty() || missing == [2],
            "bit {bit}: {missing:?} are missing, untold"
        );
        assert!(ids.len() <= RECORDS + 1, "bit {bit}: {ids:?}");
        let found = segments(&Disk, store.dir(), Topic::Messages).unwrap();
        let is_line =
            |line: &[u8]| serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(line).is_ok();
        let broken =
            bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).any(|line| !is_line(line));
        let reported = lines_parse(&found).problems().count() > 0;
        assert!(reported || !broken, "bit {bit}: doctor does not see it");
        assert!(gaps > 0 || !broken, "bit {bit}: a reader was not told");
    }
}
