//! The log engine on the real disk: many writers, readers without locks, every kind of damage.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test touches files, processes and time itself and fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tachi_shared::Error;
use tachi_shared::id::Seq;
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, EPOCH_STEP, Entry, Gap, Log};
use tachi_shared::os::{Disk, Storage as _};

const LONG: Duration = Duration::from_secs(20);

/// A log in a directory of its own.
struct Place {
    _tmp: tempfile::TempDir,
    dir: StateDir,
}

impl Place {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(tmp.path().join("state"));
        dir.directories().iter().for_each(|path| Disk.make_dir(path).unwrap());
        Self { _tmp: tmp, dir }
    }

    fn log(&self) -> Log {
        Log::new(Disk, &self.dir, Topic::Messages)
    }

    fn segment(&self, base: u64) -> PathBuf {
        self.dir.segments(Topic::Messages).join(format!("{base:020}.jsonl"))
    }

    fn segments(&self) -> Vec<String> {
        let mut names = Disk.list(&self.dir.segments(Topic::Messages)).unwrap();
        names.sort();
        names
    }

    fn rejected(&self) -> Vec<PathBuf> {
        let names = Disk.list(&self.dir.rejected()).unwrap();
        let bad =
            names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|ext| ext == "bad"));
        bad.map(|name| self.dir.rejected().join(name)).collect()
    }

    fn append_by_hand(&self, base: u64, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.segment(base)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

fn record(n: u64) -> String {
    format!("{{\"n\":{n}}}")
}

fn send(log: &mut Log, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        assert_eq!(log.append(&[record(n)], LONG).unwrap().last, Seq(n));
    }
}

fn read_all(log: &Log, cursor: Cursor) -> Vec<Entry> {
    let mut reader = log.reader(cursor);
    let mut all = Vec::new();
    loop {
        let some = reader.read(100).unwrap();
        if some.is_empty() {
            return all;
        }
        assert!(some.len() <= 100);
        all.extend(some);
    }
}

fn seqs(entries: &[Entry]) -> Vec<u64> {
    let seq = |entry: &Entry| match entry {
        Entry::Record { seq, .. } => Some(seq.0),
        Entry::Gap(_) => None,
    };
    entries.iter().filter_map(seq).collect()
}

fn gaps(entries: &[Entry]) -> Vec<Gap> {
    let gap = |entry: &Entry| match entry {
        Entry::Gap(gap) => Some(gap.clone()),
        Entry::Record { .. } => None,
    };
    entries.iter().filter_map(gap).collect()
}

fn lagged(from: u64, to: u64) -> Gap {
    Gap::Lagged { from: Seq(from), to: Seq(to) }
}

#[test]
fn s04_records_are_numbered_without_gaps_and_named_by_the_first() {
    let place = Place::new();
    let mut log = place.log();
    let done = log.append(&[record(1), record(2), "{}".to_owned()], LONG).unwrap();
    assert_eq!((done.first, done.last), (Seq(1), Seq(3)));
    assert_eq!(place.segments(), ["00000000000000000001.jsonl"]);
    let text = fs::read_to_string(place.segment(1)).unwrap();
    assert_eq!(text, "{\"seq\":1,\"n\":1}\n{\"seq\":2,\"n\":2}\n{\"seq\":3}\n");
    assert_eq!(log.end().unwrap().seq, Seq(3));
    assert_eq!(log.append::<String>(&[], LONG).unwrap().last, Seq(3), "nothing to append is no error");
}

#[test]
fn s02_what_is_refused_leaves_no_trace() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=1);
    let huge = format!("{{\"content\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert!(matches!(log.append(&[record(2), huge], LONG), Err(Error::TooLarge { .. })));
    assert!(matches!(log.append(&["[]".to_owned()], LONG), Err(Error::Refused(_))));
    assert!(matches!(log.append(&["{\n}".to_owned()], LONG), Err(Error::Refused(_))));
    assert_eq!(fs::read_to_string(place.segment(1)).unwrap().lines().count(), 1);
    send(&mut log, 2..=2);
}

