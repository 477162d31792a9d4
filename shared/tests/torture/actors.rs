//! The processes that write: senders, claimers of tasks, and counters in the memory.

use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::id::{Seq, TaskId};
use tachi_shared::log::Cursor;
use tachi_shared::memory::Memory;
use tachi_shared::queue::Draft;
use tachi_shared::task::{Change, NewTask, TaskStatus};

use crate::ledger::Ledger;
use crate::words::{Scene, WAIT, message};

/// Messages of one start: bounds the log of a long run.
const MESSAGES: u64 = 120;
/// Tasks of one start.
const TASKS: u32 = 6;
/// All of it happens in one boot.
const BOOT: &str = "one-boot";

/// Sends; ledger lines are `try START K COUNT` before a send and `ack ID SEQ` for each message after it.
pub(crate) fn write(scene: &Scene) {
    let mut queue = scene.store.queue();
    let mut ledger = finish_predecessor(scene);
    let mut dice = scene.dice();
    scene.at_work();
    let mut k = 0;
    while scene.goes_on() && k < MESSAGES {
        let count = if dice.below(4) == 0 { 2 + dice.below(7) } else { 1 };
        let drafts: Vec<Draft> = (k..k + count).map(|k| message(&scene.slot, scene.start, k)).collect();
        ledger.write(&format!("try {} {k} {count}", scene.start));
        let last = queue.send(&drafts, WAIT).unwrap();
        ledger.write(&acks(&drafts, last));
        k += count;
    }
    scene.await_death();
}

fn acks(drafts: &[Draft], last: Seq) -> String {
    let first = last.0 + 1 - drafts.len() as u64;
    let lines: Vec<String> =
        (first..).zip(drafts).map(|(seq, draft)| format!("ack {} {seq}", draft.id)).collect();
    lines.join("\n")
}

/// A predecessor died between asking and being told: what of it is not in the log is sent now, and nothing twice.
pub(crate) fn finish_predecessor(scene: &Scene) -> Ledger {
    let (mut ledger, known) = Ledger::open(&scene.ledgers, &scene.slot);
    let Some(tried) = known.iter().rposition(|line| line.starts_with("try ")) else { return ledger };
    let words: Vec<u64> = known[tried].split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
    let (start, k, count) = (u32::try_from(words[0]).unwrap(), words[1], words[2]);
    let drafts: Vec<Draft> = (k..k + count).map(|k| message(&scene.slot, start, k)).collect();
    let told =
        |draft: &&Draft| known[tried..].iter().any(|line| line.starts_with(&format!("ack {} ", draft.id)));
    // The kill may have cut the ledger between the acknowledgements of one batch.
    let drafts: Vec<Draft> = drafts.iter().filter(|draft| !told(draft)).cloned().collect();
    if drafts.is_empty() {
        return ledger;
    }
    let acked =
        known.iter().filter_map(|line| line.strip_prefix("ack ")?.rsplit(' ').next()?.parse().ok()).max();
    let since = Cursor { seq: Seq(acked.unwrap_or(0)), ..Cursor::default() };
    scene.store.queue().send_missing(&drafts, &since, WAIT).unwrap();
    // Its place is not known to who only completed it.
    ledger.write(&drafts.iter().map(|draft| format!("ack {} 0", draft.id)).collect::<Vec<_>>().join("\n"));
    ledger
}

/// Claims and finishes tasks, its predecessor's first; ledger lines are `done TASK FENCE`.
pub(crate) fn claim(scene: &Scene) {
    scene.at_work();
    let mut board = scene.store.tasks();
    let tasks = (0..TASKS).map(|k| NewTask {
        id: TaskId::new(&format!("{}-{}-{k}", scene.slot, scene.start)).unwrap(),
        title: "torture".to_owned(),
        needs: Vec::new(),
        payload: json!(null),
        by: scene.slot.clone(),
    });
    board.change(&Change::Add(tasks.collect()), now(), WAIT).unwrap();
    do_all(scene);
    scene.await_death();
}

