//! How far messages got: queued, seen, acknowledged — from where their recipients stand. Changes nothing.
//!
//! *Queued*: stored, not read. *Seen*: taken and being answered. *Acknowledged*: handled; the recipient's own state says so.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::clock::Timestamp;
use tachi_shared::id::{InstanceId, Recipient, Seq};
use tachi_shared::queue::{Message, Reader};
use tachi_shared::registry::Registry;
use tachi_shared::store::Store;

use crate::settings::time;

/// How far a message got with one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Queued,
    Seen,
    Acknowledged,
}

impl State {
    const ALL: [Self; 3] = [Self::Acknowledged, Self::Seen, Self::Queued];

    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Seen => "seen",
            Self::Acknowledged => "acknowledged",
        }
    }
}

/// Where everybody stands at one moment.
pub(super) struct Standings<'a> {
    registry: &'a Registry,
    readers: BTreeMap<InstanceId, Reader>,
    now: Timestamp,
}

impl<'a> Standings<'a> {
    /// Reads every recipient's own file.
    pub(super) fn of(store: &Store, registry: &'a Registry, now: Timestamp) -> Self {
        let readers = store.queue().readers();
        let readers = readers.into_iter().map(|reader| (reader.id.clone(), reader)).collect();
        Self { registry, readers, now }
    }

    /// The recipients there are now, each with how far the message got.
    fn recipients(&self, message: &Message) -> Vec<(&InstanceId, State)> {
        let rows = self.registry.instances.iter();
        rows.filter(|row| message.draft.is_for(&row.instance_id, &row.role))
            .map(|row| (&row.instance_id, state(self.readers.get(&row.instance_id), message.seq)))
            .collect()
    }

    /// One line for people.
    pub(super) fn line(&self, message: &Message) -> String {
        if message.draft.to == Recipient::Operator {
            return "for the operator".to_owned();
        }
        let all = self.recipients(message);
        let Some(least) = all.iter().map(|(_, state)| *state).min() else {
            return "nobody of that name is left".to_owned();
        };
        let age = age(message, self.now);
        let mut parts = Vec::new();
        for state in State::ALL {
            let names: Vec<&str> =
                all.iter().filter(|(_, at)| *at == state).map(|(id, _)| id.as_str()).collect();
            match (state, names.len()) {
                (_, 0) => {}
                (State::Acknowledged, k) if all.len() > 1 => {
                    parts.push(format!("acknowledged by {k} of {}", all.len()));
                }
                (State::Acknowledged, _) => parts.push(format!("acknowledged by {}", names.join(", "))),
                (State::Seen, _) => parts.push(format!("seen by {}", names.join(", "))),
                (State::Queued, _) => parts.push(format!("queued for {}", names.join(", "))),
            }
        }
        let expired = message.draft.expires_at.is_some_and(|end| end < self.now);
        match (least, expired) {
            (State::Queued, true) => format!("{}; expired", parts.join("; ")),
            (State::Acknowledged, _) => format!("{}; sent {age} ago", parts.join("; ")),
            _ => format!("{}; waiting for {age}", parts.join("; ")),
        }
    }

    /// The same for programs.
    pub(super) fn json(&self, message: &Message) -> Value {
        let all = self.recipients(message);
        let names = |state: State| -> Vec<&InstanceId> {
            all.iter().filter(|(_, at)| *at == state).map(|(id, _)| *id).collect()
        };
        let least = all.iter().map(|(_, state)| *state).min();
        json!({
            "state": least.map(State::word),
            "of": all.len(),
            "acknowledged": names(State::Acknowledged),
            "seen": names(State::Seen),
            "queued": names(State::Queued),
            "age_s": message.draft.timestamp.age(self.now).as_secs(),
        })
    }
}

fn state(reader: Option<&Reader>, seq: Seq) -> State {
    match reader {
        Some(reader) if reader.seq >= seq => State::Acknowledged,
        Some(reader) if reader.taken >= seq => State::Seen,
        _ => State::Queued,
    }
}

fn age(message: &Message, now: Timestamp) -> String {
    time::show(Duration::from_secs(message.draft.timestamp.age(now).as_secs()))
}
