//! Shapes of what lies on the board: tasks, claims, proposals, votes — pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::{Mono, Timestamp};
use crate::id::{Incarnation, InstanceId, Seq, TaskId};

/// States of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Claimable.
    Open,
    /// Waits for others.
    Blocked,
    /// Somebody works on it.
    Claimed,
    /// Finished with a result.
    Done,
    /// Given up.
    Failed,
    /// Taken back.
    Cancelled,
}

impl TaskStatus {
    /// The word in the view.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Blocked => "blocked",
            Self::Claimed => "claimed",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Which.
    pub id: TaskId,
    /// What, for people.
    pub title: String,
    /// State.
    pub status: TaskStatus,
    /// Tasks that must be done first.
    #[serde(default)]
    pub needs: Vec<TaskId>,
    /// What the builtin backend has to do; anything for others.
    #[serde(default)]
    pub payload: Value,
    /// Who works on it.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// Claims so far.
    pub attempts: u32,
    /// Attempts that their owner gave up; [`super::board::ATTEMPTS_MAX`] of them are final.
    #[serde(default)]
    pub failures: u32,
    /// Attempts whose owner died or lost its lease; [`super::board::LOSSES_MAX`] of them are final.
    #[serde(default)]
    pub losses: u32,
    /// How earlier attempts ended.
    #[serde(default)]
    pub history: Vec<String>,
    /// What came out.
    #[serde(default)]
    pub result: Value,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it reached its final state.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// Who finished it.
    #[serde(default)]
    pub finished_by: Option<InstanceId>,
}

/// The holder of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Who.
    pub instance: InstanceId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Sequence number of the claim.
    pub fence: Seq,
    /// Since when.
    pub since: Timestamp,
    /// Until when without renewal, milliseconds since boot.
    pub expires: Mono,
    /// Boot `expires` belongs to.
    pub boot_id: String,
}

impl Owner {
    /// Whether the lease has run out: its time is over, or it belongs to another boot (then its owner cannot live).
    #[must_use]
    pub fn expired(&self, now: Mono, boot_id: &str) -> bool {
        self.boot_id != boot_id || self.expires < now
    }
}

/// A proposal put to the vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Which; derived from content.
    pub id: TaskId,
    /// The sentence voted on.
    pub text: String,
    /// The figure it rests on, for voters to re-derive.
    pub payload: Value,
    /// Who proposed.
    pub by: InstanceId,
    /// Votes, one per voter; the first counts.
    #[serde(default)]
    pub votes: BTreeMap<String, Vote>,
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// For or against.
    pub approve: bool,
    /// What the voter found when it looked itself.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}
