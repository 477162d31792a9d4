//! Wrong types in the real documents, written by hand.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tachi_shared::memory::MemoryStore;
use tachi_shared::snapshot::Loaded;

use crate::noting::{Noting, at_pause};
use crate::place::{WAIT, state};

fn by_hand(path: &std::path::Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
    fs::File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

#[test]
fn s13_s23_23_wrong_types_in_the_registry_are_refused_with_the_path_of_the_field() {
    let (_temp, store) = state();
    let row = json!({ "instance_id": "a", "role": "builder", "pid": 1, "pid_start": 1, "incarnation": 1,
        "status": "ready", "desired": "running", "started_at": null, "last_heartbeat": null, "restarts": 0,
        "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null });
    let good = serde_json::from_value(row).unwrap();
    store
        .registry()
        .update(WAIT, |registry| {
            registry.instances.push(good);
            Ok(())
        })
        .unwrap();
    let path = store.dir().registry();
    let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (field, wrong) in [
        ("pid", json!("x")),
        ("incarnation", json!(-1)),
        ("restarts", json!(1.0)),
        ("desired", json!("perhaps")),
        ("instance_id", json!("../x")),
        ("last_heartbeat", json!("yesterday")),
    ] {
        let mut edited = written.clone();
        edited["instances"][0][field] = wrong;
        by_hand(&path, &edited);
        let mut registry = store.registry();
        let Loaded::Fallback(state, reason) = registry.load().unwrap() else { panic!("{field} was taken") };
        assert!(reason.contains(&format!("instances[0].{field}: ")), "{field}: {reason}");
        assert!(reason.starts_with(&format!("{}:1:", path.display())), "{reason}");
        assert_eq!(serde_json::to_value(&state.instances[0]).unwrap()["pid"], 1, "the last good state");
    }
}

#[test]
fn s13_s23_23_wrong_types_in_the_memory_are_refused_with_the_path_of_the_field() {
    let (_temp, store) = state();
    store.memory().set_fact("kept", json!(1)).unwrap();
    let path = store.dir().memory();
    let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (field, wrong) in
        [("rev", json!(-1)), ("rev", json!(1.0)), ("facts", json!([])), ("findings", json!("x"))]
    {
        let mut edited = written.clone();
        edited[field] = wrong;
        by_hand(&path, &edited);
        let Loaded::Fallback(state, reason) = store.memory().load().unwrap() else {
            panic!("{field} was taken")
        };
        assert!(reason.contains(&format!("{field}: ")), "{field}: {reason}");
        assert_eq!(serde_json::to_value(&state).unwrap()["facts"]["kept"], written["facts"]["kept"]);
    }
}

#[test]
fn s14_an_edit_in_place_that_is_half_written_when_a_write_replaces_the_file_is_taken_over() {
    use std::io::Write as _;
    let (_temp, store) = state();
    store.memory().set_fact("other", json!(1)).unwrap();
    let path = store.dir().memory();
    let mut edited: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edited["facts"]["k"] = "in place".into();
    let text = edited.to_string();
    let mut memory = MemoryStore::new(Noting, store.dir());
    memory
        .update(WAIT, |_| {
            let (first, second) = text.split_at(20);
            let mut file = fs::File::create(&path).unwrap();
            file.write_all(first.as_bytes()).unwrap();
            // The rest comes when the store has met the half in what it replaced, and waits a moment for it.
            let second = second.to_owned();
            at_pause(move || file.write_all(second.as_bytes()).unwrap());
            Ok(())
        })
        .unwrap();
    let Loaded::Good(now) = store.memory().load().unwrap() else { panic!("not good") };
    assert_eq!((&now.facts["k"], &now.facts["other"]), (&json!("in place"), &json!(1)));
    assert_eq!(fs::read_dir(store.dir().rejected()).unwrap().count(), 0);
}