#[test]
fn s23_28_a_line_of_exactly_the_limit_is_taken_and_read_back() {
    let place = Place::new();
    let mut log = place.log();
    let frame = "{\"seq\":1,\"c\":\"\"}\n".len();
    let content = format!("{{\"c\":\"{}\"}}", "x".repeat(1024 * 1024 - frame));
    log.append(std::slice::from_ref(&content), LONG).unwrap();
    assert_eq!(fs::metadata(place.segment(1)).unwrap().len(), 1024 * 1024);
    let longer = content.replace("x\"}", "xx\"}");
    assert!(matches!(log.append(&[longer], LONG), Err(Error::TooLarge { .. })));
    send(&mut log, 2..=2);
    assert_eq!(seqs(&read_all(&log, Cursor::default())), [1, 2]);
}

#[test]
fn s04_a_full_segment_is_sealed_and_everybody_goes_on_in_the_next() {
    let place = Place::new();
    // Two writers with their own caches: the second must notice the first one's switch.
    let mut logs = [place.log().with_segment_bytes(200), place.log().with_segment_bytes(200)];
    let mut reader = logs[0].reader(Cursor::default());
    let mut seen = Vec::new();
    for n in 1..=100 {
        let log = &mut logs[usize::from(n % 3 == 0)];
        assert_eq!(log.append(&[record(n)], LONG).unwrap().last, Seq(n));
        if n % 7 == 0 {
            seen.extend(seqs(&reader.read(1000).unwrap()));
        }
    }
    seen.extend(seqs(&reader.read(1000).unwrap()));
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    assert!(place.segments().len() > 5, "{:?}", place.segments());
    for name in place.segments() {
        let base: u64 = name.trim_end_matches(".jsonl").parse().unwrap();
        let text = fs::read_to_string(place.segment(base)).unwrap();
        assert!(text.is_empty() || text.starts_with(&format!("{{\"seq\":{base},")), "{name}: {text}");
    }
}

#[test]
fn a_reader_that_waits_at_the_end_notices_a_switch_at_its_next_look() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=2);
    let mut reader = log.reader(Cursor::default());
    assert_eq!(seqs(&reader.read(10).unwrap()), [1, 2]);
    for _ in 0..10 {
        assert_eq!(reader.read(10).unwrap(), []);
    }
    log.rotate(LONG).unwrap();
    log.rotate(LONG).unwrap();
    assert_eq!(place.segments().len(), 2, "an empty segment is not sealed again");
    send(&mut log, 3..=3);
    assert_eq!(seqs(&reader.read(10).unwrap()), [3]);
    assert_eq!(reader.cursor().segment, 3);
}

#[test]
fn s23_7_a_tail_torn_at_any_byte_is_cut_and_kept_and_nothing_else_is_lost() {
    let whole = "{\"seq\":3,\"content\":\"ab\\\"c}\"}\n";
    for length in 1..whole.len() {
        let place = Place::new();
        send(&mut place.log(), 1..=2);
        place.append_by_hand(1, &whole[..length]);
        let mut log = place.log();
        let missing_newline_only = length == whole.len() - 1;
        assert_eq!(seqs(&read_all(&log, Cursor::default())), [1, 2], "a reader stops at the last newline");
        let next = if missing_newline_only { 4 } else { 3 };
        assert_eq!(log.append(&[record(9)], LONG).unwrap().last, Seq(next), "cut after {length}");
        let all = read_all(&log, Cursor::default());
        assert_eq!(seqs(&all), (1..=next).collect::<Vec<_>>());
        assert_eq!(gaps(&all), []);
        let kept: Vec<_> = place.rejected().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        let expected = if missing_newline_only { vec![] } else { vec![whole[..length].to_owned()] };
        assert_eq!(kept, expected);
    }
}

