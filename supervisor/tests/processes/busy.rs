//! M8: whoever reads a JSON file in the state directory of a busy fleet reads a whole one, at any instant.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::stage::Stage;

/// Readings of the default run; `TACHI_LONG` takes the full number.
const READINGS: (u64, u64) = (10_000, 100_000);
/// Where there is something to read, and how long it may take until there is.
const ROOMS: [&str; 7] = ["", "instances", "messages", "tasks", "events", ".tachi", ".tachi/backup"];
const PATIENCE: Duration = Duration::from_secs(60);
/// Small files, so that the board and the parts move all the time.
const FILES: usize = 1_000;

/// A workspace with something to count in it.
fn plant(dir: &Path) {
    for n in 0..FILES {
        let folder = dir.join(format!("d{}", n % 60));
        fs::create_dir_all(&folder).unwrap();
        let text = format!("fn f{n}() {{}}\n// TODO: number {n}\n").repeat(1 + n % 40);
        fs::write(folder.join(format!("f{n}.rs")), text).unwrap();
    }
}

/// Every file of this kind below `dir`, internals too.
fn below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Kept revisions never change, and there are many.
        let kept = path.parent().is_some_and(|parent| parent.ends_with("backup"));
        if is_dir && !kept && !matches!(&*name, "tmp" | "locks" | "wake") {
            below(&path, found);
        } else if name.ends_with(".json") || name.ends_with(".jsonl") {
            found.push(path);
        }
    }
}

/// The end of a log: the newest lines are those that may be torn; the older ones were read when they were new.
fn end(path: &Path) -> Option<Vec<u8>> {
    let mut file = fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(16 * 1024))).ok()?;
    let mut bytes = b"\n".to_vec();
    file.read_to_end(&mut bytes).ok()?;
    // What stands before the first newline began earlier.
    let whole = if size > 16 * 1024 { bytes.iter().skip(1).position(|byte| *byte == b'\n')? + 1 } else { 0 };
    Some(bytes.split_off(whole))
}

/// Reads a file as `jq` does; a line that is not complete yet is nobody's business. `None` = gone since it was listed.
fn read(path: &Path) -> Option<Result<(), String>> {
    let log = path.extension().is_some_and(|kind| kind == "jsonl");
    let bytes = if log { end(path)? } else { fs::read(path).ok()? };
    let parse = |text: &[u8]| {
        let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(text);
        parsed.map(drop).map_err(|error| format!("{}: {error}", path.display()))
    };
    if !log {
        return Some(parse(&bytes));
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    let newest = whole.split(|byte| *byte == b'\n').skip(1);
    Some(newest.filter(|line| !line.is_empty()).try_for_each(parse))
}

#[test]
fn m08_every_json_file_of_a_busy_fleet_can_be_read_at_any_instant() {
    let wanted = if std::env::var_os("TACHI_LONG").is_some() { READINGS.1 } else { READINGS.0 };
    let mut stage = Stage::workers(3);
    plant(&stage.file("work"));
    let supervisor = stage.up();
    stage.wait("the fleet is there", |stage| stage.state().join("tasks").exists().then_some(()));
    let (readings, over, begin) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let failures = std::sync::Mutex::new(Vec::new());
    let kinds = std::sync::Mutex::new(BTreeMap::<String, u64>::new());
    // On a slow machine the readers are through before the team has begun to work.
    let enough = || {
        let kinds = kinds.lock().unwrap();
        let everywhere = ROOMS.iter().all(|room| kinds.get(*room).is_some_and(|count| *count > 10));
        readings.load(Ordering::Relaxed) >= wanted && (everywhere || begin.elapsed() > PATIENCE)
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE * 2 {
                    let mut paths = Vec::new();
                    below(&stage.state(), &mut paths);
                    for path in paths {
                        let Some(result) = read(&path) else { continue };
                        readings.fetch_add(1, Ordering::Relaxed);
                        let room =
                            path.parent().unwrap().strip_prefix(stage.state()).unwrap().display().to_string();
                        *kinds.lock().unwrap().entry(room).or_default() += 1;
                        if let Err(why) = result {
                            failures.lock().unwrap().push(why);
                        }
                    }
                }
            });
        }
        // Others write meanwhile, and somebody is killed.
        let mut round = 0;
        while !enough() {
            round += 1;
            let text = "x".repeat(round * 37 % 900);
            stage.ask(&["send", "broadcast", &text]);
            stage.ask(&["memory", "set", &format!("k{}", round % 7), &format!("\"{text}\"")]);
            if round % 10 == 0 {
                // It may be on its way back from the last time.
                stage.tachi(&["kill", "instance_1"]);
            }
            if round % 25 == 0 {
                // Whatever was surveyed is surveyed again.
                plant(&stage.file("work"));
                stage.tachi(&["restart", "instance_2"]);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {readings:?}: {:?}", failures.len(), failures.first());
    let kinds = kinds.into_inner().unwrap();
    for room in ROOMS {
        assert!(kinds.get(room).is_some_and(|count| *count > 10), "{room:?} was hardly read: {kinds:?}");
    }
    super::stage::signal(supervisor, "TERM");
    assert_eq!(stage.ended(), Some(0));
}
