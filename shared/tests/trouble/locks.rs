//! Every lock of the store: freed by the death of its holder, and taken in one order.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use serde_json::json;
use tachi_shared::clock::now;
use tachi_shared::event::EventLog;
use tachi_shared::id::{Incarnation, TaskId};
use tachi_shared::layout::StateDir;
use tachi_shared::memory::MemoryStore;
use tachi_shared::os::{AliveLock, FileLock};
use tachi_shared::queue::{Queue, View};
use tachi_shared::registry::RegistryStore;
use tachi_shared::task::{Change, NewTask, TaskStore};

use crate::noting::{Noting, pairs};
use crate::place::{Ended, WAIT, given, id, message, process, state};

/// Who holds one of these may take one further right, and nothing else.
const ORDER: [&str; 7] = ["view", "memory", "registry", "messages", "tasks", "events", "epoch"];

/// Not a test of its own: takes every lock and holds them until it is killed.
#[test]
fn process_that_holds_every_lock() {
    let Some(root) = given() else { return };
    let dir = StateDir::new(root);
    let held: Vec<_> =
        ORDER.iter().map(|name| FileLock::take(&dir.lock(name), "test", WAIT).unwrap()).collect();
    let alive = AliveLock::take(&dir.alive(&id("held"))).unwrap();
    println!("holding");
    std::thread::park();
    drop((held, alive));
}

#[test]
fn s12_s17_s23_3_the_death_of_its_holder_frees_every_lock_within_a_second() {
    let (_temp, store) = state();
    let dir = store.dir().clone();
    let mut child = process(&[], "locks::process_that_holds_every_lock", dir.root()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut holder = Ended(child);
    assert!(lines.map_while(Result::ok).any(|line| line.contains("holding")));
    for name in ORDER {
        let busy = FileLock::take(&dir.lock(name), "test", Duration::ZERO);
        assert!(matches!(busy, Err(tachi_shared::Error::LockTimeout { .. })), "{name} is not held");
    }
    assert!(AliveLock::is_held(&dir.alive(&id("held"))));
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    let begin = Instant::now();
    for name in ORDER {
        FileLock::take(&dir.lock(name), "test", Duration::from_secs(1)).unwrap();
    }
    assert!(!AliveLock::is_held(&dir.alive(&id("held"))));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[test]
fn s12_locks_are_taken_in_one_order_so_that_nobody_waits_in_a_circle() {
    let (_temp, store) = state();
    let dir = store.dir();
    let mut queue = Queue::new(Noting, dir).with_segment_bytes(300);
    let mut view = View::new(Noting, dir);
    let mut memory = MemoryStore::new(Noting, dir);
    let mut registry = RegistryStore::new(Noting, dir);
    let mut tasks = TaskStore::new(Noting, dir).with_segment_bytes(300);
    for k in 0..5 {
        queue.post(&[message(k, "x")], WAIT).unwrap();
        memory.set_fact("k", json!(k)).unwrap();
        registry.update(WAIT, |_| Ok(())).unwrap();
        let task = TaskId::new(&format!("t{k}")).unwrap();
        let new = NewTask {
            id: task,
            title: "x".to_owned(),
            needs: Vec::new(),
            payload: json!(null),
            by: "t".to_owned(),
        };
        tasks.change(&Change::Add(vec![new]), now(), WAIT).unwrap();
        tasks.claim_first((&id("a"), Incarnation(1), "boot"), now(), WAIT, |_, _| true).unwrap();
        std::fs::write(dir.spool().join("m.json"), r#"{"to":"operator","content":"x"}"#).unwrap();
        std::fs::write(
            dir.view(tachi_shared::layout::Topic::Messages),
            r#"[{"to":"operator","content":"y"}]"#,
        )
        .unwrap();
        view.refresh(None, now()).unwrap();
        tasks.write_view(now()).unwrap();
    }
    memory.settle(WAIT).unwrap();
    let event =
        serde_json::from_value(json!({"timestamp": "2026-01-01T00:00:00Z", "kind": "x", "text": "x"}))
            .unwrap();
    EventLog::new(Noting, dir).record(&[event], WAIT).unwrap();
    let place = |name: &String| ORDER.iter().position(|known| known == name);
    let pairs = pairs();
    assert!(pairs.contains(&("view".to_owned(), "messages".to_owned())), "nothing was noted: {pairs:?}");
    for (outer, inner) in &pairs {
        assert!(
            place(outer).is_some() && place(outer) < place(inner),
            "{inner} is taken while {outer} is held"
        );
    }
}
