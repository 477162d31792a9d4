//! After a run: recovers as the next start would, and holds what lies there against what was promised and seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tachi_shared::check;
use tachi_shared::clock::Timestamp;
use tachi_shared::id::{InstanceId, Recipient};
use tachi_shared::instance::InstanceStore;
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, Log};
use tachi_shared::memory::MemoryStore;
use tachi_shared::os::Storage as _;
use tachi_shared::queue::{Message, Queue};
use tachi_shared::snapshot::Loaded;
use tachi_shared::task::TaskStatus;

use crate::plan::Plan;
use crate::process::{board, queue, role, take};
use crate::storage::Machine;

const WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Judge<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) dir: &'a StateDir,
    pub(crate) plan: &'a Plan,
}

impl Judge<'_> {
    fn blame(&self, what: String) {
        self.machine.look(|inside| inside.ledger.blame(what));
    }

    fn power_lost(&self) -> bool {
        self.machine.look(|inside| inside.ledger.power_lost)
    }

    /// Everything.
    pub(crate) fn judge(&self) {
        self.recover();
        self.rules();
        if self.plan.senders > 0 {
            self.messages();
        }
        if self.plan.rememberers > 0 {
            self.memory();
        }
        if self.plan.claimers > 0 {
            self.tasks();
        }
    }

    /// Makes every end good, twice: the second time nothing may change.
    fn recover(&self) {
        let mut before = Vec::new();
        for round in 0..2 {
            for (topic, used) in [(Topic::Messages, self.plan.senders), (Topic::Tasks, self.plan.claimers)] {
                let mut log = Log::new(self.machine.clone(), self.dir, topic);
                if used > 0
                    && let Err(error) = log.locked(WAIT, |writer| writer.end())
                {
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
                if !ledger.tried.contains(*id) {
                    blames.push(format!("message {id} was never sent"));
                }
                if ledger.refused.contains(*id) {
                    blames.push(format!("message {id} was refused, and is stored"));
                }
            }
            let lost = ledger.acked.iter().filter(|id| !count.contains_key(id.as_str()));
            blames.extend(lost.map(|id| format!("message {id} was acknowledged, and is not stored")));
            blames.into_iter().for_each(|what| ledger.blame(what));
        });
        for k in 0..self.plan.readers {
            self.reader(&format!("reader_{k}"), &queue, &messages);
        }
    }

    /// Reads on from what is committed; then everything for it was seen once, in order.
    fn reader(&self, name: &str, queue: &Queue<Machine>, messages: &[Message]) {
        let id = InstanceId::new(name).unwrap();
        let mut store = InstanceStore::new(self.machine.clone(), self.dir, &id);
        let mut state = match store.load() {
            Ok(Loaded::Good(state)) => state,
            // It never committed anything; another one stands for it.
            Ok(Loaded::Missing) => return,
            other => return self.blame(format!("the state of {name} is {other:?}")),
        };
        let mut inbox = queue.inbox(&id, &role(), state.inbox.clone().unwrap_or_default());
        // A segment that nobody sealed is found at a later look.
        for _ in 0..200 {
            let arrivals = inbox.take(100, Timestamp::EPOCH).unwrap();
            if arrivals.is_empty() {
                continue;
            }
            self.machine.look(|inside| take(&mut state, name, &arrivals, &mut inside.ledger));
        }
        let list =
            |key: &str| state.usage.get(key).and_then(|list| list.as_array().cloned()).unwrap_or_default();
        let seen: Vec<u64> = list("seen").iter().map(|seq| seq.as_u64().unwrap()).collect();
        if seen.windows(2).any(|pair| pair[0] >= pair[1]) {
            self.blame(format!("{name} saw {seen:?}"));
        }
        let mine = messages.iter().filter(|message| message.draft.to == Recipient::Broadcast);
        let stored: BTreeSet<u64> = mine.map(|message| message.seq.0).collect();
        let seen: BTreeSet<u64> = seen.into_iter().collect();
        let missed: Vec<_> = stored.difference(&seen).collect();
        if !missed.is_empty() {
            self.blame(format!("{name} never saw {missed:?}, it stands at {:?}", inbox.cursor()));
        }
        let more: Vec<_> = seen.difference(&stored).collect();
        let exact = more.is_empty() && list("gaps").is_empty();
        if !exact && !self.power_lost() {
            self.blame(format!(
                "{name} saw {more:?}, which are not stored, and was told of {:?}",
                list("gaps")
            ));
        }
        self.silent_losses(name, &seen, &stored, &list("gaps"));
    }

    /// Numbers that are gone were told of.
    fn silent_losses(
        &self,
        name: &str,
        seen: &BTreeSet<u64>,
        stored: &BTreeSet<u64>,
        gaps: &[serde_json::Value],
    ) {
        let given = self.machine.look(|inside| inside.ledger.seen.keys().copied().collect::<Vec<u64>>());
        let last = stored.iter().chain(seen).max().copied().unwrap_or(0);
        let jumped = last > 1_000_000 && seen.iter().any(|seq| *seq > 1_000_000);
        if jumped && given.iter().any(|seq| *seq < 1_000_000) && gaps.is_empty() {
            self.blame(format!("{name} passed into a new epoch and was not told"));
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