#[test]
fn s23_9_a_tail_of_zero_bytes_is_cut() {
    let place = Place::new();
    send(&mut place.log(), 1..=2);
    place.append_by_hand(1, &"\0".repeat(9000));
    let mut log = place.log();
    send(&mut log, 3..=3);
    assert_eq!(seqs(&read_all(&log, Cursor::default())), [1, 2, 3]);
    assert_eq!(fs::read(&place.rejected()[0]).unwrap().len(), 9000);
}

#[test]
fn s23_9_garbage_in_the_middle_is_told_and_the_rest_delivered() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=5);
    let path = place.segment(1);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b"{\"seq\":3").unwrap();
    bytes[at..at + 8].fill(0);
    fs::write(&path, &bytes).unwrap();
    let all = read_all(&log, Cursor::default());
    assert_eq!(seqs(&all), [1, 2, 4, 5]);
    let told = gaps(&all);
    assert!(matches!(told[0], Gap::Poison { segment: 1, offset, .. } if offset == at as u64), "{told:?}");
    assert_eq!(told[1], lagged(3, 3));
    send(&mut log, 6..=6);
}

#[test]
fn a_line_appended_by_hand_takes_no_number_and_is_handed_to_the_importer() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=1);
    let mut live = log.reader(Cursor::default());
    live.read(10).unwrap();
    place.append_by_hand(1, "{\"to\":\"x\"}\nnot json\n");
    send(&mut log, 2..=2);
    for all in [live.read(10).unwrap(), read_all(&log, Cursor { seq: Seq(1), segment: 0, offset: 0 })] {
        assert_eq!(seqs(&all), [2]);
        let told = gaps(&all);
        assert!(matches!(&told[0], Gap::Unnumbered { line, .. } if line == "{\"to\":\"x\"}"), "{told:?}");
        assert!(matches!(&told[1], Gap::Poison { .. }), "{told:?}");
    }
}

#[test]
fn s23_18_deleted_segments_are_told_with_the_exact_count() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=10);
    let mut live = log.reader(Cursor::default());
    live.read(4).unwrap();
    let away = live.cursor().clone();
    log.rotate(LONG).unwrap();
    send(&mut log, 11..=20);
    log.rotate(LONG).unwrap();
    send(&mut log, 21..=22);
    fs::remove_file(place.segment(1)).unwrap();
    fs::remove_file(place.segment(11)).unwrap();
    // Away: everything between is gone. Open: what was in the open file can still be read.
    let all = read_all(&log, away);
    assert_eq!((gaps(&all), seqs(&all)), (vec![lagged(5, 20)], vec![21, 22]));
    let all = live.read(100).unwrap();
    assert_eq!((gaps(&all), seqs(&all)), (vec![lagged(11, 20)], vec![5, 6, 7, 8, 9, 10, 21, 22]));
}

#[test]
fn s23_18_a_segment_missing_in_the_middle_is_told_too() {
    let place = Place::new();
    let mut log = place.log();
    for start in [1, 11, 21] {
        send(&mut log, start..=start + 9);
        log.rotate(LONG).unwrap();
    }
    fs::remove_file(place.segment(11)).unwrap();
    for cursor in [Cursor::default(), Cursor { seq: Seq(7), segment: 1, offset: 0 }] {
        let all = read_all(&log, cursor);
        assert_eq!(gaps(&all), [lagged(11, 20)]);
        assert_eq!(*seqs(&all).last().unwrap(), 30);
    }
    let all = read_all(&log, Cursor { seq: Seq(15), segment: 11, offset: 30 });
    assert_eq!((gaps(&all), seqs(&all)), (vec![lagged(16, 20)], (21..=30).collect()));
}

#[test]
fn s23_18_the_open_segment_of_a_writer_is_deleted_and_no_number_comes_back() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=3);
    fs::remove_file(place.segment(1)).unwrap();
    send(&mut log, 4..=4);
    assert_eq!(seqs(&read_all(&log, Cursor { seq: Seq(3), segment: 1, offset: 0 })), [4]);
    // A fresh process knows only what the epoch file says: it goes on far above.
    fs::remove_file(place.segment(4)).unwrap();
    let mut fresh = place.log();
    assert!(fresh.append(&[record(5)], LONG).unwrap().last > Seq(4));
}

