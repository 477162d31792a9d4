//! The simulated processes: each does what the real ones do, with the shipped stores.

use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::{Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef, Recipient, Role, TaskId};
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::layout::StateDir;
use tachi_shared::log::{Durability, Gap};
use tachi_shared::memory::MemoryStore;
use tachi_shared::os::Storage as _;
use tachi_shared::queue::{Arrival, Draft, MessageKind, Queue};
use tachi_shared::snapshot::Loaded;
use tachi_shared::task::{Board, Change, LEASE, NewTask, TaskStatus, TaskStore};

use crate::ledger::Claim;
use crate::plan::{Mutant, Plan};
use crate::storage::Machine;
use crate::world::{GaveUp, Stage};

const WAIT: Duration = Duration::from_secs(5);
/// Batches of one sender, changes of one writer, tasks on the board.
const ROUNDS: u64 = 4;
/// No process goes on for ever, whatever fails.
const PATIENCE: u64 = 60;

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
    queue.with_segment_bytes(plan.segment_bytes)
}

pub(crate) fn board(machine: &Machine, dir: &StateDir, plan: &Plan) -> TaskStore<Machine> {
    TaskStore::new(machine.clone(), dir).with_segment_bytes(plan.segment_bytes)
}

pub(crate) fn role() -> Role {
    Role::new("builder").unwrap()
}

impl Start<'_> {
    fn id(&self) -> InstanceId {
        InstanceId::new(self.name).unwrap()
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.plan.mutant == Some(mutant)
    }

    /// The state a predecessor left, or a first one.
    fn state(&self, store: &mut InstanceStore<Machine>) -> InstanceState {
        match store.load() {
            Ok(Loaded::Good(state)) => state,
            Ok(Loaded::Missing) => {
                let process = ProcessRef { pid: 1, pid_start: 1, boot_id: self.machine.boot_id() };
                let incarnation = Incarnation(self.incarnation);
                InstanceState::new(&self.id(), &role(), incarnation, &process, self.machine.now())
            }
            bad => {
                self.machine
                    .look(|inside| inside.ledger.blame(format!("the state of {} is {bad:?}", self.name)));
                std::panic::resume_unwind(Box::new(GaveUp))
            }
        }
    }

    /// Plans a batch, commits the plan, sends it, commits that it was sent.
    pub(crate) fn send(&self) {
        let mut queue = queue(self.machine, self.dir, self.plan);
        let mut store = InstanceStore::new(self.machine.clone(), self.dir, &self.id());
        let mut state = self.state(&mut store);
        let mut patience = PATIENCE;
        while patience > 0 && (state.iteration < ROUNDS || !state.outbox.is_empty()) {
            patience -= 1;
            let owed = !state.outbox.is_empty();
            if !owed {
                let Ok(end) = queue.end() else { continue };
                let mut planned = state.clone();
                planned.inbox = Some(end);
                planned.outbox = self.drafts(&mut planned.sent);
                if store.replace(&planned).is_err() {
                    continue;
                }
                state = planned;
            }
            let ids: Vec<String> = state.outbox.iter().map(|draft| draft.id.clone()).collect();
            self.machine.look(|inside| {
                inside.ledger.note(|| format!("{} sends {ids:?}", self.name));
                inside.ledger.tried.extend(ids.iter().cloned());
                // A predecessor was refused and died before it noted so: it is still owed.
                inside.ledger.refused.retain(|id| !ids.contains(id));
                if inside.plan.mutant == Some(Mutant::AckBeforeWrite) {
                    inside.ledger.acked.extend(ids.iter().cloned());
                }
            });
            let sent = match owed {
                true => queue.send_missing(&state.outbox, &state.inbox.clone().unwrap(), WAIT).map(drop),
                false => queue.send(&state.outbox, WAIT).map(drop),
            };
            self.machine
                .look(|inside| inside.ledger.note(|| format!("{} is told {}", self.name, sent.is_ok())));
            match sent {
                Ok(()) => self.machine.look(|inside| inside.ledger.acked.extend(ids)),
                // Stored, and not to be sent again.
                Err(Error::DurabilityUnknown { .. }) => {
                    self.machine.look(|inside| inside.ledger.acked.extend(ids));
                }
                Err(_) if owed || self.machine.chance(1, 2) => continue,
                Err(error) => {
                    let missing = error.not_stored(ids.len());
                    let (refused, stored): (Vec<_>, Vec<_>) =
                        ids.into_iter().enumerate().partition(|(at, _)| missing.contains(at));
                    self.machine.look(|inside| {
                        inside.ledger.refused.extend(refused.into_iter().map(|(_, id)| id));
                        inside.ledger.acked.extend(stored.into_iter().map(|(_, id)| id));
                    });
                }
            }
            state.outbox.clear();
            state.iteration += 1;
            let _ = store.replace(&state);
        }
    }

    fn drafts(&self, sent: &mut u64) -> Vec<Draft> {
        let count = 1 + self.machine.below(3);
        let draft = |_| {
            *sent += 1;
            let id = format!("{}.{}.{sent}", self.name, self.incarnation);
            let content = "x".repeat(usize::try_from(self.machine.below(200)).unwrap());
            let to = if self.machine.chance(2, 3) { Recipient::Broadcast } else { Recipient::Operator };
            Draft::new(to, self.name, MessageKind::Finding, id, Timestamp::EPOCH, &content)
        };
        (0..count).map(draft).collect()
    }

    /// Takes what comes and commits effect and position in one replace.
    pub(crate) fn read(&self) {
        let queue = queue(self.machine, self.dir, self.plan);
        let mut store = InstanceStore::new(self.machine.clone(), self.dir, &self.id());
        let mut state = self.state(&mut store);
        let mut inbox = queue.inbox(&self.id(), &role(), state.inbox.clone().unwrap_or_default());
        for _ in 0..PATIENCE {
            let max = usize::try_from(1 + self.machine.below(6)).unwrap();
            let Ok(arrivals) = inbox.take(max, Timestamp::EPOCH) else { continue };
            if arrivals.is_empty() && Some(inbox.cursor()) == state.inbox.as_ref() {
                if self.nobody_sends() {
                    return;
                }
                self.machine.pause(Duration::from_micros(300));
                continue;
            }
            let mut next = state.clone();
            next.inbox = Some(inbox.cursor().clone());
            if self.is(Mutant::CursorBeforeState) {
                let _ = store.replace(&next);
            }
            self.machine.look(|inside| take(&mut next, self.name, &arrivals, &mut inside.ledger));
            match store.replace(&next) {
                Ok(()) => state = next,
                // As after a death: from what is committed.
                Err(_) => {
                    inbox = queue.inbox(&self.id(), &role(), state.inbox.clone().unwrap_or_default());
                }
            }
        }
    }

    fn nobody_sends(&self) -> bool {
        let senders = usize::try_from(self.plan.senders).unwrap();
        self.machine.look(|inside| inside.stages.iter().take(senders).all(|stage| *stage == Stage::Over))
    }

    /// Adds one to its own number and to the sum of all.
    pub(crate) fn remember(&self) {
        let mut store = MemoryStore::new(self.machine.clone(), self.dir);
        let mut last_rev = 0;
        for _ in 0..ROUNDS {
            let acked = self.machine.look(|inside| {
                let counts = inside.ledger.remembered.entry(self.name.to_owned()).or_default();
                counts.1 += 1;
                counts.0
            });
            let mut found = None;
            let changed = store.update(WAIT, |memory| {
                let number = |key: &str| memory.facts.get(key).and_then(Value::as_u64).unwrap_or(0);
                let (mine, sum) = (number(self.name), number("sum"));
                found = Some(mine);
                memory.facts.insert(self.name.to_owned(), json!(mine + 1));
                memory.facts.insert("sum".to_owned(), json!(sum + 1));
                Ok(())
            });
            self.machine.look(|inside| {
                let ledger = &mut inside.ledger;
                ledger.note(|| format!("{} found {found:?}, is told {changed:?}", self.name));
                if let Some(found) = found
                    && found < acked
                {
                    ledger.blame(format!(
                        "{} finds {found} changes of its own, {acked} were acknowledged",
                        self.name
                    ));
                }
                let counts = ledger.remembered.get_mut(self.name).unwrap();
                match changed {
                    Ok(()) => counts.0 = acked + 1,
                    Err(_) => counts.1 -= 1,
                }
            });
            let loaded = store.load();
            self.machine.look(|inside| match loaded {
                Ok(Loaded::Good(memory)) if memory.rev >= last_rev => last_rev = memory.rev,
                Ok(Loaded::Missing) if last_rev == 0 => {}
                Err(_) => {}
                other => {
                    inside.ledger.blame(format!("{} read revision {last_rev}, then {other:?}", self.name));
                }
            });
        }
    }

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