/// Does what the predecessors of this start left, then every task there is.
pub(crate) fn do_all(scene: &Scene) {
    let mut board = scene.store.tasks();
    let (mut ledger, _) = Ledger::open(&scene.ledgers, &scene.slot);
    for (task, fence) in inherited(scene) {
        finish(&mut board, scene, &task, fence, &mut ledger);
    }
    let me = (&scene.id(), scene.incarnation(), BOOT);
    while scene.goes_on() {
        let Some(task) = board.claim_first(me, now(), WAIT, |_, _| true).unwrap() else { break };
        finish(&mut board, scene, &task.id, task.owner.unwrap().fence, &mut ledger);
    }
}

/// Claims of earlier starts of this slot, taken over.
fn inherited(scene: &Scene) -> Vec<(TaskId, Seq)> {
    let mut board = scene.store.tasks();
    let me = scene.id();
    let held: Vec<TaskId> = board
        .board()
        .unwrap()
        .in_work()
        .filter(|task| task.owner.as_ref().is_some_and(|owner| owner.instance == me))
        .map(|task| task.id.clone())
        .collect();
    let mut taken = Vec::new();
    for task in held {
        let (by, boot_id) = (me.clone(), BOOT.to_owned());
        let claim = Change::Claim { task: task.clone(), by, incarnation: scene.incarnation(), boot_id };
        match board.change(&claim, now(), WAIT) {
            Ok(fence) => taken.push((task, fence.unwrap())),
            // It was taken from too many dead hands, or is not held any more.
            Err(Error::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    taken
}

fn finish(
    board: &mut tachi_shared::task::TaskStore,
    scene: &Scene,
    task: &TaskId,
    fence: Seq,
    ledger: &mut Ledger,
) {
    let done = Change::Done { task: task.clone(), fence, result: json!(scene.slot), by: scene.id() };
    board.change(&done, now(), WAIT).unwrap();
    assert_eq!(board.board().unwrap().tasks[task].status, TaskStatus::Done);
    ledger.write(&format!("done {task} {}", fence.0));
}

/// Adds one to a shared counter by compare-and-set, and to its own; ledger lines are `set N`, its own count.
pub(crate) fn count(scene: &Scene) {
    let mut memory = scene.store.memory();
    let own = format!("count-{}", scene.slot);
    let (mut ledger, mut mine) = account(scene);
    scene.at_work();
    while scene.goes_on() {
        let expected = number(&memory.load().unwrap().into_state(), "counter");
        let set = memory.update(WAIT, |memory| {
            if number(memory, "counter") != expected {
                return Err(Error::Refused("somebody was faster".to_owned()));
            }
            memory.facts.insert("counter".to_owned(), json!(expected + 1));
            memory.facts.insert(own.clone(), json!(mine + 1));
            Ok(())
        });
        match set {
            Ok(()) => {
                mine += 1;
                ledger.write(&format!("set {mine}"));
            }
            Err(Error::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The ledger of a counter, brought up to what is stored, and its count.
pub(crate) fn account(scene: &Scene) -> (Ledger, u64) {
    let (mut ledger, known) = Ledger::open(&scene.ledgers, &scene.slot);
    let told = known.len() as u64;
    let own = format!("count-{}", scene.slot);
    let stored = number(&scene.store.memory().load().unwrap().into_state(), &own);
    assert!(stored == told || stored == told + 1, "{own}: {told} were told, {stored} are stored");
    if stored == told + 1 {
        // The predecessor died after the replace and before it could write it down.
        ledger.write(&format!("set {stored}"));
    }
    (ledger, stored)
}

pub(crate) fn number(memory: &Memory, fact: &str) -> u64 {
    memory.facts.get(fact).and_then(serde_json::Value::as_u64).unwrap_or(0)
}