#[test]
fn s23_19_a_segment_cut_by_hand_is_told_and_new_records_still_arrive() {
    for keep in [0, 5, 16, 20, 31] {
        let place = Place::new();
        let mut log = place.log();
        send(&mut log, 1..=4);
        let mut live = log.reader(Cursor::default());
        live.read(10).unwrap();
        let away = live.cursor().clone();
        let file = fs::OpenOptions::new().write(true).open(place.segment(1)).unwrap();
        file.set_len(keep).unwrap();
        let told = gaps(&live.read(10).unwrap());
        assert!(matches!(told[..], [Gap::Poison { .. }]), "{told:?}");
        // A fresh writer cannot know the old numbers and gives some again.
        let next = place.log().append(&[record(9)], LONG).unwrap().last;
        let all = live.read(10).unwrap();
        let (mut told, epoch) = (gaps(&all), Gap::Epoch { after: Seq(4), next });
        assert_eq!((seqs(&all), told.pop()), (vec![next.0], Some(epoch)), "cut to {keep}: {told:?}");
        // A record that was cut within its newline is whole again, and not handed over a second time.
        let is_second =
            |gap: &Gap| matches!(gap, Gap::Poison { reason, .. } if reason.starts_with("number 2"));
        assert!(
            told.len() == usize::from(keep == 31) && told.iter().all(is_second),
            "cut to {keep}: {told:?}"
        );
        // Who was away cannot tell old from new, but is told that there was a cut.
        assert!(matches!(gaps(&read_all(&log, away))[0], Gap::Poison { .. }));
        assert_eq!(
            log.append(&[record(9)], LONG).unwrap().last,
            Seq(5),
            "the writer that gave 4 goes on at 5"
        );
    }
}

#[test]
fn s07_a_cursor_whose_hint_is_wrong_finds_its_place_by_number() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=50);
    log.rotate(LONG).unwrap();
    send(&mut log, 51..=60);
    for (segment, offset) in [(1, 3), (1, 16), (1, 999_999), (51, 0), (7, 0), (0, 0)] {
        let cursor = Cursor { seq: Seq(20), segment, offset };
        let all = read_all(&log, cursor);
        assert_eq!(seqs(&all), (21..=60).collect::<Vec<_>>(), "hint {segment}+{offset}");
        // A hint beyond the end is a sign of a cut and is told; everything else heals silently.
        assert_eq!(gaps(&all).len(), usize::from(offset > 9999), "hint {segment}+{offset}");
    }
}

#[test]
fn a_line_inserted_by_hand_before_the_cursor_costs_nothing() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=5);
    let mut live = log.reader(Cursor::default());
    assert_eq!(seqs(&live.read(3).unwrap()), [1, 2, 3]);
    let text = fs::read_to_string(place.segment(1)).unwrap();
    fs::write(place.segment(1), format!("{{\"hello\":\"there\"}}\n{text}")).unwrap();
    let all = live.read(10).unwrap();
    assert_eq!((seqs(&all), gaps(&all)), (vec![4, 5], vec![]));
}

#[test]
fn s04_a_copy_of_an_old_line_without_its_newline_does_not_make_numbers_come_back() {
    let place = Place::new();
    send(&mut place.log(), 1..=3);
    place.append_by_hand(1, "{\"seq\":1,\"n\":1}");
    assert_eq!(place.log().append(&[record(4)], LONG).unwrap().last, Seq(4));
}

