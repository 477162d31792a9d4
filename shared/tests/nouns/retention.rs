//! How the queue is kept in bounds, on real files: what may go, what is refused, and what a reader is told.

use std::time::Duration;

use crate::place::{WAIT, id, role, state};
use tachi_shared::Error;
use tachi_shared::clock::{Timestamp, now};
use tachi_shared::id::{Incarnation, ProcessRef, Seq};
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, Durability, Flusher, Gap, Limits, Log, WhenFull};
use tachi_shared::os::Disk;
use tachi_shared::queue::{Arrival, Draft, MessageKind, Queue, Verified};
use tachi_shared::store::Store;

const CAP: u64 = 80_000;

fn limits(when_full: WhenFull) -> Limits {
    Limits { max_bytes: CAP, keep_bytes: 0, when_full, ..Limits::default() }
}

fn queue(dir: &StateDir, when_full: WhenFull) -> Queue {
    Queue::new(Disk, dir).with_limits(limits(when_full))
}

fn draft(to: &str) -> Draft {
    let text = "x".repeat(1000);
    Draft::new(to.parse().unwrap(), "a", MessageKind::Finding, "a.1.1".to_owned(), Timestamp::EPOCH, &text)
}

/// Sends until nothing fits any more.
fn fill(queue: &mut Queue, to: &str) -> Error {
    let full = (0..1000).find_map(|_| queue.send(&[draft(to)], WAIT).err());
    full.expect("a queue without an end")
}

fn reader_at(dir: &StateDir, name: &str, seq: u64) {
    let process = ProcessRef { pid: 1, pid_start: 1, boot_id: "b".to_owned() };
    let mut state = InstanceState::new(&id(name), &role("builder"), Incarnation(1), &process, now());
    state.inbox = Some(Cursor { seq: Seq(seq), ..Cursor::default() });
    InstanceStore::new(Disk, dir, &id(name)).replace(&state).unwrap();
}

fn bytes(dir: &StateDir) -> u64 {
    let files = std::fs::read_dir(dir.segments(Topic::Messages)).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn is_full(error: &Error, name: &str) -> bool {
    matches!(error, Error::QueueFull { slowest: Some(slowest), .. } if slowest == name)
}

#[test]
fn s29_a_full_queue_refuses_and_names_the_slowest_reader() {
    let (_temp, dir) = state();
    reader_at(&dir, "quick", 30);
    reader_at(&dir, "slow", 7);
    let mut queue = queue(&dir, WhenFull::Reject);
    let error = fill(&mut queue, "slow");
    assert!(is_full(&error, "slow"), "{error}");
    assert!(error.to_string().contains("slow has read least"), "{error}");
    assert!(error.hint().unwrap().contains("tachi why slow"));
    assert!(bytes(&dir) <= CAP);
    let end = queue.end().unwrap();
    assert!(is_full(&queue.send(&[draft("slow")], WAIT).unwrap_err(), "slow"));
    assert_eq!(queue.end().unwrap(), end, "a refused message left something behind");
}

#[test]
fn s29_urgent_messages_still_fit_when_others_are_refused() {
    let (_temp, dir) = state();
    let mut queue = queue(&dir, WhenFull::Reject);
    fill(&mut queue, "slow");
    let urgent = Draft { priority: Some("urgent".to_owned()), ..draft("slow") };
    assert!(matches!(queue.send(&[urgent.clone(), draft("slow")], WAIT), Err(Error::QueueFull { .. })));
    queue.send(std::slice::from_ref(&urgent), WAIT).unwrap();
    let refused = (0..100).any(|_| queue.send(std::slice::from_ref(&urgent), WAIT).is_err());
    assert!(refused && bytes(&dir) <= CAP, "the reserve has no end");
}

#[test]
fn s29_room_that_was_made_is_found_by_senders_that_were_refused() {
    let (_temp, dir) = state();
    let mut queue = queue(&dir, WhenFull::Reject);
    fill(&mut queue, "slow");
    let oldest = queue.log_mut().pieces().unwrap()[0].base;
    assert_eq!(queue.log_mut().remove(&[oldest]).unwrap(), 1);
    queue.send(&[draft("slow")], WAIT).unwrap();
}

#[test]
fn s29_where_the_oldest_may_go_the_reader_is_told_exactly_what_it_missed() {
    let (_temp, dir) = state();
    let mut queue = queue(&dir, WhenFull::DropOldest);
    for _ in 0..300 {
        queue.send(&[draft("slow")], WAIT).unwrap();
        assert!(bytes(&dir) <= CAP);
    }
    let first = queue.log_mut().pieces().unwrap()[0].base;
    let mut inbox = queue.inbox(&id("slow"), &role("builder"), Cursor::default());
    let arrivals = inbox.take(1000, now().wall).unwrap();
    let missed = Gap::Lagged { from: Seq(1), to: Seq(first - 1) };
    assert_eq!(arrivals[0], Arrival::Gap(missed));
    assert_eq!(arrivals.len() as u64, 300 - (first - 1) + 1, "something was lost without a word");
}

#[test]
fn s29_more_missing_records_than_an_epoch_skips_are_still_told_as_lost() {
    let (_temp, dir) = state();
    let path = dir.segments(Topic::Messages).join("00000000000002000001.jsonl");
    std::fs::write(path, "{\"seq\":2000001,\"to\":\"slow\"}\n").unwrap();
    let mut reader =
        Log::new(Disk, &dir, Topic::Messages).reader(Cursor { seq: Seq(5), ..Cursor::default() });
    let entries = reader.read(1).unwrap();
    let missed = Gap::Lagged { from: Seq(6), to: Seq(2_000_000) };
    assert_eq!(entries, [tachi_shared::log::Entry::Gap(missed)]);
}

#[test]
fn s29_an_idle_reader_is_moved_over_what_is_for_others_and_no_further() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    for to in ["b", "role:explorer", "operator", "idle", "b"] {
        queue.send(&[draft(to)], WAIT).unwrap();
    }
    reader_at(&dir, "idle", 1);
    let reader = queue.readers().pop().unwrap();
    assert_eq!((reader.seq, reader.lives), (Seq(1), false));
    assert_eq!(queue.idle_until(&reader, Seq(2)).unwrap(), Seq(2));
    assert_eq!(queue.idle_until(&reader, Seq(5)).unwrap(), Seq(3));
    queue.send(&[draft("broadcast")], WAIT).unwrap();
    let passed = tachi_shared::queue::Reader { seq: Seq(4), ..reader };
    assert_eq!(queue.idle_until(&passed, Seq(6)).unwrap(), Seq(5));
    let mut verified = Verified::default();
    verified.advance(&id("idle"), Seq(3));
    verified.advance(&id("idle"), Seq(2));
    verified.save(&Disk, &dir).unwrap();
    assert_eq!(queue.readers().pop().unwrap().seq, Seq(3));
}

