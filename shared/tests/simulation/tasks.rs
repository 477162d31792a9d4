//! Who works on the board.

use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::Now;
use tachi_shared::id::{Incarnation, TaskId};
use tachi_shared::os::Storage as _;
use tachi_shared::task::{Board, Change, LEASE, NewTask, TaskStatus, TaskStore};

use crate::ledger::Claim;
use crate::process::{PATIENCE, ROUNDS, Start, WAIT, board};
use crate::storage::Machine;

impl Start<'_> {
    /// Claims, works, finishes; takes over what it or somebody else lost.
    pub(crate) fn work(&self) {
        let mut store = board(self.machine, self.dir, self.plan);
        for _ in 0..PATIENCE {
            let names = (0..ROUNDS).map(|k| TaskId::new(&format!("task_{k}")).unwrap());
            let tasks = names.map(|id| {
                let (title, by) = ("a task".to_owned(), self.name.to_owned());
                NewTask { id, title, needs: Vec::new(), payload: Value::Null, by }
            });
            let added = store.change(&Change::Add(tasks.collect()), self.machine.now(), WAIT);
            let Ok(board) = store.board() else { continue };
            let open = |board: &Board| {
                board.tasks.values().any(|task| matches!(task.status, TaskStatus::Open | TaskStatus::Claimed))
            };
            if added.is_ok() && !open(board) {
                return;
            }
            let now = self.machine.now();
            let Some((task, fence)) = self.claim(&mut store, now) else {
                self.machine.pause(Duration::from_secs(1));
                continue;
            };
            let until = now.mono.after(LEASE);
            let claim = Claim { owner: self.name.to_owned(), fence, at: now.mono, until };
            self.machine.look(|inside| inside.ledger.claimed(task.as_str(), claim));
            self.machine.pause(Duration::from_millis(self.machine.below(40)));
            let fence = tachi_shared::id::Seq(fence);
            if self.machine.chance(1, 3) {
                let _ = store.change(&Change::Renew { task: task.clone(), fence }, self.machine.now(), WAIT);
            }
            let done = Change::Done { task: task.clone(), fence, result: json!(self.name), by: self.id() };
            for _ in 0..3 {
                match store.change(&done, self.machine.now(), WAIT) {
                    Ok(_) => {
                        self.machine.look(|inside| inside.ledger.finished(task.as_str(), fence.0));
                        break;
                    }
                    Err(Error::Refused(_)) => break,
                    Err(_) => {}
                }
            }
        }
    }

    /// A task and the fence it was claimed under.
    fn claim(&self, store: &mut TaskStore<Machine>, now: Now) -> Option<(TaskId, u64)> {
        let (id, incarnation, boot_id) = (self.id(), Incarnation(self.incarnation), self.machine.boot_id());
        let board = store.board().ok()?;
        let mut lost: Vec<TaskId> = board.overdue(now.mono, &boot_id).map(|task| task.id.clone()).collect();
        let mine = board.in_work().filter(|task| {
            let owner = task.owner.as_ref().unwrap();
            owner.instance == id && owner.incarnation < incarnation
        });
        lost.extend(mine.map(|task| task.id.clone()));
        if let Some(task) = lost.first() {
            let change = Change::Claim { task: task.clone(), by: id, incarnation, boot_id };
            let fence = store.change(&change, now, WAIT).ok()??;
            return Some((task.clone(), fence.0));
        }
        let task = store.claim_first((&id, incarnation, &boot_id), now, WAIT, |_, _| true).ok()??;
        let owner = task.owner?;
        Some((task.id, owner.fence.0))
    }
}
