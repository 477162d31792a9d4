//! The engines on a disk that misbehaves at a chosen call: short writes, no space, failing syncs, foreign bytes in between.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test touches files itself and fails by panicking"
)]

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tachi_shared::clock::{Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, Recipient, Seq, TaskId};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, DeadLetter, Durability, Entry, Log, dead_letter};
use tachi_shared::os::disk::DiskFile;
use tachi_shared::os::place::{Sync, place};
use tachi_shared::os::{Disk, Extent, FileLock, Handle, OpenMode, Stat, Storage};
use tachi_shared::queue::{Draft, MessageKind, Queue, View};
use tachi_shared::task::{Change, LEASE, NewTask, TaskStore};
use tachi_shared::{Error, Result};

const LONG: Duration = Duration::from_secs(10);

/// What goes wrong at the next call of its kind, once.
#[derive(Debug, Clone, PartialEq)]
enum Fault {
    /// The write stores this many bytes, then the disk is full.
    Short(usize),
    /// The write fails outright.
    Full,
    /// Somebody who takes no lock appends these bytes just before our write.
    Foreign(&'static str),
    /// The sync fails.
    Sync,
    /// The sync of a segment fails.
    SyncSegment,
    /// The rename fails.
    Rename,
    /// A segment cannot be opened: this one, by its first number.
    Open(u64),
    /// Somebody removes this segment at the moment when it is opened.
    Removed(u64),
    /// It is there whenever the directory is listed, and gone whenever it is opened.
    Hidden(u64),
    /// The machine sleeps longer than a lease before the sync, and somebody else takes over what was claimed.
    TakenOver,
}

type Act = Box<dyn FnMut() + Send>;

#[derive(Default)]
struct Plan {
    next: Option<Fault>,
    /// The next cut fails.
    cut_fails: bool,
    /// What somebody else does just before the next call of a name.
    meanwhile: Option<(&'static str, Act)>,
    /// Names of the calls that were made.
    calls: Vec<&'static str>,
}

/// The real disk with a plan.
#[derive(Clone, Default)]
struct Faulty {
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    fn plan(&self, fault: Fault) {
        self.plan.lock().unwrap().next = Some(fault);
    }

    fn plan_cut_failure(&self) {
        self.plan.lock().unwrap().cut_fails = true;
    }

    fn just_before(&self, call: &'static str, act: impl FnMut() + Send + 'static) {
        self.plan.lock().unwrap().meanwhile = Some((call, Box::new(act)));
    }

    fn meanwhile(&self, call: &'static str) {
        let due = self.plan.lock().unwrap().meanwhile.take_if(|(name, _)| *name == call);
        if let Some((_, mut act)) = due {
            act();
        }
    }

    /// What changes something.
    fn calls(&self) -> Vec<&'static str> {
        let mut calls = std::mem::take(&mut self.plan.lock().unwrap().calls);
        calls.retain(|call| *call != "open");
        calls
    }

    /// Takes the planned fault if it belongs to this call.
    fn due(&self, call: &'static str, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        plan.calls.push(call);
        plan.next.take_if(|fault| fits(fault))
    }
}

struct FaultyFile {
    file: DiskFile,
    path: PathBuf,
    disk: Faulty,
}

impl Handle for FaultyFile {
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn extent(&self) -> io::Result<Extent> {
        self.file.extent()
    }

    fn tell(&self) -> io::Result<u64> {
        self.file.tell()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mine = |fault: &Fault| matches!(fault, Fault::Short(_) | Fault::Full | Fault::Foreign(_));
        match self.disk.due("append", mine) {
            Some(Fault::Short(count)) => self.file.append(bytes.get(..count).unwrap()),
            Some(Fault::Full) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(Fault::Foreign(text)) => {
                Disk.open(&self.path, OpenMode::Append)?.append(text.as_bytes())?;
                self.file.append(bytes)
            }
            _ => self.file.append(bytes),
        }
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.meanwhile("truncate");
        let mut plan = self.disk.plan.lock().unwrap();
        plan.calls.push("truncate");
        if std::mem::take(&mut plan.cut_fails) {
            return Err(io::Error::other("the disk is broken"));
        }
        self.file.truncate(size)
    }