#[test]
fn s04_a_number_too_high_to_go_on_from_is_no_record_and_stops_nobody() {
    let place = Place::new();
    send(&mut place.log(), 1..=3);
    for number in [u64::MAX, 1 << 53] {
        place.append_by_hand(1, &format!("{{\"seq\":{number},\"n\":0}}\n"));
    }
    assert_eq!(place.log().append(&[record(4)], LONG).unwrap().last, Seq(4));
    let entries = place.log().reader(Cursor::default()).read(100).unwrap();
    let poison = entries.iter().filter(|entry| matches!(entry, Entry::Gap(Gap::Poison { .. }))).count();
    assert_eq!((poison, entries.len()), (2, 6));
    // The highest number there is: what comes behind it is refused in words, not given a number nobody reads.
    place.append_by_hand(1, &format!("{{\"seq\":{},\"n\":0}}\n", (1_u64 << 53) - 1));
    assert!(matches!(place.log().append(&[record(5)], LONG), Err(Error::Refused(_))));
}

#[test]
fn a_reader_finds_any_place_in_a_large_segment() {
    let place = Place::new();
    let mut log = place.log();
    let batch: Vec<String> =
        (1..=20_000).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "y".repeat(n as usize % 97))).collect();
    log.append(&batch, LONG).unwrap();
    for seq in [0, 1, 2, 777, 9_999, 19_998, 19_999, 20_000] {
        let mut reader = log.reader(Cursor { seq: Seq(seq), segment: 0, offset: 0 });
        let first = seqs(&reader.read(1).unwrap());
        assert_eq!(first, if seq < 20_000 { vec![seq + 1] } else { vec![] });
    }
}

#[test]
fn s05_the_records_of_one_batch_keep_their_order() {
    let place = Place::new();
    let mut log = place.log();
    log.append(&[record(1), record(2), record(3)], LONG).unwrap();
    let lines = read_all(&log, Cursor::default()).into_iter().map(|entry| match entry {
        Entry::Record { line, .. } => line,
        Entry::Gap(gap) => panic!("{gap:?}"),
    });
    let expected = [1, 2, 3].map(|n| format!("{{\"seq\":{n},\"n\":{n}}}"));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn s07_a_copy_of_an_old_record_is_told_and_the_cursor_does_not_go_back() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=3);
    let mut reader = log.reader(Cursor::default());
    assert_eq!(reader.read(10).unwrap().len(), 3);
    place.append_by_hand(1, "{\"seq\":2,\"n\":2}\n");
    let told = reader.read(10).unwrap();
    assert!(
        matches!(&told[..], [Entry::Gap(Gap::Poison { reason, .. })] if reason.contains("does not follow")),
        "{told:?}"
    );
    assert_eq!(reader.cursor().seq, Seq(3));
    send(&mut log, 4..=4);
    assert!(matches!(reader.read(10).unwrap()[..], [Entry::Record { seq: Seq(4), .. }]));
}

#[test]
fn reading_in_small_bites_tells_the_same_as_in_one() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=20);
    place.append_by_hand(1, "bad\n{\"seq\":25}\n{\"seq\":3}\n");
    send(&mut log, 26..=26);
    let whole = read_all(&log, Cursor::default());
    for bite in 1..4 {
        let mut reader = log.reader(Cursor::default());
        let mut all = Vec::new();
        loop {
            assert!(all.len() <= whole.len(), "the same is told again and again: {:?}", reader.cursor());
            let some = reader.read(bite).unwrap();
            assert!(some.len() <= bite);
            if some.is_empty() {
                break;
            }
            all.extend(some);
            // As after a restart between any two bites.
            reader = log.reader(reader.cursor().clone());
        }
        assert_eq!(all, whole);
    }
}

#[test]
fn s23_32_another_boot_goes_on_far_above_and_the_reader_is_told() {
    let place = Place::new();
    send(&mut place.log().with_boot("one"), 1..=3);
    place.append_by_hand(1, "{\"seq\":4,\"n\":4}\n\0\0\0\n\0\0");
    let mut log = place.log().with_boot("two");
    let next = log.append(&[record(1)], LONG).unwrap().last;
    assert!(next.0 > EPOCH_STEP);
    let all = read_all(&log, Cursor::default());
    assert_eq!(seqs(&all), [1, 2, 3, 4, next.0]);
    assert_eq!(gaps(&all), [Gap::Epoch { after: Seq(4), next }]);
    assert!(!place.rejected().is_empty(), "the garbage is kept");
    // The same boot does not jump again, whoever opens.
    assert_eq!(place.log().with_boot("two").append(&[record(2)], LONG).unwrap().last, next.next());
}

