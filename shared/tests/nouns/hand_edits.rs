//! Edits by hand of documents that others change meanwhile: from an older revision, and in the very moment of a write.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::clock::now;
use tachi_shared::layout::StateDir;
use tachi_shared::memory::{EntryKind, Memory, MemoryStore};
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::registry::{Desired, Registry, RegistryStore};
use tachi_shared::snapshot::Loaded;

use crate::place::{WAIT, id, state};
use crate::snapshots_under_readers::row;

fn add(dir: &StateDir, entry: &str) {
    MemoryStore::new(Disk, dir).add(EntryKind::Finding, entry, "instance_1", entry, now()).unwrap();
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// As `jq … > new && mv new file` does it.
fn put(dir: &StateDir, path: &Path, value: &Value) {
    let new = dir.tmp().join("mine");
    fs::write(&new, serde_json::to_vec_pretty(value).unwrap()).unwrap();
    fs::rename(new, path).unwrap();
}

fn findings(dir: &StateDir) -> Vec<String> {
    let value = json_of(&dir.memory());
    value["findings"].as_array().unwrap().iter().map(|entry| entry["content"].to_string()).collect()
}

fn rejected(dir: &StateDir) -> Vec<String> {
    let names = Disk.list(&dir.rejected()).unwrap();
    let whys = names.iter().filter(|name| name.ends_with(".why"));
    whys.map(|name| fs::read_to_string(dir.rejected().join(name)).unwrap()).collect()
}

#[test]
fn s14_an_edit_of_an_older_memory_is_merged_by_whoever_writes_next() {
    let (_temp, dir) = state();
    add(&dir, "a");
    let mut edited = json_of(&dir.memory());
    add(&dir, "b");
    edited["findings"].as_array_mut().unwrap().push(json!({ "content": "mine" }));
    edited["facts"]["owner"] = "ops".into();
    put(&dir, &dir.memory(), &edited);
    // Nobody who writes now has ever seen the revision that was overwritten.
    add(&dir, "c");
    assert_eq!(findings(&dir), ["\"a\"", "\"b\"", "\"mine\"", "\"c\""]);
    let memory = json_of(&dir.memory());
    assert_eq!((&memory["facts"]["owner"], &memory["findings"][2]["id"]), (&json!("ops"), &json!("hand.1")));
    assert_eq!(rejected(&dir), [""; 0]);
}

#[test]
fn s14_readers_see_an_edit_of_an_older_memory_merged_at_once() {
    let (_temp, dir) = state();
    add(&dir, "a");
    let mut edited = json_of(&dir.memory());
    add(&dir, "b");
    edited["findings"][0]["content"] = "changed".into();
    put(&dir, &dir.memory(), &edited);
    let Loaded::Good(memory) = MemoryStore::new(Disk, &dir).load().unwrap() else { panic!("not merged") };
    let contents: Vec<&str> = memory.findings.iter().map(|entry| entry.content.as_str()).collect();
    assert_eq!(contents, ["changed", "b"]);
}

#[test]
fn s14_a_keeper_that_slept_through_a_revision_does_not_take_an_older_one_for_the_newest() {
    let (_temp, dir) = state();
    let mut keeper = MemoryStore::new(Disk, &dir);
    keeper.add(EntryKind::Finding, "a", "instance_1", "a", now()).unwrap();
    let mut edited = json_of(&dir.memory());
    add(&dir, "b");
    edited["facts"]["k"] = 1.into();
    put(&dir, &dir.memory(), &edited);
    keeper.settle(WAIT).unwrap();
    assert_eq!(findings(&dir), ["\"a\"", "\"b\""]);
    assert_eq!(json_of(&dir.memory())["facts"]["k"], 1);
}

#[test]
fn s13_only_what_both_changed_is_set_aside_and_explained() {
    let (_temp, dir) = state();
    add(&dir, "a");
    let mut edited = json_of(&dir.memory());
    let change = |memory: &mut Memory| {
        memory.findings[0].content = "theirs".to_owned();
        Ok(())
    };
    MemoryStore::new(Disk, &dir).update(WAIT, change).unwrap();
    edited["findings"][0]["content"] = "mine".into();
    edited["facts"]["k"] = 1.into();
    put(&dir, &dir.memory(), &edited);
    let mut keeper = MemoryStore::new(Disk, &dir);
    assert_eq!(keeper.settle(WAIT).unwrap(), None);
    assert_eq!(findings(&dir), ["\"theirs\""]);
    assert_eq!(json_of(&dir.memory())["facts"]["k"], 1);
    let why = rejected(&dir).join("");
    assert!(why.contains("finding \"a\" was changed by others too") && why.contains("revision 1"), "{why}");
    assert_eq!(keeper.notes().len(), 1, "a person can be told");
    assert_eq!(keeper.settle(WAIT).unwrap(), None);
    assert_eq!(rejected(&dir).len(), 1, "and is told once");
}

#[test]
fn s13_an_edit_of_a_forgotten_revision_is_set_aside_and_loses_nothing_of_others() {
    let (_temp, dir) = state();
    add(&dir, "a");
    let mut edited = json_of(&dir.memory());
    for n in 0..70 {
        add(&dir, &format!("n{n}"));
    }
    edited["findings"] = json!([]);
    put(&dir, &dir.memory(), &edited);
    add(&dir, "z");
    assert_eq!(findings(&dir).len(), 72);
    assert_eq!(rejected(&dir).len(), 1);
    assert_eq!(Disk.list(&dir.backup().join("memory")).unwrap().len(), 64);
}

#[test]
fn s14_an_edit_that_crosses_a_write_is_taken_over() {
    let (_temp, dir) = state();
    add(&dir, "a");
    let mut edited = json_of(&dir.memory());
    edited["facts"]["k"] = "by rename".into();
    MemoryStore::new(Disk, &dir)
        .update(WAIT, |memory| {
            memory.facts.insert("other".to_owned(), json!(1));
            put(&dir, &dir.memory(), &edited);
            Ok(())
        })
        .unwrap();
    let memory = json_of(&dir.memory());
    assert_eq!((&memory["facts"]["k"], &memory["facts"]["other"]), (&json!("by rename"), &json!(1)));
    assert_eq!(rejected(&dir), [""; 0]);
}

#[test]
fn s13_what_crosses_a_write_and_never_becomes_whole_is_set_aside() {
    let (_temp, dir) = state();
    add(&dir, "a");
    MemoryStore::new(Disk, &dir)
        .update(WAIT, |_| {
            fs::write(dir.memory(), "{ oops").unwrap();
            Ok(())
        })
        .unwrap();
    assert_eq!(findings(&dir), ["\"a\""]);
    assert!(rejected(&dir).join("").contains("edited by hand at the moment"), "{:?}", rejected(&dir));
}

#[test]
fn m08_the_file_is_whole_while_hands_and_programs_write_it() {
    let (_temp, dir) = state();
    add(&dir, "a");
    let programs = 40;
    std::thread::scope(|scope| {
        let hand = scope.spawn(|| {
            for n in 0..40 {
                let mut edited = json_of(&dir.memory());
                std::thread::park_timeout(Duration::from_millis(2));
                edited["facts"][format!("hand{n}")] = n.into();
                put(&dir, &dir.memory(), &edited);
            }
        });
        for n in 0..programs {
            add(&dir, &format!("n{n}"));
        }
        hand.join().unwrap();
    });
    MemoryStore::new(Disk, &dir).settle(WAIT).unwrap();
    let memory = json_of(&dir.memory());
    assert_eq!(findings(&dir).len(), programs + 1, "what programs wrote");
    assert_eq!(memory["facts"].as_object().unwrap().len(), 40, "what the hand wrote: {:?}", rejected(&dir));
}

#[test]
fn a_wish_in_an_old_copy_of_the_registry_counts_and_what_merely_stands_in_it_does_not() {
    let (_temp, dir) = state();
    let mut supervisor = RegistryStore::new(Disk, &dir);
    let change = |registry: &mut Registry| {
        registry.instances = ["instance_1", "instance_2", "instance_3"].map(row).into();
        Ok(())
    };
    supervisor.update(WAIT, change).unwrap();
    let mut edited = json_of(&dir.registry());
    for n in 0..3 {
        let note = |registry: &mut Registry| {
            // Somebody stops the third while the editor is open.
            registry.instances[2].desired = Desired::Stopped;
            registry.instances[0].restarts += n;
            Ok(())
        };
        supervisor.update(WAIT, note).unwrap();
    }
    edited["instances"][1]["desired"] = "stopped".into();
    edited["instances"][0]["restarts"] = 99.into();
    put(&dir, &dir.registry(), &edited);
    supervisor.update(WAIT, |_| Ok(())).unwrap();
    let registry = json_of(&dir.registry());
    let desired: Vec<&str> = registry["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["desired"].as_str().unwrap())
        .collect();
    assert_eq!(desired, ["running", "stopped", "stopped"]);
    assert_eq!(registry["instances"][0]["restarts"], 3, "only `desired` is an input");
    assert_eq!(rejected(&dir), [""; 0]);
    assert_eq!(supervisor.known().unwrap().row(&id("instance_2")).unwrap().desired, Desired::Stopped);
}
