//! Damaged segments: the record parser, the repair of the end, resuming at any cursor, and the fold of the board.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::id::Seq;
use tachi_shared::layout::Topic;
use tachi_shared::log::{Cursor, Entry, Log};
use tachi_shared::os::Disk;
use tachi_shared::queue::Arrival;
use tachi_shared::store::Store;

use crate::dice::Dice;
use crate::mutation::{cases, corpus, damage, folder};

const WAIT: Duration = Duration::from_secs(10);

fn segment(store: &Store, topic: Topic, base: u64) -> PathBuf {
    store.dir().segments(topic).join(format!("{base:020}.jsonl"))
}

/// A store whose only segment of `topic` is a damaged corpus file; also what is in it.
fn damaged(dice: &mut Dice, root: &Path, topic: Topic, names: &[&str]) -> (Store, Vec<u8>) {
    let name = names[usize::try_from(dice.below(names.len() as u64)).unwrap()];
    let mut bytes = corpus(name);
    damage(&mut bytes, dice);
    let store = Store::create(root).unwrap();
    fs::write(segment(&store, topic, 1), &bytes).unwrap();
    (store, bytes)
}

/// Everything in the files of a topic, in order.
fn all_bytes(store: &Store, topic: Topic) -> Vec<u8> {
    let mut paths: Vec<_> =
        fs::read_dir(store.dir().segments(topic)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Reads to the end in small bites; that it ends is part of what is tested.
fn read_all(log: &Log, cursor: Cursor, dice: &mut Dice) -> Vec<Entry> {
    let mut reader = log.reader(cursor);
    let mut all = Vec::new();
    for _ in 0..10_000 {
        let bite = usize::try_from(1 + dice.below(40)).unwrap();
        let entries = reader.read(bite).unwrap();
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
    panic!("a reader never came to the end");
}

#[test]
fn s21_repairing_any_bytes_keeps_every_complete_line_and_a_second_repair_changes_nothing() {
    cases(|dice| {
        let temp = folder();
        let (store, bytes) =
            damaged(dice, &temp.path().join("s"), Topic::Messages, &["messages.jsonl", "hostile.jsonl"]);
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
        let entries = read_all(&new(), Cursor::default(), dice);
        let ends =
            |entry: &Entry, mark: &str| matches!(entry, Entry::Record { line, .. } if line.ends_with(mark));
        assert!(entries.iter().any(|entry| ends(entry, "\"new\":1}")), "{entries:?}");
        assert!(ends(entries.last().unwrap(), "\"new\":2}"), "{entries:?}");
    });
}

#[test]
fn s23_32_after_another_boot_any_bytes_are_left_behind_below_a_new_segment() {
    cases(|dice| {
        let temp = folder();
        let root = temp.path().join("s");
        let store = Store::create(&root).unwrap();
        let log = |boot: &str| -> Log { Log::new(Disk, store.dir(), Topic::Messages).with_boot(boot) };
        let before = log("a").append(&vec![r#"{"old":1}"#.to_owned(); 20], WAIT).unwrap();
        let path = segment(&store, Topic::Messages, 1);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes, dice);
        fs::write(&path, &bytes).unwrap();
        let Ok(appended) = log("b").append(&[r#"{"new":1}"#.to_owned()], WAIT) else { return };
        assert!(appended.first > before.last, "a number was given again");
        let again = log("b").append(&[r#"{"new":2}"#.to_owned()], WAIT).unwrap();
        assert_eq!(again.last.0, appended.last.0 + 1, "one boot makes one step");
        let entries = read_all(&log("b"), Cursor::default(), dice);
        assert!(matches!(entries.last(), Some(Entry::Record { seq, .. }) if *seq == again.last));
    });
}

#[test]
fn s07_a_reader_resumes_at_any_cursor_in_any_bytes_and_hears_of_what_comes_next() {
    cases(|dice| {
        let temp = folder();
        let (store, bytes) =
            damaged(dice, &temp.path().join("s"), Topic::Messages, &["messages.jsonl", "hostile.jsonl"]);
        let seq = if dice.below(20) == 0 { dice.roll() | u64::MAX << dice.below(64) } else { dice.below(10) };
        let cursor =
            Cursor { seq: Seq(seq), segment: dice.below(3), offset: dice.below(bytes.len() as u64 + 9) };
        let mut log: Log = Log::new(Disk, store.dir(), Topic::Messages);
        let mut reader = log.reader(cursor.clone());
        for _ in 0..200 {
            if reader.read(usize::try_from(1 + dice.below(9)).unwrap()).unwrap().is_empty() {
                break;
            }
        }
        if log.append(&[r#"{"new":1}"#.to_owned()], WAIT).is_err() {
            return;
        }
        let mut heard = false;
        // A switch of segments is found at the next search of the directory.
        for _ in 0..200 {
            let entries = reader.read(100).unwrap();
            heard |= entries
                .iter()
                .any(|entry| matches!(entry, Entry::Record { line, .. } if line.contains("\"new\":1")));
        }
        assert!(heard, "from {cursor:?} the new record was never heard of; now at {:?}", reader.cursor());
    });
}

#[test]
fn s08_an_inbox_and_the_newest_of_any_bytes_never_fail() {
    cases(|dice| {
        let temp = folder();
        let (store, _) =
            damaged(dice, &temp.path().join("s"), Topic::Messages, &["messages.jsonl", "hostile.jsonl"]);
        let queue = store.queue();
        let (id, role) = ("instance_1".parse().unwrap(), "explorer".parse().unwrap());
        let mut inbox = queue.inbox(&id, &role, Cursor::default());
        let arrivals = inbox.take(10_000, tachi_shared::clock::now().wall).unwrap();
        let mut before = Seq(0);
        for arrival in &arrivals {
            if let Arrival::Message(message) = arrival {
                before = before.max(message.seq);
            }
        }
        queue.newest(200).unwrap();
        queue.end().unwrap();
        queue.messages(Cursor::default(), usize::MAX).unwrap();
    });
}

#[test]
fn a_board_folded_from_any_bytes_counts_what_it_could_not_use() {
    cases(|dice| {
        let temp = folder();
        let (store, _) =
            damaged(dice, &temp.path().join("s"), Topic::Tasks, &["tasks.jsonl", "hostile.jsonl"]);
        let mut board = store.tasks();
        let first = board.board().unwrap().clone();
        board.write_view(tachi_shared::clock::now()).unwrap();
        let view: serde_json::Value =
            serde_json::from_slice(&fs::read(store.dir().view(Topic::Tasks)).unwrap()).unwrap();
        assert_eq!(view["tasks"].as_array().unwrap().len(), first.tasks.len());
        let mut again = store.tasks();
        assert_eq!(again.board().unwrap(), &first, "two folds differ");
    });
}