#[test]
fn bytes_glued_to_a_record_by_an_unlocked_writer_do_not_swallow_it() {
    let place = Place::new();
    let mut log = place.log();
    send(&mut log, 1..=1);
    let result = log.locked(LONG, |writer| {
        writer.end()?;
        // Between the writer's look and its write.
        let mut hand = fs::OpenOptions::new().append(true).open(place.segment(1)).unwrap();
        let hand_writes = std::cell::Cell::new(false);
        hand.write_all(b"half a li").unwrap();
        hand_writes.set(true);
        writer.append(&[record(2)])
    });
    assert_eq!(result.unwrap().last, Seq(2));
    let all = read_all(&log, Cursor::default());
    assert_eq!(seqs(&all), [1, 2]);
}

#[test]
fn s01_threads_with_their_own_logs_lose_and_repeat_nothing_while_a_reader_follows() {
    let place = Place::new();
    const WRITERS: u64 = 4;
    const EACH: u64 = 500;
    let threads: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut log = place.log().with_segment_bytes(8 * 1024);
            std::thread::spawn(move || {
                for n in 0..EACH {
                    log.append(&[format!("{{\"w\":{writer},\"n\":{n}}}")], LONG).unwrap();
                }
            })
        })
        .collect();
    let log = place.log();
    let mut reader = log.reader(Cursor::default());
    let deadline = Instant::now() + LONG;
    let mut lines = Vec::new();
    while lines.len() < (WRITERS * EACH) as usize {
        assert!(Instant::now() < deadline, "{} of {} arrived", lines.len(), WRITERS * EACH);
        for entry in reader.read(64).unwrap() {
            let Entry::Record { seq, line } = entry else { panic!("{entry:?}") };
            assert_eq!(seq.0, lines.len() as u64 + 1);
            lines.push(line);
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_each_in_order(&lines);
}

/// Every writer's own records are there once, in its order.
fn assert_each_in_order(lines: &[String]) {
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let expected = next.entry(value["w"].as_u64().unwrap()).or_default();
        assert_eq!(value["n"].as_u64().unwrap(), *expected, "{line}");
        *expected += 1;
    }
}

/// Another process that appends until it is killed: the state directory, and who it is.
const WRITE: &str = "TACHI_TEST_WRITE";

