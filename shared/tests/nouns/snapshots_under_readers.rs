//! Registry, memory and instance files while others read and write them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::place::{WAIT, id, role, state};
use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::id::{Incarnation, ProcessRef};
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::layout::StateDir;
use tachi_shared::memory::{EntryKind, MemoryStore};
use tachi_shared::os::Disk;
use tachi_shared::registry::{Desired, Registry, RegistryStore, Row};
use tachi_shared::snapshot::Loaded;

pub(crate) fn row(name: &str) -> Row {
    serde_json::from_value(json!({ "instance_id": name, "role": "builder", "pid": null, "pid_start": null,
        "incarnation": 1, "status": "ready", "desired": "running", "started_at": null, "last_heartbeat": null,
        "restarts": 0, "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null, "mine": [1] }))
    .unwrap()
}

fn registry(dir: &StateDir) -> Registry {
    match RegistryStore::new(Disk, dir).load().unwrap() {
        Loaded::Good(registry) => registry,
        other => panic!("not good: {other:?}"),
    }
}

fn add_row(registry: &mut Registry) -> Result<(), Error> {
    registry.instances.push(row("instance_1"));
    Ok(())
}

/// Parses a file as `jq` would; a missing one only counts before its first creation.
fn parse(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn m08_every_reading_of_a_file_under_rewrite_is_whole() {
    let (_temp, dir) = state();
    let (one, two) = (id("instance_1"), id("instance_2"));
    let process = ProcessRef { pid: 1, pid_start: 2, boot_id: "boot".to_owned() };
    let fresh = |id| InstanceState::new(id, &role("builder"), Incarnation(1), &process, now());
    RegistryStore::new(Disk, &dir).update(WAIT, add_row).unwrap();
    MemoryStore::new(Disk, &dir).set_fact("n", json!(0)).unwrap();
    for id in [&one, &two] {
        InstanceStore::new(Disk, &dir, id).replace(&fresh(id)).unwrap();
    }
    let done = AtomicBool::new(false);
    let rounds = 60;
    std::thread::scope(|scope| {
        let writers: Vec<_> = [&one, &two]
            .map(|id| {
                let dir = dir.clone();
                let mut own = fresh(id);
                scope.spawn(move || {
                    let mut files = InstanceStore::new(Disk, &dir, id);
                    let mut registry = RegistryStore::new(Disk, &dir);
                    let mut memory = MemoryStore::new(Disk, &dir);
                    for n in 0..rounds {
                        own.iteration += 1;
                        own.log("x".repeat(n));
                        files.replace(&own).unwrap();
                        registry
                            .update(WAIT, |registry| {
                                registry.instances[0].restarts += 1;
                                registry.instances[0].doing = Some("y".repeat(n * 50));
                                Ok(())
                            })
                            .unwrap();
                        memory
                            .add(EntryKind::Finding, &format!("{id}.{n}"), id.as_str(), "found", now())
                            .unwrap();
                    }
                })
            })
            .into_iter()
            .collect();
        let reader = scope.spawn(|| {
            let mut readings = 0;
            while !done.load(Ordering::SeqCst) {
                for path in [dir.registry(), dir.memory(), dir.instance(&one), dir.instance(&two)] {
                    assert_eq!(parse(&path)["schema"], 1);
                    readings += 1;
                }
                registry(&dir);
            }
            readings
        });
        // The reader must be told to end even if a writer failed.
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|ended| ended.unwrap());
        assert!(reader.join().unwrap() > 100, "the reader hardly read");
    });
    let last = registry(&dir);
    assert_eq!(last.instances[0].restarts, 2 * rounds as u64, "an update was lost");
    assert_eq!(last.rev, 1 + 2 * rounds as u64);
    assert_eq!(last.instances[0].extra["mine"], json!([1]), "a field we do not know was lost");
    assert_eq!(parse(&dir.memory())["findings"].as_array().unwrap().len(), 2 * rounds);
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let (_temp, dir) = state();
    let mut store = RegistryStore::new(Disk, &dir);
    assert_eq!(store.load().unwrap(), Loaded::Missing);
    store.update(WAIT, add_row).unwrap();
    let before = fs::read(dir.registry()).unwrap();
    let refused: Result<(), Error> = store.update(WAIT, |registry| {
        registry.instances.clear();
        Err(Error::Refused("no".to_owned()))
    });
    assert!(matches!(refused, Err(Error::Refused(_))));
    assert_eq!(fs::read(dir.registry()).unwrap(), before);
}

#[test]
fn a_good_hand_edit_of_the_registry_is_picked_up() {
    let (_temp, dir) = state();
    let mut store = RegistryStore::new(Disk, &dir);
    store.update(WAIT, add_row).unwrap();
    let text = fs::read_to_string(dir.registry()).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["instances"][0]["desired"] = json!("stopped");
    fs::write(dir.registry(), value.to_string()).unwrap();
    assert_eq!(registry(&dir).instances[0].desired, Desired::Stopped);
    store
        .update(WAIT, |registry| {
            registry.instances[0].restarts = 5;
            Ok(())
        })
        .unwrap();
    let row = &registry(&dir).instances[0];
    assert_eq!((row.desired, row.restarts), (Desired::Stopped, 5));
}

#[test]
fn s30_what_is_remembered_survives_and_others_see_it() {
    let (_temp, dir) = state();
    let mut mine = MemoryStore::new(Disk, &dir);
    let first = mine.add(EntryKind::Learning, "l1", "instance_1", "tests find bugs", now()).unwrap();
    let mut theirs = MemoryStore::new(Disk, &dir);
    let again = theirs.add(EntryKind::Learning, "l1", "instance_2", "something else", now()).unwrap();
    assert_eq!(again, first, "one entry per id");
    theirs.set_fact("port", json!(3141)).unwrap();
    let Loaded::Good(memory) = mine.load().unwrap() else { panic!("not good") };
    assert_eq!((memory.learnings.len(), &memory.facts["port"]), (1, &json!(3141)));
    let big = "x".repeat(64 * 1024 + 1);
    assert!(matches!(mine.add(EntryKind::Finding, "f", "i", &big, now()), Err(Error::TooLarge { .. })));
    // By hand, without an id.
    let mut value = parse(&dir.memory());
    value["findings"] = json!([{ "content": "by hand" }]);
    fs::write(dir.memory(), value.to_string()).unwrap();
    mine.set_fact("port", json!(3142)).unwrap();
    assert_eq!(parse(&dir.memory())["findings"][0]["id"], "hand.1");
}
