//! The board on real files, claimed by real processes.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use crate::place::{WAIT, id, state, wait_until};
use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::id::{Incarnation, Seq, TaskId};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, Entry, Log};
use tachi_shared::os::Disk;
use tachi_shared::os::doorbell::{Doorbell, Ring};
use tachi_shared::task::{Board, Change, NewTask, TaskEvent, TaskStatus, TaskStore};

const STATE: &str = "TACHI_TEST_STATE";
const WORKER: &str = "TACHI_TEST_WORKER";
const BOOT: &str = "boot-a";
const TASKS: usize = 120;

fn task(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

fn new(name: &str, needs: &[&str]) -> NewTask {
    let needs = needs.iter().map(|need| task(need)).collect();
    NewTask { id: task(name), title: name.to_owned(), needs, payload: json!(null), by: "test".to_owned() }
}

fn add(store: &mut TaskStore, tasks: Vec<NewTask>) {
    store.change(&Change::Add(tasks), now(), WAIT).unwrap();
}

fn claim(store: &mut TaskStore, by: &str, start: u32) -> Option<(TaskId, Seq)> {
    let claimed = store.claim_first((&id(by), Incarnation(start), BOOT), now(), WAIT, |_, _| true).unwrap();
    claimed.map(|task| (task.id, task.owner.unwrap().fence))
}

fn done(task: &TaskId, fence: Seq, by: &str) -> Change {
    Change::Done { task: task.clone(), fence, result: json!(by), by: id(by) }
}

/// Every recorded event, read with a fresh reader.
fn events(dir: &StateDir) -> Vec<(Seq, TaskEvent)> {
    let log: Log = Log::new(Disk, dir, Topic::Tasks);
    let entries = log.reader(Cursor::default()).read(usize::MAX).unwrap();
    let event = |entry: Entry| match entry {
        Entry::Record { seq, line } => (seq, serde_json::from_str(&line).unwrap()),
        Entry::Gap(gap) => panic!("{gap:?}"),
    };
    entries.into_iter().map(event).collect()
}

/// Not a test of its own: a worker that claims and finishes until nothing is left.
#[test]
fn worker_process() {
    let (Ok(root), Ok(worker)) = (std::env::var(STATE), std::env::var(WORKER)) else { return };
    let mut store = TaskStore::new(Disk, &StateDir::new(root));
    loop {
        match claim(&mut store, &worker, 1) {
            Some((task, fence)) => drop(store.change(&done(&task, fence, &worker), now(), WAIT).unwrap()),
            None if store.board().unwrap().tasks.values().all(|task| task.status == TaskStatus::Done) => {
                return;
            }
            None => std::thread::yield_now(),
        }
    }
}

#[test]
fn four_processes_do_every_task_exactly_once() {
    let (_temp, dir) = state();
    let mut store = TaskStore::new(Disk, &dir);
    let names: Vec<String> = (0..TASKS).map(|n| format!("part-{n:03}")).collect();
    let mut tasks: Vec<NewTask> = names.iter().map(|name| new(name, &[])).collect();
    tasks.push(new("assemble", &names.iter().map(String::as_str).collect::<Vec<_>>()));
    add(&mut store, tasks);
    let mut workers: Vec<Child> = (1..=4)
        .map(|n| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "board_on_disk::worker_process"])
                .env(STATE, dir.root())
                .env(WORKER, format!("instance_{n}"))
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    wait_until("the workers end", || workers.iter_mut().all(|worker| worker.try_wait().unwrap().is_some()));
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let events = events(&dir);
    let mut finished: BTreeMap<TaskId, u32> = BTreeMap::new();
    let mut fences: BTreeMap<TaskId, Seq> = BTreeMap::new();
    for (seq, event) in &events {
        match event {
            TaskEvent::Claimed { task, .. } => drop(fences.insert(task.clone(), *seq)),
            TaskEvent::Done { task, fence, .. } => {
                assert_eq!(fences.get(task), Some(fence), "a stale fence completed {task}");
                *finished.entry(task.clone()).or_default() += 1;
            }
            _ => {}
        }
    }
    assert_eq!(finished.len(), TASKS + 1);
    assert!(finished.values().all(|times| *times == 1));
    assert!(matches!(events.last(), Some((_, TaskEvent::Done { task, .. })) if task.as_str() == "assemble"));
    let mut replayed = Board::default();
    events.iter().for_each(|(seq, event)| replayed.apply(*seq, event));
    assert_eq!(&replayed, store.board().unwrap());
    assert_eq!(store.skipped(), 0);
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let (_temp, dir) = state();
    let mut store = TaskStore::new(Disk, &dir);
    add(&mut store, vec![new("a", &[])]);
    let (task, fence) = claim(&mut store, "instance_1", 1).unwrap();
    let before = events(&dir).len();
    assert_eq!(claim(&mut store, "instance_2", 1), None);
    for refused in [
        Change::Claim {
            task: task.clone(),
            by: id("instance_2"),
            incarnation: Incarnation(1),
            boot_id: BOOT.into(),
        },
        done(&task, Seq(fence.0 + 1), "instance_1"),
        Change::Add(vec![new("b", &["missing"])]),
    ] {
        assert!(matches!(store.change(&refused, now(), WAIT), Err(Error::Refused(_))), "{refused:?}");
    }
    add(&mut store, vec![new("a", &[])]);
    assert_eq!(events(&dir).len(), before);
}

