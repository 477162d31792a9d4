//! Hands and their keeper: a person or script that rewrites `messages.json` and `memory.json` and drops files into
//! `spool/`, and the part of a supervisor that takes such things in.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::layout::Topic;
use tachi_shared::log::Log;
use tachi_shared::os::Disk;

use crate::ledger::Ledger;
use crate::words::{Scene, WAIT};

/// Takes in what hands wrote, renders the view, and seals the segment now and then.
pub(crate) fn keep(scene: &Scene) {
    let mut view = scene.store.view();
    let mut log: Log = Log::new(Disk, scene.store.dir(), Topic::Messages);
    let mut dice = scene.dice();
    scene.at_work();
    while scene.goes_on() {
        match view.refresh(None, now()) {
            // Both locks are waited for shortly: the next round comes soon.
            Ok(_) | Err(Error::LockTimeout { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        if dice.below(20) == 0 {
            log.rotate(WAIT).unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// Edits; ledger lines are `box ID`, `spool ID`, `memory ID` and `torn ID`, each after the file got its name.
pub(crate) fn hand(scene: &Scene) {
    let (mut ledger, _) = Ledger::open(&scene.ledgers, &scene.slot);
    let mut dice = scene.dice();
    scene.at_work();
    let mut k = 0_u64;
    while scene.goes_on() {
        let name = format!("{}.{}.{k}", scene.slot, scene.start);
        let done = match dice.below(8) {
            0 => add_to_view(scene, &name),
            1 => add_to_memory(scene, &name),
            2..=5 => tear(scene, &name, dice.roll()),
            _ => drop_into_spool(scene, &name),
        };
        if let Some(kind) = done {
            ledger.write(&format!("{kind} {name}"));
        }
        k += 1;
        std::thread::park_timeout(Duration::from_millis(10 + dice.below(30)));
    }
}

fn element(name: &str) -> Value {
    json!({"to": "r0", "from": "hand", "type": "human", "content": name, "timestamp": "2025-12-10T02:00:00"})
}

/// As the original format allows: read, add, write elsewhere, move over. No lock.
fn add_to_view(scene: &Scene, name: &str) -> Option<&'static str> {
    let path = scene.store.dir().view(Topic::Messages);
    let text = fs::read_to_string(&path).ok()?;
    let mut view: Value = serde_json::from_str(&text).unwrap();
    view["messages"].as_array_mut()?.push(element(name));
    let beside = scene.ledgers.join("view.tmp");
    fs::write(&beside, view.to_string()).unwrap();
    fs::rename(&beside, &path).unwrap();
    Some("box")
}

/// As the recipe of the documentation has it: under the lock, written elsewhere, moved over.
fn add_to_memory(scene: &Scene, name: &str) -> Option<&'static str> {
    let dir = scene.store.dir();
    let lock = File::options().create(true).truncate(false).write(true).open(dir.lock("memory")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let text = fs::read_to_string(dir.memory()).ok()?;
    let mut memory: Value = serde_json::from_str(&text).unwrap();
    let list = memory["findings"].as_array_mut()?;
    list.push(json!({"content": name}));
    // The newest are enough: the file must not grow with the length of the run.
    let surplus = list.len().saturating_sub(50);
    list.drain(..surplus);
    memory["rev"] = json!(memory["rev"].as_u64()? + 1);
    let beside = scene.ledgers.join("memory.tmp");
    let mut file = File::create(&beside).unwrap();
    file.write_all(serde_json::to_string_pretty(&memory).unwrap().as_bytes()).unwrap();
    fs::rename(&beside, dir.memory()).unwrap();
    flock(&lock, FlockOperation::Unlock).unwrap();
    Some("memory")
}

/// What a writer leaves that is killed inside of its write: part of a record behind the last whole line. A real kill hits
/// the page edge too seldom for a short run.
fn tear(scene: &Scene, name: &str, roll: u64) -> Option<&'static str> {
    let dir = scene.store.dir();
    let lock = File::options().create(true).truncate(false).write(true).open(dir.lock("messages")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let segments = fs::read_dir(dir.segments(Topic::Messages)).unwrap().map(|entry| entry.unwrap().path());
    let line = format!("{{\"seq\":1,\"to\":\"r0\",\"from\":\"hand\",\"content\":\"torn {name}\"}}");
    let cut = 1 + usize::try_from(roll).unwrap() % (line.len() - 1);
    File::options().append(true).open(segments.max()?).unwrap().write_all(&line.as_bytes()[..cut]).unwrap();
    flock(&lock, FlockOperation::Unlock).unwrap();
    Some("torn")
}

fn drop_into_spool(scene: &Scene, name: &str) -> Option<&'static str> {
    let beside = scene.ledgers.join("spool.tmp");
    fs::write(&beside, element(name).to_string()).unwrap();
    fs::rename(&beside, scene.store.dir().spool().join(format!("{name}.json"))).unwrap();
    Some("spool")
}
