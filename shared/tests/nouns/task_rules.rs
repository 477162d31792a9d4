//! The rules of the board, as tables and as properties: no files, no processes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, Seq, TaskId};
use tachi_shared::task::board::{ATTEMPTS_MAX, LOSSES_MAX};
use tachi_shared::task::{Board, Change, LEASE, NewTask, TaskEvent, TaskStatus, decide, view};
use tachi_shared::{Error, Result};

const BOOT: &str = "boot-a";

fn at(ms: u64) -> Now {
    Now { wall: Timestamp::EPOCH, mono: Mono::from_millis(ms) }
}

fn id(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

fn who(n: u32) -> InstanceId {
    InstanceId::new(&format!("instance_{n}")).unwrap()
}

fn new(name: &str, needs: &[&str]) -> NewTask {
    NewTask {
        id: id(name),
        title: format!("task {name}"),
        needs: needs.iter().map(|need| id(need)).collect(),
        payload: json!({ "kind": "part" }),
        by: "instance_1".to_owned(),
    }
}

fn claim(task: &str, by: u32, start: u32) -> Change {
    Change::Claim { task: id(task), by: who(by), incarnation: Incarnation(start), boot_id: BOOT.to_owned() }
}

fn done(task: &str, fence: Seq, by: u32) -> Change {
    Change::Done { task: id(task), fence, result: json!(1), by: who(by) }
}

fn fail(task: &str, fence: Seq, by: u32) -> Change {
    Change::Fail { task: id(task), fence, reason: "no".to_owned(), by: who(by) }
}

fn release(owner: u32, start: u32) -> Change {
    Change::ReleaseOwner {
        owner: who(owner),
        incarnation: Incarnation(start),
        reason: "killed".to_owned(),
        by: "supervisor".to_owned(),
    }
}

/// A live board and the log it writes.
#[derive(Default)]
struct Desk {
    board: Board,
    log: Vec<(Seq, TaskEvent)>,
}

impl Desk {
    fn of(tasks: &[NewTask]) -> Self {
        let mut desk = Self::default();
        desk.ask(&Change::Add(tasks.to_vec()), 0).unwrap();
        desk
    }

    fn ask(&mut self, change: &Change, ms: u64) -> Result<Option<Seq>> {
        let mut last = None;
        for event in decide(&self.board, change, at(ms))? {
            let seq = self.board.seq.next();
            self.board.apply(seq, &event);
            self.log.push((seq, event));
            last = Some(seq);
        }
        Ok(last)
    }

    fn fence(&mut self, change: &Change, ms: u64) -> Seq {
        self.ask(change, ms).unwrap().expect("a claim is recorded")
    }

    fn status(&self, task: &str) -> TaskStatus {
        self.board.tasks[&id(task)].status
    }

    fn refused(&mut self, change: &Change, ms: u64) -> String {
        match self.ask(change, ms) {
            Err(Error::Refused(why)) => why,
            other => panic!("{change:?} was not refused: {other:?}"),
        }
    }
}

#[test]
fn adding_a_task_twice_changes_nothing() {
    let mut desk = Desk::of(&[new("a", &[])]);
    let mut again = new("a", &[]);
    again.title = "another title".to_owned();
    assert_eq!(desk.ask(&Change::Add(vec![again.clone(), again]), 0).unwrap(), None);
    assert_eq!(desk.board.tasks[&id("a")].title, "task a");
}

#[test]
fn needs_must_exist_and_may_not_form_a_cycle() {
    for (batch, word) in [
        (vec![new("a", &["nowhere"])], "nowhere"),
        (vec![new("a", &["a"])], "cycle"),
        (vec![new("a", &["b"]), new("b", &["c"]), new("c", &["a"]), new("d", &[])], "cycle"),
    ] {
        let mut desk = Desk::default();
        let why = desk.refused(&Change::Add(batch), 0);
        assert!(why.contains(word), "{why}");
        assert!(desk.board.tasks.is_empty(), "a refused batch left something behind");
    }
}

#[test]
fn s18_s46_of_a_batch_cut_anywhere_no_task_waits_for_one_that_never_came() {
    let batch =
        vec![new("end", &["b", "c"]), new("b", &["c", "a"]), new("c", &["z"]), new("a", &[]), new("z", &[])];
    let whole = Desk::of(&batch).board;
    let events = decide(&Board::default(), &Change::Add(batch.clone()), at(0)).unwrap();
    assert_eq!(events.len(), batch.len());
    for count in 0..=events.len() {
        let mut board = Board::default();
        for (seq, event) in (1..).zip(&events[..count]) {
            board.apply(Seq(seq), event);
        }
        let there = |need| board.tasks.contains_key(need);
        assert!(board.tasks.values().all(|task| task.needs.iter().all(there)), "after {count}");
        // Asked again, the rest comes.
        for (seq, event) in (10..).zip(decide(&board, &Change::Add(batch.clone()), at(0)).unwrap()) {
            board.apply(Seq(seq), &event);
        }
        assert!(board.tasks.keys().eq(whole.tasks.keys()), "after {count}");
    }
}

#[test]
fn a_task_opens_when_the_last_of_its_needs_is_done() {
    let mut desk = Desk::of(&[new("end", &["a", "b", "a"]), new("a", &[]), new("b", &[])]);
    assert_eq!(desk.status("end"), TaskStatus::Blocked);
    for (task, after) in [("a", TaskStatus::Blocked), ("b", TaskStatus::Open)] {
        let fence = desk.fence(&claim(task, 1, 1), 0);
        desk.ask(&done(task, fence, 1), 1).unwrap();
        assert_eq!(desk.status("end"), after);
    }
    desk.ask(&Change::Add(vec![new("late", &["a"])]), 2).unwrap();
    assert_eq!(desk.status("late"), TaskStatus::Open, "a need that is done already does not block");
}

#[test]
fn a_failed_or_cancelled_need_keeps_a_task_blocked() {
    let mut desk = Desk::of(&[new("a", &[]), new("b", &[]), new("x", &["a"]), new("y", &["b"])]);
    for _ in 0..ATTEMPTS_MAX {
        let fence = desk.fence(&claim("a", 1, 1), 0);
        desk.ask(&fail("a", fence, 1), 0).unwrap();
    }
    let seq = desk.board.seq.next();
    let (reason, by) = ("not wanted".to_owned(), "operator".to_owned());
    desk.board.apply(seq, &TaskEvent::Cancelled { task: id("b"), reason, by, at: Timestamp::EPOCH });
    assert_eq!((desk.status("a"), desk.status("b")), (TaskStatus::Failed, TaskStatus::Cancelled));
    assert_eq!((desk.status("x"), desk.status("y")), (TaskStatus::Blocked, TaskStatus::Blocked));
    assert!(desk.refused(&claim("b", 1, 1), 0).contains("cancelled"));
}

#[test]
fn only_the_right_claimant_gets_a_task() {
    let lease = u64::try_from(LEASE.as_millis()).unwrap();
    // Who asks, which start of it, when, on which boot — and whether it gets a task claimed by start 2 of instance_1 at 0.
    for (by, start, ms, boot, allowed) in [
        (2, 1, 0, BOOT, false),
        (2, 1, lease, BOOT, false),
        (2, 1, lease + 1, BOOT, true),
        (2, 1, 0, "boot-b", true),
        (1, 1, 0, BOOT, false),
        (1, 1, lease + 1, BOOT, false),
        (1, 2, 0, BOOT, false),
        (1, 3, 0, BOOT, true),
    ] {
        let mut desk = Desk::of(&[new("a", &[])]);
        let old = desk.fence(&claim("a", 1, 2), 0);
        let (task, incarnation, boot_id) = (id("a"), Incarnation(start), boot.to_owned());
        let got = desk.ask(&Change::Claim { task, by: who(by), incarnation, boot_id }, ms);
        assert_eq!(got.is_ok(), allowed, "instance_{by} start {start} at {ms} on {boot}: {got:?}");
        if let Ok(Some(fence)) = got {
            assert!(fence > old);
            assert!(desk.refused(&done("a", old, 1), ms).contains("lost lease on task a"));
            assert!(desk.refused(&Change::Renew { task: id("a"), fence: old }, ms).contains("lost lease"));
            assert!(desk.refused(&fail("a", old, 1), ms).contains("lost lease"));
            desk.ask(&done("a", fence, by), ms).unwrap();
        }
    }
}

#[test]
fn an_event_under_a_stale_fence_changes_nothing_even_if_it_was_recorded() {
    let mut desk = Desk::of(&[new("a", &[])]);
    let stale = desk.fence(&claim("a", 1, 1), 0);
    desk.fence(&claim("a", 1, 2), 0);
    let before = desk.board.clone();
    let (task, by, at) = (id("a"), who(1), Timestamp::EPOCH);
    for event in [
        TaskEvent::Done { task: task.clone(), fence: stale, result: json!(1), by: by.clone(), at },
        TaskEvent::Failed { task: task.clone(), fence: stale, reason: String::new(), by, at },
        TaskEvent::Released {
            task: task.clone(),
            fence: stale,
            reason: String::new(),
            by: "s".to_owned(),
            at,
        },
        TaskEvent::Renewed { task, fence: stale, expires: Mono::from_millis(1 << 40), at },
    ] {
        desk.board.apply(before.seq, &event);
        assert_eq!(desk.board, before, "{event:?}");
    }
}

#[test]
fn a_renewed_lease_lasts_from_the_renewal() {
    let mut desk = Desk::of(&[new("a", &[])]);
    let fence = desk.fence(&claim("a", 1, 1), 0);
    desk.ask(&Change::Renew { task: id("a"), fence }, 20_000).unwrap();
    desk.refused(&claim("a", 2, 1), 49_999);
    assert_eq!(desk.board.overdue(Mono::from_millis(49_999), BOOT).count(), 0);
    assert_eq!(desk.board.overdue(Mono::from_millis(50_001), BOOT).count(), 1);
    desk.fence(&claim("a", 2, 1), 50_001);
}

#[test]
fn a_task_is_done_once() {
    let mut desk = Desk::of(&[new("a", &[])]);
    let fence = desk.fence(&claim("a", 1, 1), 0);
    desk.ask(&done("a", fence, 1), 0).unwrap();
    assert!(desk.refused(&done("a", fence, 1), 0).contains("lost lease on task a: it is done"));
    desk.refused(&claim("a", 2, 1), 0);
    assert!(desk.refused(&claim("ghost", 2, 1), 0).contains("no task ghost"));
}

#[test]
fn an_attempt_that_fails_is_repeated_five_times_and_not_more() {
    let mut desk = Desk::of(&[new("a", &[])]);
    for n in 1..=ATTEMPTS_MAX {
        assert_eq!(desk.status("a"), TaskStatus::Open, "before attempt {n}");
        let fence = desk.fence(&claim("a", n, 1), 0);
        desk.ask(&fail("a", fence, n), 0).unwrap();
    }
    assert_eq!(desk.status("a"), TaskStatus::Failed);
    assert_eq!(desk.board.tasks[&id("a")].history.len(), 5);
}

#[test]
fn a_dead_owner_gives_back_all_it_held_and_no_more() {
    let mut desk = Desk::of(&[new("a", &[]), new("b", &[]), new("c", &[]), new("d", &[])]);
    for (task, by, start) in [("a", 1, 1), ("b", 1, 2), ("c", 1, 3), ("d", 2, 1)] {
        desk.fence(&claim(task, by, start), 0);
    }
    desk.ask(&release(1, 2), 0).unwrap();
    let open: Vec<&str> = desk.board.ready().map(|task| task.id.as_str()).collect();
    assert_eq!(open, ["a", "b"]);
    assert_eq!(desk.ask(&release(1, 2), 0).unwrap(), None, "releasing twice records nothing");
}

#[test]
fn m07_ten_kills_of_its_owner_do_not_use_a_task_up_but_endless_ones_do() {
    let mut desk = Desk::of(&[new("a", &[])]);
    for start in 1..=LOSSES_MAX {
        assert_eq!(desk.status("a"), TaskStatus::Open, "after {} kills", start - 1);
        desk.fence(&claim("a", 1, start), 0);
        desk.ask(&release(1, start), 0).unwrap();
    }
    assert_eq!(desk.status("a"), TaskStatus::Failed);
}

#[test]
fn a_voter_counts_once_and_a_proposal_stands_once() {
    let mut desk = Desk::default();
    let propose = |text: &str| Change::Propose {
        proposal: id("p"),
        text: text.to_owned(),
        payload: Value::Null,
        by: who(1),
    };
    let vote = |approve| Change::Vote { proposal: id("p"), approve, reason: "seen".to_owned(), by: who(2) };
    assert!(desk.refused(&vote(true), 0).contains("no proposal p"));
    desk.ask(&propose("first"), 0).unwrap();
    assert_eq!(desk.ask(&propose("second"), 0).unwrap(), None);
    desk.ask(&vote(true), 0).unwrap();
    assert_eq!(desk.ask(&vote(false), 0).unwrap(), None);
    let proposal = &desk.board.proposals[&id("p")];
    assert_eq!((proposal.text.as_str(), proposal.votes.len()), ("first", 1));
    assert!(proposal.votes["instance_2"].approve);
}

#[test]
fn the_view_is_json_with_everything_on_it() {
    let empty: Value = serde_json::from_str(&view::render(&Board::default())).unwrap();
    assert_eq!(empty, json!({ "schema": 1, "seq": 0, "tasks": [], "proposals": [] }));
    let desk = Desk::of(&[new("a", &[]), new("b", &["a"])]);
    let view: Value = serde_json::from_str(&view::render(&desk.board)).unwrap();
    assert_eq!(view["seq"], 2);
    assert_eq!(view["tasks"][1]["status"], "blocked");
    assert_eq!(view["tasks"][1]["needs"][0], "a");
}

#[test]
fn ten_thousand_tasks_are_claimed_and_done_in_linear_time() {
    let names: Vec<String> = (0..10_000).map(|n| format!("t{n:05}")).collect();
    let mut all: Vec<NewTask> = names.iter().map(|name| new(name, &[])).collect();
    all.push(new("zz", &names.iter().map(String::as_str).collect::<Vec<_>>()));
    let mut desk = Desk::of(&all);
    let began = std::time::Instant::now();
    for _ in 0..10_000 {
        let next = desk.board.ready().next().unwrap().id.clone();
        let fence = desk.fence(&claim(next.as_str(), 1, 1), 0);
        desk.ask(&done(next.as_str(), fence, 1), 0).unwrap();
    }
    assert_eq!(desk.status("zz"), TaskStatus::Open);
    // A search of the whole board per claim takes minutes in a debug build; this leaves room for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(8), "took {:?}", began.elapsed());
}

/// One step of a random history, by numbers so that any of them may be nonsense.
fn step() -> impl Strategy<Value = (u8, u8, u32, u32, u64, bool)> {
    (0..9_u8, 0..6_u8, 1..4_u32, 1..4_u32, 0..20_000_u64, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_history_keeps_one_owner_one_completion_rising_fences_and_the_same_fold(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut desk = Desk::default();
        let mut clock = 0;
        let mut fences: BTreeMap<TaskId, Seq> = BTreeMap::new();
        let mut finished: BTreeSet<TaskId> = BTreeSet::new();
        let mut stale: Vec<(String, Seq)> = Vec::new();
        for (what, n, by, start, wait, yes) in steps {
            clock += wait;
            let name = format!("t{n}");
            let need = format!("t{}", (n + 1) % 6);
            // Half the time a fence that is or was real, else one out of the air.
            let fence = match stale.iter().rev().find(|(task, _)| *task == name) {
                Some((_, fence)) if yes => *fence,
                _ => Seq(u64::from(n) * 3),
            };
            let change = match what {
                0 => Change::Add(vec![new(&name, &[])]),
                1 => Change::Add(vec![new(&name, &[&need])]),
                2 | 3 => claim(&name, by, start),
                4 => Change::Renew { task: id(&name), fence },
                5 => done(&name, fence, by),
                6 => fail(&name, fence, by),
                7 => release(by, start),
                _ => Change::Vote { proposal: id("p"), approve: yes, reason: String::new(), by: who(by) },
            };
            let before = desk.log.len();
            drop(desk.ask(&change, clock));
            for (seq, event) in &desk.log[before..] {
                match event {
                    TaskEvent::Claimed { task, .. } => {
                        prop_assert!(!finished.contains(task), "claimed after it was done");
                        prop_assert!(fences.insert(task.clone(), *seq) < Some(*seq), "fence did not rise");
                        stale.push((task.to_string(), *seq));
                    }
                    TaskEvent::Done { task, fence, .. } => {
                        prop_assert!(finished.insert(task.clone()), "done twice");
                        prop_assert_eq!(Some(fence), fences.get(task), "completed under a stale fence");
                    }
                    _ => {}
                }
            }
            let ready: Vec<&TaskId> = desk.board.ready().map(|task| &task.id).collect();
            let open: Vec<&TaskId> = (desk.board.tasks.values())
                .filter(|task| task.status == TaskStatus::Open)
                .map(|task| &task.id)
                .collect();
            prop_assert_eq!(ready, open, "the index of open tasks went astray");
            for task in desk.board.tasks.values() {
                prop_assert_eq!(task.owner.is_some(), task.status == TaskStatus::Claimed);
            }
        }
        let mut replayed = Board::default();
        for (seq, event) in &desk.log {
            let line = serde_json::to_string(event).unwrap();
            replayed.apply(*seq, &serde_json::from_str(&line).unwrap());
        }
        prop_assert_eq!(replayed, desk.board);
    }

    #[test]
    fn events_in_any_order_never_break_the_fold(order in prop::collection::vec((0..10_usize, 0..20_u64), 0..60)) {
        let mut desk = Desk::of(&[new("a", &[]), new("b", &["a"])]);
        let first = desk.fence(&claim("a", 1, 1), 0);
        desk.ask(&fail("a", first, 1), 0).unwrap();
        let second = desk.fence(&claim("a", 2, 1), 0);
        desk.ask(&done("a", second, 2), 0).unwrap();
        let mut board = Board::default();
        let mut completions = 0;
        for (pick, seq) in order {
            let (_, event) = &desk.log[pick % desk.log.len()];
            let was_done = board.tasks.get(&id("a")).is_some_and(|task| task.status == TaskStatus::Done);
            board.apply(Seq(seq), event);
            let is_done = board.tasks.get(&id("a")).is_some_and(|task| task.status == TaskStatus::Done);
            prop_assert!(is_done || !was_done, "a finished task came back");
            completions += usize::from(is_done && !was_done);
            for task in board.tasks.values() {
                prop_assert_eq!(task.owner.is_some(), task.status == TaskStatus::Claimed);
            }
        }
        prop_assert!(completions <= 1);
    }
}
