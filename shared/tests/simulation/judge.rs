//! After a run: recovers as the next start would, and holds what lies there against what was promised and seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tachi_shared::check;
use tachi_shared::id::InstanceId;
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, Log};
use tachi_shared::memory::MemoryStore;
use tachi_shared::os::Storage as _;
use tachi_shared::queue::{Message, View};
use tachi_shared::registry::RegistryStore;
use tachi_shared::snapshot::Loaded;
use tachi_shared::task::TaskStatus;

use crate::ledger::Hand;
use crate::plan::{Part, Plan};
use crate::process::{board, queue};
use crate::storage::Machine;

const WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Judge<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) dir: &'a StateDir,
    pub(crate) plan: &'a Plan,
}

impl Judge<'_> {
    pub(crate) fn blame(&self, what: String) {
        self.machine.look(|inside| inside.ledger.blame(what));
    }

    pub(crate) fn power_lost(&self) -> bool {
        self.machine.look(|inside| inside.ledger.power_lost)
    }

    /// Everything.
    pub(crate) fn judge(&self) {
        self.recover();
        self.rules();
        if self.plan.has(Part::Keeper) {
            self.take_in_by_hand();
        }
        if self.plan.talks() {
            self.messages();
        }
        if self.plan.has(Part::Rememberer) {
            self.memory();
        }
        if self.plan.has(Part::Registrar) {
            self.registry();
        }
        if self.plan.has(Part::Claimer) {
            self.tasks();
        }
    }

    /// Makes every end good, twice: the second time nothing may change.
    fn recover(&self) {
        let mut before = Vec::new();
        for round in 0..2 {
            for (topic, used) in
                [(Topic::Messages, self.plan.talks()), (Topic::Tasks, self.plan.has(Part::Claimer))]
            {
                let mut log = Log::new(self.machine.clone(), self.dir, topic);
                if used && let Err(error) = log.locked(WAIT, |writer| writer.end()) {
                    self.blame(format!("recovery fails: {error}"));
                }
            }
            let now = self.content();
            if round == 1 && now != before {
                self.blame("a second recovery changed files".to_owned());
            }
            before = now;
        }
    }

    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for topic in [Topic::Messages, Topic::Tasks] {
            let dir = self.dir.segments(topic);
            for name in self.machine.list(&dir).unwrap() {
                let bytes = self.machine.read(&dir.join(&name), u64::MAX).unwrap();
                all.push((name, bytes));
            }
        }
        all
    }

    /// The checkers of `tachi doctor`. A power loss may take unsynced lines out of the middle of a log; the files replaced
    /// whole are whole all the same, and nobody stands beyond the end.
    fn rules(&self) {
        let outcomes = check::all::files(self.machine, self.dir, &self.machine.boot_id()).unwrap();
        let kept = ["no reader stands beyond the end of the queue", "files replaced whole are whole"];
        for outcome in outcomes {
            if self.power_lost() && !kept.contains(&outcome.holds) {
                continue;
            }
            for finding in outcome.problems() {
                self.blame(finding.sentence());
            }
        }
    }

    fn messages(&self) {
        let queue = queue(self.machine, self.dir, self.plan);
        let (messages, _) = queue.messages(Cursor::default(), usize::MAX).unwrap();
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for message in &messages {
            *count.entry(message.draft.id.as_str()).or_default() += 1;
            self.machine.look(|inside| inside.ledger.read("the judge", message.seq.0, &message.draft.id));
        }
        self.machine.look(|inside| {
            let ledger = &mut inside.ledger;
            let mut blames = Vec::new();
            for (id, count) in &count {
                if *count > 1 {
                    blames.push(format!("message {id} is stored {count} times"));
                }
                if !ledger.tried.contains(*id) && !is_by_hand(id) {
                    blames.push(format!("message {id} was never sent"));
                }
                if ledger.refused.contains(*id) {
                    blames.push(format!("message {id} was refused, and is stored"));
                }
            }
            let gone: BTreeSet<&str> = ledger.dropped.values().map(String::as_str).collect();
            let is_there = |id: &str| count.contains_key(id) || gone.contains(id);
            let lost = ledger.acked.iter().filter(|id| !is_there(id.as_str()));
            blames.extend(lost.map(|id| format!("message {id} was acknowledged, and is not stored")));
            blames.into_iter().for_each(|what| ledger.blame(what));
        });
        self.hands(&messages);
        for (_, k) in self.plan.cast.iter().filter(|(part, _)| *part == Part::Reader) {
            self.reader(&format!("reader_{k}"), &queue, &messages);
        }
    }

    /// A last keeper takes in what lies in the doors, with the patience for half-written files behind it.
    fn take_in_by_hand(&self) {
        let mut view = View::new(self.machine.clone(), self.dir);
        for _ in 0..3 {
            self.machine.pause(Duration::from_secs(10));
            if let Err(error) = view.refresh(None, self.machine.now()) {
                self.blame(format!("the last keeper fails: {error}"));
            }
        }
    }

    /// What a hand wrote is stored once if it stood whole in its place, and never twice.
    fn hands(&self, messages: &[Message]) {
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        for message in messages.iter().filter(|message| is_by_hand(&message.draft.id)) {
            let (name, seq) = (message.draft.text().into_owned(), message.seq.0);
            if let Some(before) = places.insert(name.clone(), seq) {
                self.blame(format!("{name}, written by hand, is stored as {before} and as {seq}"));
            }
        }
        let by_hand = self.machine.look(|inside| inside.ledger.by_hand.clone());
        for (name, _) in by_hand.iter().filter(|(_, hand)| **hand != Hand::Began) {
            if !places.contains_key(name) {
                self.blame(format!("{name}, written by hand, is lost"));
            }
        }
    }

    fn registry(&self) {
        let counts = self.machine.look(|inside| inside.ledger.registered.clone());
        let acked: u64 = counts.values().map(|counts| counts.0).sum();
        let registry = match RegistryStore::new(self.machine.clone(), self.dir).load() {
            Ok(Loaded::Good(registry)) => registry,
            Ok(Loaded::Missing) if acked == 0 => return,
            // It is not synced before it is replaced; whole it is only as the last copy.
            Ok(_) if self.power_lost() => return,
            other => return self.blame(format!("the registry is {other:?}")),
        };
        let mut sum = 0;
        for (name, (acked, tried)) in &counts {
            let found = registry.row(&InstanceId::new(name).unwrap()).map_or(0, |row| row.restarts);
            sum += found;
            if found < *acked || found > *tried {
                self.blame(format!("the row of {name} has {found} changes, {acked} acknowledged of {tried}"));
            }
        }
        let told = registry.extra.get("sum").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if told != sum || registry.rev != sum {
            self.blame(format!("{sum} changes of rows, the sum says {told}, rev {}", registry.rev));
        }
    }

    fn memory(&self) {
        let mut store = MemoryStore::new(self.machine.clone(), self.dir);
        let memory = match store.load() {
            Ok(Loaded::Good(memory)) => memory,
            Ok(Loaded::Missing) if self.power_lost() => return,
            Ok(Loaded::Missing) => {
                let acked =
                    self.machine.look(|inside| inside.ledger.remembered.values().map(|c| c.0).sum::<u64>());
                if acked > 0 {
                    self.blame(format!("{acked} changes of the memory are gone"));
                }
                return;
            }
            other => return self.blame(format!("the memory is {other:?}")),
        };
        let number = |key: &str| memory.facts.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let counts = self.machine.look(|inside| inside.ledger.remembered.clone());
        let mut sum = 0;
        for (name, (acked, tried)) in &counts {
            let found = number(name);
            sum += found;
            if found < *acked || found > *tried {
                self.blame(format!("{name} has {found} changes, {acked} acknowledged of {tried}"));
            }
        }
        let rev = memory.rev == sum;
        if sum != number("sum") || !rev {
            self.blame(format!("{sum} changes, the sum says {}, rev {}", number("sum"), memory.rev));
        }
    }

    fn tasks(&self) {
        let mut store = board(self.machine, self.dir, self.plan);
        let done = self.machine.look(|inside| inside.ledger.done.clone());
        let board = store.board().unwrap();
        for (task, fence) in done {
            let status =
                board.tasks.values().find(|found| found.id.as_str() == task).map(|found| found.status);
            if status != Some(TaskStatus::Done) {
                self.blame(format!("{task} was done under {fence}, the board says {status:?}"));
            }
        }
        if store.skipped() > 0 && !self.power_lost() {
            self.blame(format!("{} entries of the board could not be folded", store.skipped()));
        }
    }
}

/// Whether the keeper of the view gave this id.
fn is_by_hand(id: &str) -> bool {
    ["import.", "spool.", "line."].iter().any(|door| id.starts_with(door))
}
