//! Judging readers: everything for them was seen once, in order, and what was not seen was told, to the number.

use std::collections::BTreeSet;

use serde_json::Value;
use tachi_shared::clock::Timestamp;
use tachi_shared::id::{InstanceId, Recipient};
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::queue::{Message, Queue};
use tachi_shared::snapshot::Loaded;

use crate::judge::Judge;
use crate::messages::take;
use crate::process::role;
use crate::storage::Machine;

/// What a reader made of the queue.
struct Account {
    seen: Vec<u64>,
    /// First and last of what it was told it missed.
    missed: Vec<(u64, u64)>,
    /// Last before and first after the numbers that an epoch skipped.
    epochs: Vec<(u64, u64)>,
    /// Anything else it was told.
    gaps: Vec<Value>,
}

impl Account {
    fn of(state: &InstanceState) -> Self {
        let list =
            |key: &str| state.usage.get(key).and_then(|list| list.as_array().cloned()).unwrap_or_default();
        let pairs = |key: &str| {
            let pair = |pair: Value| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap());
            list(key).into_iter().map(pair).collect()
        };
        Self {
            seen: list("seen").iter().map(|seq| seq.as_u64().unwrap()).collect(),
            missed: pairs("missed"),
            epochs: pairs("epochs"),
            gaps: list("gaps"),
        }
    }

    /// Whether it was told of this position that it will not come.
    fn was_told(&self, seq: u64) -> bool {
        self.missed.iter().any(|(from, to)| (*from..=*to).contains(&seq))
            || self.epochs.iter().any(|(after, next)| *after < seq && seq < *next)
    }
}

impl Judge<'_> {
    /// Reads on from what is committed to the end, and judges.
    pub(crate) fn reader(&self, name: &str, queue: &Queue<Machine>, messages: &[Message]) {
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
            self.machine.look(|inside| {
                take(&mut state, name, &arrivals, inside.plan.mutant, &mut inside.ledger);
            });
        }
        let account = Account::of(&state);
        let mine = messages.iter().filter(|message| message.draft.to == Recipient::Broadcast);
        let stored: BTreeSet<u64> = mine.map(|message| message.seq.0).collect();
        self.completeness(name, &account, &stored);
        if !self.power_lost() {
            self.exactness(name, &account, &stored);
        }
    }

    /// Always: in order, nothing skipped in silence, nothing told to be gone that is there.
    fn completeness(&self, name: &str, account: &Account, stored: &BTreeSet<u64>) {
        if account.seen.windows(2).any(|pair| pair[0] >= pair[1]) {
            self.blame(format!("{name} saw {:?}", account.seen));
        }
        let (delivered, dropped) =
            self.machine.look(|inside| (inside.ledger.delivered.clone(), inside.ledger.dropped.clone()));
        let seen: BTreeSet<u64> = account.seen.iter().copied().collect();
        for seq in stored.union(&delivered).filter(|seq| !seen.contains(seq)) {
            if !account.was_told(*seq) {
                self.blame(format!("{name} never saw {seq} and was not told"));
            }
        }
        for seq in stored.iter().filter(|seq| account.was_told(**seq)) {
            if !dropped.contains_key(seq) {
                self.blame(format!("{name} was told that {seq} is gone, and it is there"));
            }
        }
        // Where the segment before the jump of an epoch is gone, nobody knows how much of the jump was ever given.
        let first = stored.first().copied().unwrap_or(u64::MAX);
        for (from, to) in account.missed.iter().filter(|(from, to)| *from > first && to - from > 1_000) {
            self.blame(format!("{name} was told that {from} to {to} are gone, which nobody was ever given"));
        }
        for seq in seen.iter().filter(|seq| account.was_told(**seq)) {
            self.blame(format!("{name} saw {seq} and was told that it is gone"));
        }
    }

    /// Without a power loss: told is what was dropped, all of it and nothing else.
    fn exactness(&self, name: &str, account: &Account, stored: &BTreeSet<u64>) {
        let dropped = self.machine.look(|inside| inside.ledger.dropped.clone());
        let more: Vec<&u64> =
            account.seen.iter().filter(|seq| !stored.contains(seq) && !dropped.contains_key(seq)).collect();
        if !more.is_empty() || !account.gaps.is_empty() || !account.epochs.is_empty() {
            let (gaps, epochs) = (&account.gaps, &account.epochs);
            self.blame(format!(
                "{name} saw {more:?}, which are not stored; it was told {gaps:?} and {epochs:?}"
            ));
        }
        let mut before = 0;
        for (from, to) in &account.missed {
            let gone = dropped.keys().filter(|seq| (*from..=*to).contains(seq)).count() as u64;
            if *from <= before || gone == 0 || gone != to + 1 - from {
                self.blame(format!("{name} was told that {from} to {to} are gone; of these {gone} are"));
            }
            before = *to;
        }
    }
}