#[test]
fn s29_what_was_verified_to_be_for_others_is_not_told_as_missed() {
    let (_temp, dir) = state();
    let mut queue = queue(&dir, WhenFull::DropOldest);
    for _ in 0..300 {
        queue.send(&[draft("b")], WAIT).unwrap();
    }
    let first = queue.log_mut().pieces().unwrap()[0].base;
    let take = |upto: u64| {
        let mut verified = Verified::default();
        verified.advance(&id("idle"), Seq(upto));
        verified.save(&Disk, &dir).unwrap();
        let queue = Queue::new(Disk, &dir);
        queue.inbox(&id("idle"), &role("builder"), Cursor::default()).take(1000, now().wall).unwrap()
    };
    assert_eq!(take(first - 1), []);
    let rest = Gap::Lagged { from: Seq(first - 2), to: Seq(first - 1) };
    assert_eq!(take(first - 3), [Arrival::Gap(rest)]);
}

#[test]
fn s29_a_segment_ends_when_its_first_record_is_a_day_old() {
    let (_temp, dir) = state();
    let mut log = Log::new(Disk, &dir, Topic::Messages);
    let day = Duration::from_secs(86_400);
    let now = Timestamp::from_unix(1_000_000);
    assert!(!log.rotate_older(day, now, WAIT).unwrap(), "an empty log was rotated");
    let record = format!("{{\"to\":\"b\",\"timestamp\":\"{}\"}}", Timestamp::from_unix(1_000_000 - 86_400));
    log.append(&[record], WAIT).unwrap();
    assert!(!log.rotate_older(day, now, WAIT).unwrap());
    assert!(log.rotate_older(day, now.after(Duration::from_secs(1)), WAIT).unwrap());
    assert_eq!(log.pieces().unwrap().iter().map(|piece| piece.base).collect::<Vec<_>>(), [1, 2]);
    assert!(
        !log.rotate_older(day, now.after(day * 9), WAIT).unwrap(),
        "a segment without records was sealed"
    );
}

#[test]
fn s09_a_segment_that_was_sealed_since_the_last_sync_is_synced_too() {
    let (_temp, dir) = state();
    let mut log = Log::new(Disk, &dir, Topic::Messages);
    let mut flusher = Flusher::new(Disk, &dir, Topic::Messages);
    assert_eq!(flusher.flush().unwrap(), 0);
    log.append(&["{\"a\":1}".to_owned()], WAIT).unwrap();
    assert_eq!(flusher.flush().unwrap(), 1);
    assert_eq!(flusher.flush().unwrap(), 0, "what is on the disk was synced again");
    log.append(&["{\"a\":2}".to_owned()], WAIT).unwrap();
    log.rotate(WAIT).unwrap();
    log.append(&["{\"a\":3}".to_owned()], WAIT).unwrap();
    assert_eq!(flusher.flush().unwrap(), 2);
}

#[test]
fn s29_everybody_who_opens_the_directory_agrees_on_the_limits() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("state");
    let store = Store::create(&root).unwrap();
    assert_eq!(store.limits(), Limits::default());
    let settled = Limits { durability: Durability::Durable, ..limits(WhenFull::DropOldest) };
    settled.save(&Disk, store.dir()).unwrap();
    assert_eq!(Store::open(&root).unwrap().limits(), settled);
    std::fs::write(store.dir().limits(), "{").unwrap();
    assert_eq!(Store::open(&root).unwrap().limits(), Limits::default());
}
