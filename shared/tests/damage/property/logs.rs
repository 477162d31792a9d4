//! Segments of any bytes: the record parser, the repair of the end, resuming at any cursor, and the fold of the board.

use std::fs;
use std::path::PathBuf;

use tachi_shared::clock::now;
use tachi_shared::id::Seq;
use tachi_shared::layout::Topic;
use tachi_shared::log::{Cursor, Entry, Log};
use tachi_shared::os::Disk;
use tachi_shared::queue::Arrival;
use tachi_shared::store::Store;

use super::{WAIT, fresh};

fn segment(store: &Store, topic: Topic, base: u64) -> PathBuf {
    store.dir().segments(topic).join(format!("{base:020}.jsonl"))
}

/// A store whose only segment of `topic` is this.
fn holding(bytes: &[u8], topic: Topic) -> (tempfile::TempDir, Store) {
    let (temp, store) = fresh();
    fs::write(segment(&store, topic, 1), bytes).unwrap();
    (temp, store)
}

/// Everything in the files of a topic, in order.
fn all_bytes(store: &Store, topic: Topic) -> Vec<u8> {
    let mut paths: Vec<_> =
        fs::read_dir(store.dir().segments(topic)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Reads to the end in small bites; that it ends is part of what is tested.
fn read_all(log: &Log, cursor: Cursor) -> Vec<Entry> {
    let mut reader = log.reader(cursor);
    let mut all = Vec::new();
    for round in 0..10_000 {
        let entries = reader.read(1 + round * 7 % 40).unwrap();
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
    panic!("a reader never came to the end");
}

/// A repair keeps every complete line, sets a torn end aside, and a second repair changes nothing.
pub(crate) fn repaired(bytes: &[u8]) {
    let (_temp, store) = holding(bytes, Topic::Messages);
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let new = || -> Log { Log::new(Disk, store.dir(), Topic::Messages) };
    let Ok(appended) = new().append(&[r#"{"new":1}"#.to_owned()], WAIT) else {
        // The highest number there can be was used up by hand: refused, and nothing else was touched.
        assert!(all_bytes(&store, Topic::Messages).starts_with(&bytes[..complete]));
        return;
    };
    let after = all_bytes(&store, Topic::Messages);
    assert!(after.starts_with(&bytes[..complete]), "a complete line was changed");
    assert!(after.ends_with(b"\n"));
    let rest = &bytes[complete..];
    if !rest.is_empty() && !after[complete..].starts_with(rest) {
        let mut kept = fs::read_dir(store.dir().rejected())
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap());
        assert!(kept.any(|kept| kept == rest), "a torn end disappeared");
    }
    let last = new().append(&[r#"{"new":2}"#.to_owned()], WAIT).unwrap();
    assert!(last.last > appended.last);
    assert!(all_bytes(&store, Topic::Messages).starts_with(&after), "the second writer repaired again");
    let entries = read_all(&new(), Cursor::default());
    let ends =
        |entry: &Entry, mark: &str| matches!(entry, Entry::Record { line, .. } if line.ends_with(mark));
    assert!(entries.iter().any(|entry| ends(entry, "\"new\":1}")), "{entries:?}");
    assert!(ends(entries.last().unwrap(), "\"new\":2}"), "{entries:?}");
}

/// What a log of twenty records looks like.
pub(crate) fn twenty() -> Vec<u8> {
    let (_temp, store) = fresh();
    let mut log: Log = Log::new(Disk, store.dir(), Topic::Messages);
    log.append(&vec![r#"{"old":1}"#.to_owned(); 20], WAIT).unwrap();
    fs::read(segment(&store, Topic::Messages, 1)).unwrap()
}

/// After another boot whatever became of twenty records is left behind below a new segment; no number is given again.
pub(crate) fn booted(bytes: &[u8]) {
    let (_temp, store) = fresh();
    let log = |boot: &str| -> Log { Log::new(Disk, store.dir(), Topic::Messages).with_boot(boot) };
    let before = log("a").append(&vec![r#"{"old":1}"#.to_owned(); 20], WAIT).unwrap();
    fs::write(segment(&store, Topic::Messages, 1), bytes).unwrap();
    let Ok(appended) = log("b").append(&[r#"{"new":1}"#.to_owned()], WAIT) else { return };
    assert!(appended.first > before.last, "a number was given again");
    let again = log("b").append(&[r#"{"new":2}"#.to_owned()], WAIT).unwrap();
    assert_eq!(again.last.0, appended.last.0 + 1, "one boot makes one step");
    let entries = read_all(&log("b"), Cursor::default());
    assert!(matches!(entries.last(), Some(Entry::Record { seq, .. }) if *seq == again.last));
}

/// A reader resumes at any cursor, and hears of what comes next.
pub(crate) fn resumed(bytes: &[u8], cursor: &Cursor, bite: usize) {
    let (_temp, store) = holding(bytes, Topic::Messages);
    let mut log: Log = Log::new(Disk, store.dir(), Topic::Messages);
    let mut reader = log.reader(cursor.clone());
    for _ in 0..200 {
        if reader.read(bite).unwrap().is_empty() {
            break;
        }
    }
    if log.append(&[r#"{"new":1}"#.to_owned()], WAIT).is_err() {
        return;
    }
    let is_new = |entry: &Entry| matches!(entry, Entry::Record { line, .. } if line.contains("\"new\":1"));
    // A switch of segments is found at the next search of the directory.
    let heard = (0..200).any(|_| reader.read(100).unwrap().iter().any(is_new));
    assert!(heard, "from {cursor:?} the new record was never heard of; now at {:?}", reader.cursor());
}

/// An inbox, and looking at the newest, never fail.
pub(crate) fn read(bytes: &[u8]) {
    let (_temp, store) = holding(bytes, Topic::Messages);
    let queue = store.queue();
    let (id, role) = ("instance_1".parse().unwrap(), "explorer".parse().unwrap());
    let mut inbox = queue.inbox(&id, &role, Cursor::default());
    let arrivals = inbox.take(10_000, now().wall).unwrap();
    let mut before = Seq(0);
    for arrival in &arrivals {
        if let Arrival::Message(message) = arrival {
            before = before.max(message.seq);
        }
    }
    queue.newest(200).unwrap();
    queue.end().unwrap();
    queue.messages(Cursor::default(), usize::MAX).unwrap();
}

/// A board folded from any bytes is shown as it was folded, and folds alike again.
pub(crate) fn folded(bytes: &[u8]) {
    let (_temp, store) = holding(bytes, Topic::Tasks);
    let mut board = store.tasks();
    let first = board.board().unwrap().clone();
    board.write_view(now()).unwrap();
    let view: serde_json::Value =
        serde_json::from_slice(&fs::read(store.dir().view(Topic::Tasks)).unwrap()).unwrap();
    assert_eq!(view["tasks"].as_array().unwrap().len(), first.tasks.len());
    let mut again = store.tasks();
    assert_eq!(again.board().unwrap(), &first, "two folds differ");
}
