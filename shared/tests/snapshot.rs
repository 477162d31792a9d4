//! The snapshot engine on the real disk: whole at every instant, hand edits judged, nothing unreadable overwritten.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test touches files, processes and time itself and fails by panicking"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tachi_shared::Error;
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::snapshot::{Document, Loaded, Snapshot};

const LONG: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tally {
    schema: u64,
    rev: u64,
    count: u64,
    #[serde(default)]
    names: Vec<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Document for Tally {
    const SCHEMA: u64 = 1;
    const LIMIT: u64 = 4096;

    fn empty() -> Self {
        Self { schema: 1, rev: 0, count: 0, names: Vec::new(), extra: Map::new() }
    }

    fn rev(&self) -> u64 {
        self.rev
    }

    fn set_rev(&mut self, rev: u64) {
        self.rev = rev;
    }

    fn check(&self) -> Result<(), String> {
        if self.count > 1_000_000 { Err("count is more than a million".to_owned()) } else { Ok(()) }
    }
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tmp", "backup", "rejected"] {
            Disk.make_dir(&dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("tally.json")
    }

    fn snapshot(&self) -> Snapshot<Tally> {
        let at = |name: &str| self.dir.path().join(name);
        Snapshot::new(
            Disk,
            self.path(),
            Some(at("tally.lock")),
            at("tmp"),
            at("backup/tally.json"),
            at("rejected"),
        )
    }

    /// Writes by hand, long enough ago that no editor can be at it.
    fn by_hand(&self, text: &str) {
        self.by_hand_now(text);
        let file = fs::File::open(self.path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    fn by_hand_now(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn rejected(&self) -> Vec<String> {
        let dir = self.dir.path().join("rejected");
        let mut names = Disk.list(&dir).unwrap();
        names.retain(|name| name.ends_with(".bad"));
        names.into_iter().map(|name| fs::read_to_string(dir.join(name)).unwrap()).collect()
    }
}

fn add(snapshot: &mut Snapshot<Tally>) -> tachi_shared::Result<u64> {
    snapshot.update(LONG, |tally| {
        tally.count += 1;
        Ok(tally.count)
    })
}

#[test]
fn s10_every_update_adds_one_to_rev_and_the_file_is_for_people() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    assert_eq!(snapshot.load().unwrap(), Loaded::Missing);
    for count in 1..=3 {
        assert_eq!(add(&mut snapshot).unwrap(), count);
    }
    let text = fs::read_to_string(place.path()).unwrap();
    assert_eq!(text, "{\n  \"schema\": 1,\n  \"rev\": 3,\n  \"count\": 3,\n  \"names\": []\n}\n");
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn s10_threads_that_update_at_once_lose_nothing_and_readers_see_whole_files_only() {
    let place = Place::new();
    add(&mut place.snapshot()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (path, stop) = (place.path(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                let tally: Tally = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                assert!(tally.rev >= last && tally.rev == tally.count);
                last = tally.rev;
            }
        })
    };
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let mut snapshot = place.snapshot();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    add(&mut snapshot).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    stop.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    let Loaded::Good(tally) = place.snapshot().load().unwrap() else { panic!() };
    assert_eq!((tally.rev, tally.count), (201, 201));
    assert_eq!(Disk.list(&place.dir.path().join("tmp")).unwrap(), Vec::<String>::new());
}

#[test]
fn s15_unknown_fields_survive_a_rewrite() {
    let place = Place::new();
    place.by_hand("{\"schema\":1,\"rev\":1,\"count\":1,\"note\":{\"deep\":[1,null]}}\r\n");
    add(&mut place.snapshot()).unwrap();
    let value: Value = serde_json::from_slice(&fs::read(place.path()).unwrap()).unwrap();
    assert_eq!(value["note"], serde_json::json!({"deep": [1, null]}));
    assert_eq!(value["count"], 2);
}

#[test]
fn s13_s23_22_a_bad_edit_changes_nothing_and_names_its_place() {
    let cases = [
        ("{\n  \"schema\": 1,\n  \"rev\": 2,\n  \"count\": 1,\n}", ":5:1: ", "trailing comma"),
        ("{\"schema\":1,\"rev\":2,\"count\":\"x\"}", ":1:31: count: ", "invalid type"),
        ("{\"schema\":1,\"rev\":2,\"count\":-1}", "count: ", "invalid value"),
        ("{\"schema\":1,\"rev\":2,\"count\":1.5}", "count: ", "invalid type"),
        ("{\"schema\":1,\"rev\":2,\"count\":1,\"names\":[\"a\",7]}", "names[1]: ", "invalid type"),
        ("{\"schema\":1,\"rev\":2,\"count\":2000000}", ":1:0: ", "more than a million"),
        ("{\"schema\":1,\"rev\":2,\"count\":1,\"count\":2}", "duplicate field", "count"),
        ("{\"schema\":1,\"rev\":2,\"count\":1} {}", ":1:", "trailing characters"),
        ("\u{feff}{\"schema\":1,\"rev\":2,\"count\":1}", ":1:1: ", "expected value"),
        ("{\"schema\":1,\"rev\":2,\"count\":1}\0\0", "trailing", "characters"),
        ("// note\n{}", ":1:1: ", "expected value"),
        ("", ":1:0: ", "EOF"),
        ("[]", ":1:", ""),
        ("{}", "missing field", "schema"),
    ];
    for (text, place_of_it, why) in cases {
        let place = Place::new();
        let mut snapshot = place.snapshot();
        add(&mut snapshot).unwrap();
        place.by_hand(text);
        let Loaded::Fallback(state, reason) = snapshot.load().unwrap() else { panic!("{text:?} was taken") };
        assert_eq!(state.count, 1);
        assert!(reason.contains(place_of_it) && reason.contains(why), "{text:?}: {reason}");
        assert!(reason.starts_with(&*place.path().to_string_lossy()), "{reason}");
        assert_eq!(fs::read_to_string(place.path()).unwrap(), text, "a reader must not touch the file");
        // A reader that knows nothing falls back to the backup.
        let Loaded::Fallback(state, _) = place.snapshot().load().unwrap() else { panic!("{text:?}") };
        assert_eq!(state.count, 1, "{text:?}");
        // A writer keeps the bytes and goes on from the last good state.
        assert_eq!(add(&mut place.snapshot()).unwrap(), 2, "{text:?}");
        assert_eq!(place.rejected(), [text]);
    }
}

#[test]
fn s23_22_deep_nesting_and_huge_files_are_refused_unread() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    add(&mut snapshot).unwrap();
    place.by_hand(&format!(
        "{{\"schema\":1,\"rev\":2,\"count\":1,\"x\":{}1{}}}",
        "[".repeat(200),
        "]".repeat(200)
    ));
    assert!(matches!(snapshot.load().unwrap(), Loaded::Fallback(_, reason) if reason.contains("recursion")));
    let file = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(snapshot.load().unwrap(), Loaded::Fallback(_, reason) if reason.contains("larger")));
}

#[test]
fn s23_26_a_file_in_an_editors_hands_is_left_alone_for_two_seconds() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    add(&mut snapshot).unwrap();
    place.by_hand_now("{\"schema\":1,");
    let error = snapshot.update(Duration::ZERO, |_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Rejected { line: 1, .. }), "{error}");
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "{\"schema\":1,");
    assert!(place.rejected().is_empty());
    // The editor finishes while a writer waits: nothing is refused.
    let writer = std::thread::spawn(move || add(&mut snapshot).unwrap());
    place.by_hand_now("{\"schema\":1,\"rev\":1,\"count\":41}");
    assert_eq!(writer.join().unwrap(), 42);
    assert!(place.rejected().is_empty());
}

