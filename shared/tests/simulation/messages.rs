//! Who speaks and who listens: senders with an outbox, readers with a cursor.

use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::Timestamp;
use tachi_shared::id::Recipient;
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::log::Gap;
use tachi_shared::os::Storage as _;
use tachi_shared::queue::{Arrival, Draft, MessageKind};

use crate::ledger::Ledger;
use crate::plan::{Mutant, Part};
use crate::process::{PATIENCE, ROUNDS, Start, WAIT, queue, role};

impl Start<'_> {
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
                if self.is_last(Part::Reader) {
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
            self.machine
                .look(|inside| take(&mut next, self.name, &arrivals, inside.plan.mutant, &mut inside.ledger));
            match store.replace(&next) {
                Ok(()) => state = next,
                // As after a death: from what is committed.
                Err(_) => {
                    inbox = queue.inbox(&self.id(), &role(), state.inbox.clone().unwrap_or_default());
                }
            }
        }
    }
}

/// What a reader does with arrivals: its list of what it saw is its state.
pub(crate) fn take(
    state: &mut InstanceState,
    name: &str,
    arrivals: &[Arrival],
    mutant: Option<Mutant>,
    ledger: &mut Ledger,
) {
    for arrival in arrivals {
        match arrival {
            // Nothing expires here; were it so, it would have been seen all the same.
            Arrival::Message(message) | Arrival::Expired(message) => {
                ledger.read(name, message.seq.0, &message.draft.id);
                ledger.delivered.insert(message.seq.0);
                push(state, "seen", json!(message.seq.0));
            }
            Arrival::Gap(Gap::Unnumbered { .. }) => {}
            Arrival::Gap(_) if mutant == Some(Mutant::SilentGap) => {}
            Arrival::Gap(Gap::Lagged { from, to }) => {
                let to = if mutant == Some(Mutant::ShortGap) { to.0 - 1 } else { to.0 };
                push(state, "missed", json!([from.0, to]));
            }
            Arrival::Gap(Gap::Epoch { after, next }) => push(state, "epochs", json!([after.0, next.0])),
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