#[test]
fn a_successor_takes_over_and_its_predecessor_cannot_complete() {
    let (_temp, dir) = state();
    let mut old = TaskStore::new(Disk, &dir);
    add(&mut old, vec![new("a", &[])]);
    let (task, stale) = claim(&mut old, "instance_1", 1).unwrap();
    let mut next = TaskStore::new(Disk, &dir);
    let boot_id = BOOT.to_owned();
    let takeover =
        Change::Claim { task: task.clone(), by: id("instance_1"), incarnation: Incarnation(2), boot_id };
    let fence = next.change(&takeover, now(), WAIT).unwrap().unwrap();
    match old.change(&done(&task, stale, "instance_1"), now(), WAIT) {
        Err(Error::Refused(why)) => assert!(why.contains("lost lease on task a"), "{why}"),
        other => panic!("{other:?}"),
    }
    next.change(&done(&task, fence, "instance_1"), now(), WAIT).unwrap();
    assert_eq!(old.board().unwrap().tasks[&task].status, TaskStatus::Done);
}

#[test]
fn s16_a_change_that_lacks_only_its_newline_is_judged_as_made() {
    let (_temp, dir) = state();
    let mut store = TaskStore::new(Disk, &dir);
    add(&mut store, vec![new("a", &[])]);
    let (a, fence) = claim(&mut store, "instance_1", 1).unwrap();
    store.change(&done(&a, fence, "instance_1"), now(), WAIT).unwrap();
    // Killed one byte before the end of the write.
    let segment = dir.segments(Topic::Tasks).join("00000000000000000001.jsonl");
    let text = fs::read(&segment).unwrap();
    fs::write(&segment, &text[..text.len() - 1]).unwrap();
    let mut successor = TaskStore::new(Disk, &dir);
    let (by, boot_id) = (id("instance_1"), BOOT.to_owned());
    let again = Change::Claim { task: a, by, incarnation: Incarnation(2), boot_id };
    let refused = successor.change(&again, now(), WAIT).unwrap_err();
    assert!(refused.to_string().contains("is done, not open"), "{refused}");
    assert_eq!(fs::read(&segment).unwrap(), text);
}

#[test]
fn the_view_is_written_when_the_board_changed_and_only_then() {
    let (_temp, dir) = state();
    let mut store = TaskStore::new(Disk, &dir);
    assert!(store.write_view(now()).unwrap().written);
    assert!(!store.write_view(now()).unwrap().written);
    add(&mut TaskStore::new(Disk, &dir), vec![new("a", &[])]);
    assert!(store.write_view(now()).unwrap().written);
    let view: Value = serde_json::from_slice(&fs::read(dir.view(Topic::Tasks)).unwrap()).unwrap();
    assert_eq!((&view["seq"], &view["tasks"][0]["id"]), (&json!(1), &json!("a")));
    fs::remove_file(dir.view(Topic::Tasks)).unwrap();
    assert!(store.write_view(now()).unwrap().written);
}

#[test]
fn lines_that_are_no_task_events_are_counted_and_change_nothing() {
    let (_temp, dir) = state();
    let mut store = TaskStore::new(Disk, &dir);
    add(&mut store, vec![new("a", &[])]);
    Log::new(Disk, &dir, Topic::Tasks).append(&[r#"{"kind":"from-the-future"}"#.to_owned()], WAIT).unwrap();
    let segment = fs::read_dir(dir.segments(Topic::Tasks)).unwrap().next().unwrap().unwrap().path();
    OpenOptions::new().append(true).open(&segment).unwrap().write_all(b"rubbish\n").unwrap();
    add(&mut store, vec![new("b", &[])]);
    assert_eq!(store.board().unwrap().tasks.len(), 2);
    assert_eq!(store.skipped(), 2);
}

#[test]
fn a_board_whose_log_was_replaced_is_folded_anew() {
    let (_temp, dir) = state();
    let mut store = TaskStore::new(Disk, &dir);
    for name in ["a", "b", "c"] {
        add(&mut store, vec![new(name, &[])]);
    }
    let segment = fs::read_dir(dir.segments(Topic::Tasks)).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&segment).unwrap();
    let first = text.lines().next().unwrap();
    fs::write(&segment, format!("{first}\n")).unwrap();
    add(&mut TaskStore::new(Disk, &dir), vec![new("d", &[])]);
    let names: Vec<&str> = store.board().unwrap().tasks.keys().map(TaskId::as_str).collect();
    assert_eq!(names, ["a", "d"]);
}

#[test]
fn news_on_the_board_ring_every_instance_but_the_one_that_knows() {
    let (_temp, dir) = state();
    let bells: Vec<Doorbell> =
        (1..=3).map(|n| Doorbell::open(&dir.doorbell(&id(&format!("instance_{n}")))).unwrap()).collect();
    let supervisor = Doorbell::open(&dir.supervisor_doorbell()).unwrap();
    TaskStore::new(Disk, &dir).wake(Some(&id("instance_2")));
    let heard: Vec<bool> = bells.iter().map(|bell| bell.drain().unwrap() == [Ring::Tasks]).collect();
    assert_eq!(heard, [true, false, true]);
    assert_eq!(supervisor.drain().unwrap(), []);
}