#[test]
fn s14_s23_24_a_good_edit_is_taken_by_everybody() {
    let place = Place::new();
    let (mut one, mut two) = (place.snapshot(), place.snapshot());
    add(&mut one).unwrap();
    two.load().unwrap();
    place.by_hand("{\"count\":10,\r\n\"rev\":1,\"schema\":1}");
    for snapshot in [&mut one, &mut two] {
        assert!(matches!(snapshot.load().unwrap(), Loaded::Good(tally) if tally.count == 10));
    }
    assert_eq!(add(&mut two).unwrap(), 11);
    assert!(place.rejected().is_empty());
}

#[test]
fn s23_25_an_edit_of_an_old_revision_is_kept_aside_and_loses_no_update() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    add(&mut snapshot).unwrap();
    let old = fs::read_to_string(place.path()).unwrap();
    add(&mut snapshot).unwrap();
    let edited = old.replace("\"names\": []", "\"names\": [\"me\"]");
    place.by_hand_now(&edited);
    let Loaded::Fallback(state, reason) = snapshot.load().unwrap() else { panic!("taken") };
    assert!(state.count == 2 && reason.contains("revision 1"), "{reason}");
    assert_eq!(add(&mut snapshot).unwrap(), 3);
    assert_eq!(place.rejected(), [edited]);
}

