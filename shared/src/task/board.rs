//! The board: fold of task events — pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::TaskEvent;
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

/// Everything on the board.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// Position of the last event folded in.
    pub seq: Seq,
    /// All tasks.
    pub tasks: BTreeMap<TaskId, Task>,
    /// All proposals.
    pub proposals: BTreeMap<TaskId, Proposal>,
}

impl Board {
    /// Folds one event in; an event that makes no sense in this state changes nothing but `seq`.
    pub fn apply(&mut self, _seq: Seq, _event: &TaskEvent) {
        todo!()
    }

    /// Tasks that can be claimed now, in order of their ids.
    pub fn ready(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().filter(|task| task.status == TaskStatus::Open)
    }
}