/// Starts this test binary again as a writer. It prints every acknowledged number; `limit` 0 = until killed.
fn writer(place: &Place, name: u64, limit: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_process_that_appends", "--nocapture"])
        .env(WRITE, place.dir.root())
        .env("TACHI_TEST_NAME", format!("{name} {limit}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn helper_process_that_appends() {
    let Some(root) = std::env::var_os(WRITE) else { return };
    let name = std::env::var("TACHI_TEST_NAME").unwrap();
    let (name, limit) = name.split_once(' ').unwrap();
    let limit: u64 = limit.parse().unwrap();
    let mut log = Log::<Disk>::new(Disk, &StateDir::new(root), Topic::Messages).with_segment_bytes(64 * 1024);
    let mut out = std::io::stdout();
    for n in 0.. {
        if limit > 0 && n == limit {
            break;
        }
        let filler = "x".repeat((n % 900) as usize);
        let record = format!("{{\"w\":{name},\"n\":{n},\"x\":\"{filler}\"}}");
        let done = log.append(&[record], LONG).unwrap();
        // Acknowledged only now; one write, so that a kill leaves a whole line or none.
        out.write_all(format!("ACK {} {n}\n", done.last).as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

/// The acknowledged `(seq, n)` a writer printed.
fn acknowledged(child: Child) -> Vec<(u64, u64)> {
    let mut acks = Vec::new();
    for line in BufReader::new(child.stdout.unwrap()).lines() {
        let line = line.unwrap();
        // The test harness may have begun the line.
        let Some((_, numbers)) = line.split_once("ACK ") else { continue };
        let Some((seq, n)) = numbers.split_once(' ') else { continue };
        acks.push((seq.parse().unwrap(), n.parse().unwrap()));
    }
    acks
}

#[test]
fn s01_m_processes_that_append_at_once_lose_and_repeat_nothing() {
    let place = Place::new();
    let mut children: Vec<_> = (0..4).map(|name| writer(&place, name, 250)).collect();
    let log = place.log();
    let mut reader = log.reader(Cursor::default());
    let deadline = Instant::now() + LONG;
    let mut lines = Vec::new();
    while lines.len() < 1000 {
        assert!(Instant::now() < deadline, "{} of 1000 arrived", lines.len());
        for entry in reader.read(64).unwrap() {
            let Entry::Record { seq, line } = entry else { panic!("{entry:?}") };
            assert_eq!(seq.0, lines.len() as u64 + 1);
            lines.push(line);
        }
    }
    children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    assert_each_in_order(&lines);
}

#[test]
fn s01_s23_1_writers_killed_in_the_middle_lose_nothing_acknowledged_and_leave_a_whole_log() {
    let place = Place::new();
    let mut acks: BTreeSet<(u64, u64, u64)> = BTreeSet::new();
    let mut name = 0;
    for round in 0..12_u64 {
        let mut children: Vec<_> =
            (0..2).map(|offset| (name + offset, writer(&place, name + offset, 0))).collect();
        name += 2;
        // Let them really write before they die; the moment of death is as random as the scheduler.
        let end = place.log().end().unwrap().seq.0;
        let deadline = Instant::now() + LONG;
        while place.log().end().unwrap().seq.0 < end + 40 + round * 7 {
            assert!(Instant::now() < deadline);
        }
        for (_, child) in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for (name, child) in children {
            acks.extend(acknowledged(child).into_iter().map(|(seq, n)| (seq, name, n)));
        }
    }
    let mut log = place.log();
    log.append(&["{\"w\":999,\"n\":0}".to_owned()], LONG).unwrap();
    let all = read_all(&log, Cursor::default());
    assert_eq!(gaps(&all), []);
    assert_eq!(seqs(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    let lines: Vec<String> = all
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Record { line, .. } => Some(line),
            Entry::Gap(_) => None,
        })
        .collect();
    assert_each_in_order(&lines);
    for (seq, w, n) in &acks {
        let value: serde_json::Value = serde_json::from_str(&lines[*seq as usize - 1]).unwrap();
        assert_eq!((value["w"].as_u64(), value["n"].as_u64()), (Some(*w), Some(*n)), "acknowledged as {seq}");
    }
    assert!(acks.len() > 400, "only {} acknowledged", acks.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s21_any_bytes_at_the_end_are_repaired_once_and_every_complete_line_stays(
        tail in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), Just(b'}'), Just(b'"'), any::<u8>()], 0..60),
    ) {
        let place = Place::new();
        send(&mut place.log(), 1..=3);
        let path = place.segment(1);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&tail);
        fs::write(&path, &bytes).unwrap();
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        place.log().locked(LONG, |writer| writer.end()).unwrap();
        let repaired = fs::read(&path).unwrap();
        prop_assert!(repaired.starts_with(&bytes[..complete]), "a complete line was changed");
        prop_assert!(repaired.ends_with(b"\n"));
        let names = place.segments();
        place.log().locked(LONG, |writer| writer.end()).unwrap();
        prop_assert_eq!(fs::read(&path).unwrap(), repaired, "repairing twice changed something");
        prop_assert_eq!(place.segments(), names);
        let all = read_all(&place.log(), Cursor::default());
        prop_assert_eq!(&seqs(&all)[..3], &[1, 2, 3]);
    }
}
