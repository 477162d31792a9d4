//! The simulated processes: each does what the real ones do, with the shipped stores.

use std::time::Duration;

use tachi_shared::Error;
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef, Role};
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::layout::StateDir;
use tachi_shared::log::{Durability, Limits, WhenFull};
use tachi_shared::os::Storage as _;
use tachi_shared::queue::Queue;
use tachi_shared::snapshot::Loaded;
use tachi_shared::task::TaskStore;

use crate::plan::{Mutant, Part, Plan};
use crate::storage::Machine;
use crate::world::{GaveUp, Killed, Stage};

pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// Batches of one sender, changes of one writer, tasks on the board.
pub(crate) const ROUNDS: u64 = 4;
/// No process goes on for ever, whatever fails.
pub(crate) const PATIENCE: u64 = 60;

/// One start of one process.
pub(crate) struct Start<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) dir: &'a StateDir,
    pub(crate) plan: &'a Plan,
    pub(crate) name: &'a str,
    pub(crate) incarnation: u32,
}

pub(crate) fn queue(machine: &Machine, dir: &StateDir, plan: &Plan) -> Queue<Machine> {
    let durability = if plan.durable { Durability::Durable } else { Durability::Interval };
    let queue = Queue::new(machine.clone(), dir).with_durability(durability);
    if plan.max_bytes == 0 {
        return queue.with_segment_bytes(plan.segment_bytes);
    }
    queue.with_limits(limits(plan))
}

/// How much of the queue is kept.
pub(crate) fn limits(plan: &Plan) -> Limits {
    let durability = if plan.durable { Durability::Durable } else { Durability::Interval };
    let when_full = if plan.drops { WhenFull::DropOldest } else { WhenFull::Reject };
    let max_bytes = plan.max_bytes;
    Limits { keep_time: Duration::ZERO, keep_bytes: 0, max_bytes, when_full, durability }
}

pub(crate) fn board(machine: &Machine, dir: &StateDir, plan: &Plan) -> TaskStore<Machine> {
    TaskStore::new(machine.clone(), dir).with_segment_bytes(plan.segment_bytes)
}

pub(crate) fn role() -> Role {
    Role::new("builder").unwrap()
}

impl Start<'_> {
    pub(crate) fn id(&self) -> InstanceId {
        InstanceId::new(self.name).unwrap()
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.plan.mutant == Some(mutant)
    }

    /// The state a predecessor left, or a first one.
    pub(crate) fn state(&self, store: &mut InstanceStore<Machine>) -> InstanceState {
        match store.load() {
            Ok(Loaded::Good(state)) => state,
            Ok(Loaded::Missing) => {
                let process = ProcessRef { pid: 1, pid_start: 1, boot_id: self.machine.boot_id() };
                let incarnation = Incarnation(self.incarnation);
                InstanceState::new(&self.id(), &role(), incarnation, &process, self.machine.now())
            }
            // A start that cannot look dies, and is started again.
            Err(Error::Io { .. }) => std::panic::resume_unwind(Box::new(Killed)),
            bad => {
                self.machine
                    .look(|inside| inside.ledger.blame(format!("the state of {} is {bad:?}", self.name)));
                std::panic::resume_unwind(Box::new(GaveUp))
            }
        }
    }

    /// Whether everybody is over that was called before the first of this part.
    pub(crate) fn is_last(&self, part: Part) -> bool {
        let sources = self.plan.sources(part);
        self.machine.look(|inside| inside.stages.iter().take(sources).all(|stage| *stage == Stage::Over))
    }
}
