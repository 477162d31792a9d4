//! What may be asked of the board and what it records — pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::board::Board;
use crate::clock::{Mono, Now, Timestamp};
use crate::error::Result;
use crate::id::{Incarnation, InstanceId, Seq, TaskId};

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TaskEvent {
    /// A task came onto the board; a second one with the same id is ignored.
    Added {
        task: TaskId,
        title: String,
        #[serde(default)]
        needs: Vec<TaskId>,
        #[serde(default)]
        payload: Value,
        by: String,
        at: Timestamp,
    },
    /// Somebody took it; the event's position is the fence.
    Claimed {
        task: TaskId,
        by: InstanceId,
        incarnation: Incarnation,
        expires: Mono,
        boot_id: String,
        at: Timestamp,
    },
    /// The lease goes on.
    Renewed { task: TaskId, fence: Seq, expires: Mono, at: Timestamp },
    /// Finished.
    Done { task: TaskId, fence: Seq, result: Value, by: InstanceId, at: Timestamp },
    /// This attempt failed; the task is open again, or failed for good after its last attempt.
    Failed { task: TaskId, fence: Seq, reason: String, by: InstanceId, at: Timestamp },
    /// The owner is gone; the task is open again.
    Released { task: TaskId, fence: Seq, reason: String, by: String, at: Timestamp },
    /// Taken back.
    Cancelled { task: TaskId, reason: String, by: String, at: Timestamp },
    /// Put to the vote; a second one with the same id is ignored.
    Proposed { proposal: TaskId, text: String, payload: Value, by: InstanceId, at: Timestamp },
    /// Voted; a voter's second vote is ignored.
    Voted { proposal: TaskId, approve: bool, reason: String, by: InstanceId, at: Timestamp },
}

/// Something asked of the board.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Add tasks; those already there are left alone.
    Add(Vec<NewTask>),
    /// Take one task. Allowed when it is open, or when its owner is an earlier incarnation of `by`.
    Claim { task: TaskId, by: InstanceId, incarnation: Incarnation, boot_id: String },
    /// Go on working; `fence` must be current.
    Renew { task: TaskId, fence: Seq },
    /// Finish; `fence` must be current.
    Done { task: TaskId, fence: Seq, result: Value, by: InstanceId },
    /// Give this attempt up; `fence` must be current.
    Fail { task: TaskId, fence: Seq, reason: String, by: InstanceId },
    /// Free everything `owner` holds up to `incarnation`, because it is dead and its tree is empty.
    ReleaseOwner { owner: InstanceId, incarnation: Incarnation, reason: String, by: String },
    /// Put to the vote.
    Propose { proposal: TaskId, text: String, payload: Value, by: InstanceId },
    /// Vote.
    Vote { proposal: TaskId, approve: bool, reason: String, by: InstanceId },
}

/// A task to add.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Id derived from content.
    pub id: TaskId,
    /// What, for people.
    pub title: String,
    /// Tasks that must be done first.
    pub needs: Vec<TaskId>,
    /// For the backend.
    pub payload: Value,
    /// Who adds it.
    pub by: String,
}

/// Judges `change` against the board: the events to record, or the reason why not.
///
/// # Errors
/// [`crate::Error::Refused`] (wrong state, lost lease, unknown task).
pub fn decide(_board: &Board, _change: &Change, _now: Now) -> Result<Vec<TaskEvent>> {
    todo!()
}
