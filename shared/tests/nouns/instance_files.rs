//! One instance's own files: replaced whole, damage survived, foreign bytes kept.

use std::fs;

use crate::place::{id, rejected, role, state};
use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::{Mono, Now, now};
use tachi_shared::id::{Incarnation, ProcessRef};
use tachi_shared::instance::{ExitRecord, InstanceState, InstanceStore, LOG_LINES};
use tachi_shared::layout::StateDir;
use tachi_shared::os::Disk;
use tachi_shared::snapshot::Loaded;

fn store(dir: &StateDir) -> InstanceStore {
    InstanceStore::new(Disk, dir, &id("instance_1"))
}

fn fresh() -> InstanceState {
    let process = ProcessRef { pid: 1, pid_start: 2, boot_id: "boot".to_owned() };
    InstanceState::new(
        &id("instance_1"),
        &role("builder"),
        Incarnation(1),
        &process,
        Now { mono: Mono::from_millis(5), ..now() },
    )
}

fn good(loaded: Loaded<InstanceState>) -> InstanceState {
    match loaded {
        Loaded::Good(state) => state,
        other => panic!("not good: {other:?}"),
    }
}

#[test]
fn a_state_comes_back_as_it_was_written_with_fields_we_do_not_know() {
    let (_temp, dir) = state();
    assert_eq!(store(&dir).load().unwrap(), Loaded::Missing);
    let mut state = fresh();
    state.extra.insert("mood".to_owned(), json!({ "deep": [1, 2] }));
    for n in 0..LOG_LINES + 5 {
        state.log(format!("line {n}"));
    }
    store(&dir).replace(&state).unwrap();
    let back = good(store(&dir).load().unwrap());
    assert_eq!(back, state);
    assert_eq!((back.logs.len(), back.logs[0].as_str()), (LOG_LINES, "line 5"));
    let raw: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.instance(&id("instance_1"))).unwrap()).unwrap();
    for field in [
        "running",
        "current_task",
        "iteration",
        "last_activity",
        "logs",
        "instance_id",
        "instance_role",
        "last_message_check",
    ] {
        assert!(raw.get(field).is_some(), "the original field {field} is missing");
    }
}

#[test]
fn a_damaged_state_falls_back_to_the_copy_and_is_kept_when_it_is_replaced() {
    let (_temp, dir) = state();
    let path = dir.instance(&id("instance_1"));
    let state = fresh();
    store(&dir).replace(&state).unwrap();
    fs::write(&path, "{\"schema\":1,\n oops").unwrap();
    let mut successor = store(&dir);
    match successor.load().unwrap() {
        Loaded::Fallback(copy, why) => {
            assert_eq!(copy, state);
            assert!(why.contains("instance_1.json:2:2"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(rejected(&dir).is_empty(), "a reader moved the file");
    successor.replace(&state).unwrap();
    assert_eq!(good(successor.load().unwrap()), state);
    let names = rejected(&dir);
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(fs::read_to_string(dir.rejected().join(&names[0])).unwrap(), "{\"schema\":1,\n oops");
}

#[test]
fn a_damaged_state_without_a_copy_is_an_error_and_a_newer_one_is_never_replaced() {
    let (_temp, dir) = state();
    let path = dir.instance(&id("instance_1"));
    fs::write(&path, "").unwrap();
    assert!(matches!(store(&dir).load(), Err(Error::Rejected { .. })));
    let newer = serde_json::to_string(&InstanceState { schema: 2, ..fresh() }).unwrap();
    fs::write(&path, &newer).unwrap();
    assert!(matches!(store(&dir).load(), Err(Error::NewerSchema { found: 2, .. })));
    assert!(matches!(store(&dir).replace(&fresh()), Err(Error::NewerSchema { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn an_edit_under_a_working_instance_is_kept_before_it_is_replaced() {
    let (_temp, dir) = state();
    let path = dir.instance(&id("instance_1"));
    let mut writer = store(&dir);
    writer.replace(&fresh()).unwrap();
    writer.touch().unwrap();
    writer.replace(&fresh()).unwrap();
    assert!(rejected(&dir).is_empty(), "our own touch was taken for a stranger's edit");
    let edited = fs::read_to_string(&path).unwrap().replace("Starting", "Edited by hand");
    fs::write(&path, &edited).unwrap();
    writer.replace(&fresh()).unwrap();
    let names = rejected(&dir);
    assert_eq!(fs::read_to_string(dir.rejected().join(&names[0])).unwrap(), edited);
}

#[test]
fn last_words_are_written_and_read() {
    let (_temp, dir) = state();
    let files = store(&dir);
    assert_eq!(files.exit_record().unwrap(), None);
    let record = ExitRecord {
        instance_id: id("instance_1"),
        incarnation: Incarnation(3),
        pid: 77,
        at: now().wall,
        code: Some(0),
        signal: None,
        reason: "requested".to_owned(),
        last_line: None,
    };
    files.write_exit_record(&record).unwrap();
    assert_eq!(files.exit_record().unwrap(), Some(record));
}