/// What a reader does with arrivals: its list of what it saw is its state.
pub(crate) fn take(
    state: &mut InstanceState,
    name: &str,
    arrivals: &[Arrival],
    ledger: &mut crate::ledger::Ledger,
) {
    for arrival in arrivals {
        match arrival {
            // Nothing expires here; were it so, it would have been seen all the same.
            Arrival::Message(message) | Arrival::Expired(message) => {
                ledger.read(name, message.seq.0, &message.draft.id);
                push(state, "seen", json!(message.seq.0));
            }
            Arrival::Gap(Gap::Unnumbered { .. }) => {}
            Arrival::Gap(gap) => push(state, "gaps", json!(format!("{gap:?}"))),
        }
    }
    let words = |arrival: &Arrival| match arrival {
        Arrival::Message(message) | Arrival::Expired(message) => {
            format!("{} {}", message.seq, message.draft.id)
        }
        Arrival::Gap(gap) => format!("{gap:?}"),
    };
    ledger.note(|| {
        let words: Vec<String> = arrivals.iter().map(words).collect();
        format!("{name} takes {words:?} up to {:?}", state.inbox)
    });
}

fn push(state: &mut InstanceState, list: &str, value: Value) {
    let list = state.usage.entry(list).or_insert_with(|| json!([]));
    list.as_array_mut().unwrap().push(value);
}
