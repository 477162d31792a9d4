//! Every format once released, as files: what they say must be read for ever, and newer ones are left alone.
//!
//! `v1/` is a state directory as version 0.1 writes it. A change of a format adds a directory and never edits one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::Timestamp;
use tachi_shared::event::EventLog;
use tachi_shared::id::{Incarnation, Seq, TaskId};
use tachi_shared::log::{Cursor, Durability, Limits, WhenFull};
use tachi_shared::os::Disk;
use tachi_shared::queue::Verified;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;
use tachi_shared::task::TaskStatus;

use crate::place::{WAIT, id, message};

fn released() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trouble/v1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A copy of the released directory to play with.
fn opened() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("state");
    copy(&released(), &root);
    (temp, Store::create(&root).unwrap())
}

fn good<T: std::fmt::Debug>(loaded: Loaded<T>) -> T {
    match loaded {
        Loaded::Good(found) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s33_every_file_of_version_one_says_what_it_said() {
    let (_temp, store) = opened();
    let at = Timestamp::parse("2026-11-01T12:00:00.000001Z").unwrap();
    let registry = good(store.registry().load().unwrap());
    let row = &registry.instances[0];
    assert_eq!((registry.rev, row.instance_id.as_str(), row.role.as_str()), (7, "instance_1", "explorer"));
    assert_eq!(
        (row.incarnation, row.pid, row.restarts, row.started_at),
        (Incarnation(3), Some(4711), 2, Some(at))
    );
    let memory = good(store.memory().load().unwrap());
    assert_eq!((memory.rev, memory.facts["build"].clone()), (4, json!("cargo build")));
    assert_eq!(
        (memory.findings[0].content.as_str(), memory.findings[0].instance.as_str()),
        ("two crates", "instance_1")
    );
    assert_eq!(memory.extra["team"], "ours");
    let file = good(store.instance(&id("instance_1")).load().unwrap());
    let cursor = file.inbox.unwrap();
    assert_eq!((cursor.seq, cursor.segment, file.sent, file.iteration), (Seq(2), 1, 5, 12));
    assert_eq!(file.outbox[0].id, "instance_1.3.5");
    assert_eq!(file.hook.unwrap().fence, 2);
    let (messages, _) = store.queue().messages(Cursor::default(), 10).unwrap();
    let texts: Vec<_> =
        messages.iter().map(|message| (message.seq.0, message.draft.text().into_owned())).collect();
    assert_eq!(texts, [(1, "hello".to_owned()), (2, "look".to_owned()), (3, "all".to_owned())]);
    assert_eq!(
        (messages[1].draft.priority.as_deref(), messages[1].draft.extra["mood"].clone()),
        (Some("urgent"), json!("fine"))
    );
    let mut tasks = store.tasks();
    let board = tasks.board().unwrap();
    let task = |name: &str| &board.tasks[&TaskId::new(name).unwrap()];
    assert_eq!((task("a").status, task("a").result.clone()), (TaskStatus::Done, json!(7)));
    assert_eq!((task("b").status, task("b").owner.as_ref().unwrap().fence), (TaskStatus::Claimed, Seq(5)));
    assert_eq!(tasks.skipped(), 0);
    let (events, _) = EventLog::new(Disk, store.dir()).read(Cursor::default(), 10).unwrap();
    assert_eq!(
        (events[0].kind.as_str(), events[0].text.as_str(), events[0].timestamp),
        ("started", "pid 4711", at)
    );
    let limits = Limits::load(&Disk, store.dir());
    assert_eq!(
        (limits.max_bytes, limits.when_full, limits.durability),
        (5_000_000, WhenFull::DropOldest, Durability::Durable)
    );
    assert_eq!(Verified::load(&Disk, store.dir()).of(&id("instance_2")), Seq(2));
    // The epoch: numbers go on above what it says was given.
    let mut queue = store.queue();
    assert!(queue.send(&[message(0, "x")], WAIT).unwrap().0 > 1_000_000);
}

#[test]
fn s33_what_a_newer_version_wrote_is_refused_and_no_byte_of_it_changed() {
    for name in ["registry.json", "memory.json", "instances/instance_1.json", ".tachi/store.json"] {
        let (_temp, store) = opened();
        let path = store.dir().root().join(name);
        let newer = fs::read_to_string(&path).unwrap().replacen("\"schema\":1", "\"schema\":2", 1);
        let newer = newer.replacen("\"schema\": 1", "\"schema\": 2", 1);
        assert!(newer.contains("2"), "{name}");
        fs::write(&path, &newer).unwrap();
        let refused = match name {
            "registry.json" => store.registry().update(WAIT, |_| Ok(())),
            "memory.json" => store.memory().set_fact("k", json!(1)),
            ".tachi/store.json" => Store::create(store.dir().root()).map(drop),
            _ => {
                let (_other, sound) = opened();
                let state = good(sound.instance(&id("instance_1")).load().unwrap());
                store.instance(&id("instance_1")).replace(&state)
            }
        };
        assert!(
            matches!(refused, Err(Error::NewerSchema { found: 2, supported: 1, .. })),
            "{name}: {refused:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), newer, "{name}");
        assert_eq!(fs::read_dir(store.dir().rejected()).unwrap().count(), 0, "{name}");
    }
}