    fn sync(&self) -> io::Result<()> {
        let is_segment = self.path.extension().is_some_and(|ending| ending == "jsonl");
        let of_segment = [Fault::SyncSegment, Fault::TakenOver];
        let fits = |fault: &Fault| *fault == Fault::Sync || (is_segment && of_segment.contains(fault));
        match self.disk.due("sync", fits) {
            Some(Fault::TakenOver) => {
                take_over(&self.path);
                self.file.sync()
            }
            Some(_) => Err(io::Error::other("the disk is broken")),
            None => self.file.sync(),
        }
    }
}

impl Storage for Faulty {
    type File = FaultyFile;
    type Lock = FileLock;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FaultyFile> {
        let base = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0);
        if mode == OpenMode::Read && self.due("open", |fault| *fault == Fault::Open(base)).is_some() {
            return Err(io::Error::from(rustix::io::Errno::MFILE));
        }
        if self.due("open", |fault| *fault == Fault::Removed(base)).is_some() {
            Disk.remove(path)?;
        }
        if let Some(hidden) = self.due("open", |fault| *fault == Fault::Hidden(base)) {
            self.plan(hidden);
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(FaultyFile { file: Disk.open(path, mode)?, path: path.to_owned(), disk: self.clone() })
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Disk.stat(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.meanwhile("list");
        Disk.list(dir)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        Disk.make_dir(path)
    }

    fn keep_access(&self, like: &Path, path: &Path) -> io::Result<()> {
        Disk.keep_access(like, path)
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        Disk.touch(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.meanwhile("rename");
        match self.due("rename", |fault| *fault == Fault::Rename) {
            Some(_) => Err(io::Error::other("the disk is broken")),
            None => Disk.rename(from, to),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.due("sync_dir", |_| false);
        Disk.sync_dir(dir)
    }

    fn now(&self) -> Now {
        Disk.now()
    }

    fn pause(&self, time: Duration) {
        Disk.pause(time);
    }

    fn lock(&self, path: &Path, purpose: &str, wait: Duration) -> Result<FileLock> {
        Disk.lock(path, purpose, wait)
    }
}

struct Place {
    _tmp: tempfile::TempDir,
    dir: StateDir,
    disk: Faulty,
}

impl Place {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(tmp.path().join("state"));
        dir.directories().iter().for_each(|path| Disk.make_dir(path).unwrap());
        Self { _tmp: tmp, dir, disk: Faulty::default() }
    }

    /// A log that has its first record and a cached end.
    fn log(&self) -> Log<Faulty> {
        let mut log = Log::new(self.disk.clone(), &self.dir, Topic::Messages);
        log.append(&["{\"n\":1}".to_owned()], LONG).unwrap();
        log
    }

    fn segment(&self) -> PathBuf {
        self.dir.segments(Topic::Messages).join("00000000000000000001.jsonl")
    }

    fn read(&self) -> Vec<(u64, String)> {
        let log = Log::new(Disk, &self.dir, Topic::Messages);
        let entries = log.reader(Cursor::default()).read(100).unwrap();
        let record = |entry| match entry {
            Entry::Record { seq: Seq(seq), line } => Some((seq, line)),
            Entry::Gap(_) => None,
        };
        entries.into_iter().filter_map(record).collect()
    }
}

fn batch(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|n| format!("{{\"n\":{n}}}")).collect()
}

#[test]
fn s18_s23_11_a_write_cut_short_at_any_byte_keeps_whole_lines_and_tells_which_records_are_missing() {
    let lines = ["{\"seq\":2,\"n\":2}\n", "{\"seq\":3,\"n\":3}\n"];
    for count in 0..lines.concat().len() {
        let place = Place::new();
        let mut log = place.log();
        let before = fs::read_to_string(place.segment()).unwrap();
        place.disk.plan(if count == 0 { Fault::Full } else { Fault::Short(count) });
        let error = log.append(&batch(&[2, 3]), LONG).unwrap_err();
        let (kept, missing) = if count < lines[0].len() { ("", vec![0, 1]) } else { (lines[0], vec![1]) };
        assert_eq!(error.not_stored(2), missing, "{error}");
        let disk_full = match error {
            Error::StoredInPart { source, .. } => matches!(*source, Error::DiskFull { .. }),
            error => matches!(error, Error::DiskFull { .. }),
        };
        assert!(disk_full);
        assert_eq!(fs::read_to_string(place.segment()).unwrap(), before + kept, "after {count} bytes");
        let next = 2 + u64::from(!kept.is_empty());
        assert_eq!(log.append(&batch(&[3]), LONG).unwrap().last, Seq(next), "space was freed");
    }
}

#[test]
fn s05_a_line_that_was_complete_once_is_never_cut_off_and_its_number_never_given_again() {
    for count in 0.."{\"seq\":2,\"n\":2}\n{\"seq\":3,\"n\":3}\n".len() {
        let place = Place::new();
        let mut log = place.log();
        let mut reader = Log::new(Disk, &place.dir, Topic::Messages).reader(Cursor::default());
        let saw = Arc::new(Mutex::new(Vec::new()));
        // A reader looks between the write and whatever the writer does about it.
        let seen = saw.clone();
        place.disk.just_before("truncate", move || seen.lock().unwrap().extend(reader.read(10).unwrap()));
        place.disk.plan(if count == 0 { Fault::Full } else { Fault::Short(count) });
        log.append(&batch(&[2, 3]), LONG).unwrap_err();
        log.append(&batch(&[4, 5]), LONG).unwrap();
        let mut all = Log::new(Disk, &place.dir, Topic::Messages).reader(Cursor::default());
        let stored = all.read(10).unwrap();
        let saw = saw.lock().unwrap();
        assert_eq!(*saw, stored[..saw.len()], "after {count} bytes");
    }
}

#[test]
fn s05_what_comes_between_the_last_look_and_the_switch_to_the_next_segment_is_read() {
    let place = Place::new();
    let mut reader = place.log().reader(Cursor::default());
    assert_eq!(reader.read(10).unwrap().len(), 1);
    let dir = place.dir.clone();
    place.disk.just_before("list", move || {
        let mut log = Log::new(Disk, &dir, Topic::Messages);
        log.append(&batch(&[2]), LONG).unwrap();
        log.rotate(LONG).unwrap();
        log.append(&batch(&[3]), LONG).unwrap();
    });
    // Idle, it searches for a successor at some looks only.
    let news = (0..1000).map(|_| reader.read(10).unwrap()).find(|news| !news.is_empty()).unwrap();
    let seqs: Vec<Option<u64>> = news
        .iter()
        .map(|entry| match entry {
            Entry::Record { seq, .. } => Some(seq.0),
            Entry::Gap(_) => None,
        })
        .collect();
    assert_eq!(seqs, [Some(2), Some(3)], "{news:?}");
}

#[test]
fn s18_what_cannot_be_cut_off_is_made_good_by_the_next_writer_and_the_truth_was_told() {
    let lines = ["{\"seq\":2,\"n\":2}\n", "{\"seq\":3,\"n\":3}\n"];
    for count in 1..lines.concat().len() {
        let place = Place::new();
        let mut log = place.log();
        place.disk.plan(Fault::Short(count));
        place.disk.plan_cut_failure();
        let missing = log.append(&batch(&[2, 3]), LONG).unwrap_err().not_stored(2);
        log.append(&batch(&[4]), LONG).unwrap();
        let stored: Vec<String> = place.read().into_iter().map(|(_, line)| line).collect();
        for (at, n) in [(0, 2), (1, 3)] {
            let is_there = stored.iter().any(|line| line.ends_with(&format!("\"n\":{n}}}")));
            assert_eq!(is_there, !missing.contains(&at), "after {count} bytes: {stored:?}");
        }
        assert!(place.read().windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{stored:?}");
    }
}

#[test]
fn s06_what_a_short_write_stored_is_synced_before_it_is_told() {
    let place = Place::new();
    let mut log = place.log().with_durability(Durability::Durable);
    place.disk.calls();
    place.disk.plan(Fault::Short(20));
    assert_eq!(log.append(&batch(&[2, 3]), LONG).unwrap_err().not_stored(2), [1]);
    assert_eq!(place.disk.calls(), ["append", "truncate", "sync"]);
}

#[test]
fn s01_bytes_an_unlocked_writer_puts_in_between_never_swallow_a_record() {
    for (foreign, batch_of, last) in [
        ("half a li", vec![2], 2),
        ("{\"to\":\"x\"}\n", vec![2], 2),
        ("half", vec![2, 3, 4], 5),
        ("{\"to\":\"x\"}\n", vec![2, 3, 4], 4),
        ("a\nb\nc", vec![2, 3], 4),
    ] {
        let place = Place::new();
        let mut log = place.log();
        place.disk.plan(Fault::Foreign(foreign));
        assert_eq!(log.append(&batch(&batch_of), LONG).unwrap().last, Seq(last), "{foreign:?}");
        log.append(&batch(&[9]), LONG).unwrap();
        let records = place.read();
        let mut seen: Vec<u32> = records
            .iter()
            .map(|(_, line)| line.trim_end_matches('}').rsplit(':').next().unwrap().parse().unwrap())
            .collect();
        seen.sort_unstable();
        let expected: Vec<u32> = std::iter::once(1).chain(batch_of).chain([9]).collect();
        assert_eq!(seen, expected, "{foreign:?}: each once");
        assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0), "{records:?}");
    }
}

#[test]
fn durable_syncs_after_every_send_and_interval_leaves_it_to_others() {
    let place = Place::new();
    let mut log = place.log();
    place.disk.calls();
    log.append(&batch(&[2]), LONG).unwrap();
    assert_eq!(place.disk.calls(), ["append"]);
    let mut log = log.with_durability(Durability::Durable);
    log.append(&batch(&[3]), LONG).unwrap();
    assert_eq!(place.disk.calls(), ["append", "sync"]);
}

#[test]
fn s06_what_a_dead_sender_left_is_synced_before_its_successor_calls_it_sent() {
    let place = Place::new();
    let queue = || Queue::new(place.disk.clone(), &place.dir);
    let draft = |k: u32| {
        let id = format!("instance_1.1.{k}");
        Draft::new(Recipient::Broadcast, "instance_1", MessageKind::Finding, id, Timestamp::EPOCH, "x")
    };
    // Three segments, of which the first is no part of it; the sender died before it synced anything.
    let since = queue().send(&[draft(1), draft(2), draft(3)], LONG).unwrap();
    let since = Cursor { seq: since, ..Cursor::default() };
    let owed = [draft(4), draft(5)];
    for draft in &owed {
        queue().log_mut().rotate(LONG).unwrap();
        queue().send(std::slice::from_ref(draft), LONG).unwrap();
    }
    place.disk.calls();
    assert_eq!(queue().send_missing(&owed, &since, LONG).unwrap(), None);
    assert!(!place.disk.calls().contains(&"sync"), "nothing of the kind was promised");
    let mut durable = queue().with_durability(Durability::Durable);
    assert_eq!(durable.send_missing(&owed, &since, LONG).unwrap(), None);
    let syncs = place.disk.calls().into_iter().filter(|call| *call == "sync").count();
    assert_eq!(syncs, Disk.list(&place.dir.segments(Topic::Messages)).unwrap().len() - 1);
    place.disk.plan(Fault::SyncSegment);
    assert!(matches!(durable.send_missing(&owed, &since, LONG), Err(Error::DurabilityUnknown { .. })));
}

#[test]
fn s23_12_after_a_failed_sync_the_file_is_not_trusted_again() {
    let place = Place::new();
    let mut log = place.log().with_durability(Durability::Durable);
    place.disk.plan(Fault::Sync);
    assert!(matches!(log.append(&batch(&[2]), LONG), Err(Error::DurabilityUnknown { .. })));
    assert_eq!(log.append(&batch(&[3]), LONG).unwrap().last, Seq(3));
    assert_eq!(Disk.list(&place.dir.segments(Topic::Messages)).unwrap().len(), 2, "a new segment was begun");
    assert_eq!(place.read().len(), 3);
}

#[test]
fn s23_12_a_failed_sync_of_a_sealed_segment_is_never_told_of_a_record_that_was_not_written() {
    let place = Place::new();
    let mut log = place.log().with_durability(Durability::Durable).with_segment_bytes(10);
    place.disk.plan(Fault::SyncSegment);
    assert!(matches!(log.append(&batch(&[2]), LONG), Err(Error::DurabilityUnknown { .. })));
    assert_eq!(place.read().len(), 2, "told: stored, do not send again");
    // The full disk is the worse news: nothing was stored, whatever the sync said.
    place.disk.plan(Fault::Full);
    assert!(matches!(log.append(&batch(&[3]), LONG), Err(Error::DiskFull { .. })));
    assert_eq!(log.append(&batch(&[3]), LONG).unwrap().last, Seq(3));
}

#[test]
fn s06_before_the_first_record_segment_and_epoch_survive_a_power_loss_with_their_names() {
    let safe = ["sync_dir", "append", "sync", "rename", "sync_dir", "append"];
    let place = Place::new();
    let mut log = Log::new(place.disk.clone(), &place.dir, Topic::Messages);
    log.append(&batch(&[1]), LONG).unwrap();
    assert_eq!(place.disk.calls(), safe, "segment, epoch (written, synced, named), record");
    // Whoever made the segment died before it was safe.
    let place = Place::new();
    fs::write(place.segment(), "").unwrap();
    let mut log = Log::new(place.disk.clone(), &place.dir, Topic::Messages);
    log.append(&batch(&[1]), LONG).unwrap();
    assert_eq!(place.disk.calls(), safe);
    log.append(&batch(&[2]), LONG).unwrap();
    assert_eq!(place.disk.calls(), ["append"], "once");
}

#[test]
fn s31_a_placed_file_is_synced_before_it_gets_its_name() {
    let place_ = Place::new();
    let target = place_.dir.registry();
    for (sync, expected) in [
        (Sync::Skip, vec!["append", "rename"]),
        (Sync::Data, vec!["append", "sync", "rename"]),
        (Sync::DataAndName, vec!["append", "sync", "rename", "sync_dir"]),
    ] {
        place(&place_.disk, &place_.dir.tmp(), &target, b"{}", sync).unwrap();
        assert_eq!(place_.disk.calls(), expected);
    }
}

#[test]
fn s18_a_replace_that_fails_at_any_step_leaves_the_old_file_and_no_other() {
    let place_ = Place::new();
    let target = place_.dir.registry();
    fs::write(&target, "old").unwrap();
    for fault in [Fault::Full, Fault::Sync, Fault::Rename] {
        place_.disk.plan(fault.clone());
        let failed = place(&place_.disk, &place_.dir.tmp(), &target, b"new", Sync::Data);
        assert!(failed.is_err(), "{fault:?}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert!(Disk.list(&place_.dir.tmp()).unwrap().is_empty(), "{fault:?}");
    }
    // A short write is not the end: the rest is written with the next call.
    place_.disk.plan(Fault::Short(1));
    place(&place_.disk, &place_.dir.tmp(), &target, b"new", Sync::Data).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
}

#[test]
fn s21_a_sealed_segment_is_never_written_to_also_after_its_successor_could_not_be_made() {
    let place = Place::new();
    place.log();
    // Whoever sealed it died before it made the next one.
    let seal = |text: &[u8]| Disk.open(&place.segment(), OpenMode::Append).unwrap().append(text).unwrap();
    seal(b"\n");
    let before = fs::read(place.segment()).unwrap();
    let mut log = Log::new(place.disk.clone(), &place.dir, Topic::Messages);
    place.disk.plan(Fault::Rename);
    log.append(&batch(&[2]), LONG).unwrap_err();
    assert_eq!(log.append(&batch(&[2]), LONG).unwrap().last, Seq(2));
    assert_eq!(fs::read(place.segment()).unwrap(), before);
    assert_eq!(place.read().len(), 2);
}

#[test]
fn s23_13_what_a_reader_took_before_it_could_not_open_the_next_segment_is_not_lost() {
    let place = Place::new();
    let mut log = place.log();
    log.rotate(LONG).unwrap();
    log.append(&batch(&[2]), LONG).unwrap();
    let mut reader = log.reader(Cursor::default());
    place.disk.plan(Fault::Open(2));
    assert_eq!(reader.read(100).unwrap().len(), 1);
    assert_eq!(reader.cursor().seq, Seq(1));
    assert_eq!(reader.read(100).unwrap().len(), 1);
    // One that cannot even begin says so, and has not moved.
    place.disk.plan(Fault::Open(1));
    let mut reader = log.reader(Cursor::default());
    reader.read(100).unwrap_err();
    assert_eq!(reader.cursor(), &Cursor::default());
    assert_eq!(reader.read(100).unwrap().len(), 2);
}

#[test]
fn s01_what_is_stored_is_found_although_an_old_segment_is_removed_at_the_moment_of_looking() {
    let place = Place::new();
    let mut queue = Queue::new(place.disk.clone(), &place.dir);
    let drafts = ["instance_1.1.1", "instance_1.1.2"].map(|id| {
        let (to, kind) = (Recipient::Broadcast, MessageKind::Finding);
        Draft::new(to, "instance_1", kind, id.to_owned(), Timestamp::EPOCH, "x")
    });
    let since = Cursor { seq: queue.send(&drafts[..1], LONG).unwrap(), ..Cursor::default() };
    queue.log_mut().rotate(LONG).unwrap();
    queue.send(&drafts[1..], LONG).unwrap();
    place.disk.plan(Fault::Removed(1));
    assert_eq!(queue.send_missing(&drafts[1..], &since, LONG).unwrap(), None, "it was sent twice");
    assert!(!place.segment().exists(), "it was removed");
    assert_eq!(place.read().len(), 1);
}

#[test]
fn s08_a_reader_that_finds_no_place_says_so_and_does_not_pretend_that_the_log_ends_there() {
    let place = Place::new();
    let log = place.log();
    place.disk.plan(Fault::Hidden(1));
    let mut reader = log.reader(Cursor::default());
    let error = reader.read(100).unwrap_err();
    assert!(error.to_string().contains("find the place"), "{error}");
    place.disk.plan(Fault::Sync);
    assert_eq!(reader.read(100).unwrap().len(), 1);
}

#[test]
fn s05_a_reader_that_begins_behind_the_seal_goes_on_in_the_next_segment_as_soon_as_there_is_one() {
    let place = Place::new();
    place.log();
    // Whoever sealed it died before it made the next one, and the reader was started anew.
    Disk.open(&place.segment(), OpenMode::Append).unwrap().append(b"\n").unwrap();
    let log = || Log::new(Disk, &place.dir, Topic::Messages);
    let mut first = log().reader(Cursor::default());
    assert_eq!(first.read(100).unwrap().len(), 1);
    let mut reader = log().reader(first.cursor().clone());
    assert_eq!(reader.read(100).unwrap(), []);
    log().append(&batch(&[2]), LONG).unwrap();
    assert_eq!(reader.read(100).unwrap().len(), 1);
}

#[test]
fn s05_of_a_list_of_dead_letters_cut_short_whole_lines_stay_and_the_rest_is_owed() {
    let letter = |k| DeadLetter::message(Timestamp::EPOCH, Seq(k), "instance_1", "it ended five starts", "x");
    let letters = [letter(2), letter(3)];
    let size = serde_json::to_vec(&letters[0]).unwrap().len() + 1;
    let counts = [1, size - 1, size, size + 1, 2 * size - 2, 2 * size - 1];
    for (can_be_cut, count) in [true, false].into_iter().flat_map(|can| counts.map(|n| (can, n))) {
        let place = Place::new();
        let add = |letters: &[DeadLetter]| dead_letter::add(&place.disk, &place.dir, letters, LONG);
        add(&[letter(1)]).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (saw, dir) = (seen.clone(), place.dir.clone());
        place.disk.just_before("truncate", move || {
            let text = fs::read_to_string(dir.dead_letters()).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            saw.lock().unwrap().extend(whole.lines().map(str::to_owned));
        });
        if !can_be_cut {
            place.disk.plan_cut_failure();
        }
        place.disk.plan(Fault::Short(count));
        let missing = add(&letters).map_or_else(|error| error.not_stored(2), |()| Vec::new());
        let text = fs::read_to_string(place.dir.dead_letters()).unwrap();
        let stay = text.lines().zip(seen.lock().unwrap().iter()).filter(|(line, seen)| line == seen).count();
        assert_eq!(stay, seen.lock().unwrap().len(), "after {count} bytes, cut {can_be_cut}");
        let owed: Vec<DeadLetter> = missing.iter().map(|at| letters[*at].clone()).collect();
        add(&owed).unwrap();
        let listed = dead_letter::all(&Disk, &place.dir).unwrap();
        assert_eq!(listed, [letter(1), letter(2), letter(3)], "after {count} bytes, cut {can_be_cut}");
    }
}

#[test]
fn s26_a_rewrite_into_one_of_many_replaced_files_is_not_forgotten_when_it_cannot_be_sent_now() {
    let place = Place::new();
    let mut view = View::new(place.disk.clone(), &place.dir);
    let send = |k: u32| {
        let (kind, id) = (MessageKind::Finding, format!("instance_1.1.{k}"));
        let draft = Draft::new(Recipient::Broadcast, "instance_1", kind, id, Timestamp::EPOCH, "x");
        Queue::new(Disk, &place.dir).send(&[draft], LONG).unwrap();
    };
    view.refresh(None, Disk.now()).unwrap();
    let mut opened = fs::OpenOptions::new().write(true).open(place.dir.view(Topic::Messages)).unwrap();
    for k in 0..8 {
        send(k);
        assert!(view.refresh(None, Disk.now()).unwrap().rendered);
    }
    send(8);
    // While the ninth is replaced, a script writes into the first, and somebody keeps the queue busy.
    let (busy, lock) = (Arc::new(Mutex::new(None)), place.dir.lock("messages"));
    let holder = busy.clone();
    place.disk.just_before("rename", move || {
        opened.write_all(b"{\"messages\":[{\"to\":\"operator\",\"content\":\"crossed\"}]}").unwrap();
        *holder.lock().unwrap() = Some(FileLock::take(&lock, "test", LONG).unwrap());
    });
    let error = view.refresh(None, Disk.now()).unwrap_err();
    assert!(matches!(error, Error::LockTimeout { .. }), "{error}");
    busy.lock().unwrap().take();
    assert_eq!(view.refresh(None, Disk.now()).unwrap().imported, 1);
}

fn worker(name: &str) -> InstanceId {
    InstanceId::new(name).unwrap()
}

/// Another worker claims the one task there is, after its lease ran out.
fn take_over(segment: &Path) {
    let dir = StateDir::new(segment.ancestors().nth(2).unwrap());
    let (task, by) = (TaskId::new("t").unwrap(), worker("instance_2"));
    let claim = Change::Claim { task, by, incarnation: Incarnation(1), boot_id: Disk.boot_id() };
    let now = Disk.now();
    let later = Now { mono: now.mono.after(LEASE * 2), ..now };
    TaskStore::new(Disk, &dir).change(&claim, later, LONG).unwrap();
}

#[test]
fn a_claim_that_was_taken_over_before_its_owner_could_look_at_it_is_not_its_owners() {
    let place = Place::new();
    let mut store = TaskStore::new(place.disk.clone(), &place.dir).with_durability(Durability::Durable);
    let (id, title, by) = (TaskId::new("t").unwrap(), String::new(), "operator".to_owned());
    let task = NewTask { id, title, needs: Vec::new(), payload: serde_json::Value::Null, by };
    store.change(&Change::Add(vec![task]), Disk.now(), LONG).unwrap();
    place.disk.plan(Fault::TakenOver);
    let (me, boot_id) = (worker("instance_1"), Disk.boot_id());
    let claimed = store.claim_first((&me, Incarnation(1), &boot_id), Disk.now(), LONG, |_, _| true).unwrap();
    let board = store.board().unwrap();
    let owner = board.in_work().next().and_then(|task| task.owner.as_ref()).map(|owner| &owner.instance);
    assert_eq!(owner, Some(&worker("instance_2")));
    assert_eq!(claimed, None, "it works on what another one owns");
}
