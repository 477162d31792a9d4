//! `events/*.jsonl`: the lifecycle of the fleet, one line an event, for `tachi events`, `why` and `history`.
//!
//! Writers: the supervisor and the workers, appending under `events.lock`. A crash leaves a valid prefix. Events are for
//! people and tools; no decision of the supervisor depends on reading them back.

mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::id::{Incarnation, InstanceId, Seq};

pub use store::{EventLog, Mark};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position; 0 in an event that is not written yet.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub seq: Seq,
    /// When.
    pub timestamp: Timestamp,
    /// What happened: `supervisor-up`, `supervisor-down`, `started`, `ready`, `step`, `died`, `restart-due`, `stopped`, `failed`,
    /// `adopted`, `stray`, `command`, `stop-latched`, `stop-cleared`, `rejected`, `lock-trouble`, `watch-trouble`, `task`, …
    pub kind: String,
    /// Which instance, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Which start of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// One sentence for people.
    pub text: String,
    /// Anything else (a [`crate::registry::Death`] under `death`, a pid under `pid`, …).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn is_unset(seq: &Seq) -> bool {
    *seq == Seq::START
}

impl Event {
    /// An event of the whole fleet.
    #[must_use]
    pub fn new(timestamp: Timestamp, kind: &str, text: impl Into<String>) -> Self {
        Self {
            seq: Seq::START,
            timestamp,
            kind: kind.to_owned(),
            instance: None,
            incarnation: None,
            text: text.into(),
            extra: Map::new(),
        }
    }

    /// The same, about one start of one instance.
    #[must_use]
    pub fn of(mut self, id: &InstanceId, incarnation: Incarnation) -> Self {
        self.instance = Some(id.clone());
        self.incarnation = Some(incarnation);
        self
    }

    /// The same, with one more field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }
}