#[test]
fn s23_41_s33_a_newer_schema_is_never_read_nor_written() {
    let place = Place::new();
    let text = "{\"schema\":2,\"rev\":{\"new\":\"shape\"}}";
    place.by_hand(text);
    let mut snapshot = place.snapshot();
    assert!(matches!(snapshot.load(), Err(Error::NewerSchema { found: 2, supported: 1, .. })));
    assert!(matches!(add(&mut snapshot), Err(Error::NewerSchema { .. })));
    assert!(matches!(snapshot.replace(&Tally::empty()), Err(Error::NewerSchema { .. })));
    assert_eq!(fs::read_to_string(place.path()).unwrap(), text);
    assert!(place.rejected().is_empty());
}

#[test]
fn s18_a_change_that_fails_leaves_no_trace() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    add(&mut snapshot).unwrap();
    let before = fs::read_to_string(place.path()).unwrap();
    let refused = snapshot.update(LONG, |tally| {
        tally.count = 99;
        Err::<(), _>(Error::Refused("no".to_owned()))
    });
    assert!(matches!(refused, Err(Error::Refused(_))));
    let broken = snapshot.update(LONG, |tally| {
        tally.count = 2_000_000;
        Ok(())
    });
    assert!(matches!(broken, Err(Error::Rejected { .. })));
    let large = snapshot.update(LONG, |tally| {
        tally.names = vec!["x".repeat(5000)];
        Ok(())
    });
    assert!(matches!(large, Err(Error::TooLarge { .. })));
    assert_eq!(fs::read_to_string(place.path()).unwrap(), before);
    assert!(matches!(snapshot.load().unwrap(), Loaded::Good(tally) if tally.count == 1));
}

#[test]
fn s23_35_the_mode_of_the_file_is_kept() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    add(&mut snapshot).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o640)).unwrap();
    add(&mut snapshot).unwrap();
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_single_writer_replaces_without_reading_but_keeps_what_it_cannot_read() {
    let place = Place::new();
    let mut snapshot = place.snapshot();
    let mut tally = Tally::empty();
    tally.count = 5;
    snapshot.replace(&tally).unwrap();
    let inode = fs::metadata(place.path()).unwrap().ino();
    snapshot.touch().unwrap();
    assert_eq!(snapshot.load().unwrap(), Loaded::Good(tally.clone()));
    place.by_hand("oops");
    snapshot.replace(&tally).unwrap();
    assert_ne!(fs::metadata(place.path()).unwrap().ino(), inode);
    assert_eq!(place.rejected(), ["oops"]);
    assert_eq!(place.snapshot().load().unwrap(), Loaded::Good(tally));
}

#[test]
fn s09_a_refused_file_is_never_absent_while_it_is_replaced() {
    let place = Place::new();
    add(&mut place.snapshot()).unwrap();
    let (path, stop) = (place.path(), Arc::new(AtomicBool::new(false)));
    let seen = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert!(path.exists());
            }
        })
    };
    for _ in 0..30 {
        place.by_hand("broken");
        add(&mut place.snapshot()).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    seen.join().unwrap();
    assert_eq!(place.rejected().len(), 30);
}
