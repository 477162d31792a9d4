//! What may be asked of the board and what it records — pure.
//!
//! A recorded event is one line of `tasks/*.jsonl`: `{"seq":N,"kind":"claimed","task":…}`. Whether a change is allowed is
//! judged in [`super::judge`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::{Mono, Timestamp};
use crate::id::{Incarnation, InstanceId, Seq, TaskId};

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TaskEvent {
    /// A task came onto the board; a second one with the same id is ignored.
    Added {
        /// Which task.
        task: TaskId,
        /// What, for people.
        title: String,
        /// Tasks that must be done first.
        #[serde(default)]
        needs: Vec<TaskId>,
        /// What has to be done, for the backend.
        #[serde(default)]
        payload: Value,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody took it; the event's position is the fence.
    Claimed {
        /// Which task.
        task: TaskId,
        /// By whom.
        by: InstanceId,
        /// Which start of it.
        incarnation: Incarnation,
        /// End of the lease, milliseconds since boot.
        expires: Mono,
        /// Boot the lease belongs to.
        boot_id: String,
        /// When.
        at: Timestamp,
    },
    /// The lease goes on.
    Renewed {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
        /// End of the lease, milliseconds since boot.
        expires: Mono,
        /// When.
        at: Timestamp,
    },
    /// Finished.
    Done {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
        /// What came out.
        result: Value,
        /// By whom.
        by: InstanceId,
        /// When.
        at: Timestamp,
    },
    /// This attempt failed; the task is open again, or failed for good after its last attempt.
    Failed {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
        /// Why.
        reason: String,
        /// By whom.
        by: InstanceId,
        /// When.
        at: Timestamp,
    },
    /// The owner is gone; the task is open again.
    Released {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
        /// Why.
        reason: String,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Taken back.
    Cancelled {
        /// Which task.
        task: TaskId,
        /// Why.
        reason: String,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Put to the vote; a second one with the same id is ignored.
    Proposed {
        /// Which proposal.
        proposal: TaskId,
        /// The sentence voted on.
        text: String,
        /// What has to be done, for the backend.
        payload: Value,
        /// By whom.
        by: InstanceId,
        /// When.
        at: Timestamp,
    },
    /// Voted; a voter's second vote is ignored.
    Voted {
        /// Which proposal.
        proposal: TaskId,
        /// For or against.
        approve: bool,
        /// Why.
        reason: String,
        /// By whom.
        by: InstanceId,
        /// When.
        at: Timestamp,
    },
}

/// Something asked of the board.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Add tasks; those already there are left alone.
    Add(Vec<NewTask>),
    /// Take one task. Allowed when it is open, or when its owner is an earlier incarnation of `by`.
    Claim {
        /// Which task.
        task: TaskId,
        /// By whom.
        by: InstanceId,
        /// Which start of it.
        incarnation: Incarnation,
        /// Boot the lease belongs to.
        boot_id: String,
    },
    /// Go on working; `fence` must be current.
    Renew {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
    },
    /// Finish; `fence` must be current.
    Done {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
        /// What came out.
        result: Value,
        /// By whom.
        by: InstanceId,
    },
    /// Give this attempt up; `fence` must be current.
    Fail {
        /// Which task.
        task: TaskId,
        /// Position of the claim this rests on.
        fence: Seq,
        /// Why.
        reason: String,
        /// By whom.
        by: InstanceId,
    },
    /// Free everything `owner` holds up to `incarnation`, because it is dead and its tree is empty.
    ReleaseOwner {
        /// Whose claims.
        owner: InstanceId,
        /// Which start of it.
        incarnation: Incarnation,
        /// Why.
        reason: String,
        /// By whom.
        by: String,
    },
    /// Put to the vote.
    Propose {
        /// Which proposal.
        proposal: TaskId,
        /// The sentence voted on.
        text: String,
        /// What has to be done, for the backend.
        payload: Value,
        /// By whom.
        by: InstanceId,
    },
    /// Vote.
    Vote {
        /// Which proposal.
        proposal: TaskId,
        /// For or against.
        approve: bool,
        /// Why.
        reason: String,
        /// By whom.
        by: InstanceId,
    },
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

// `decide` lives with the rules; it is reachable from here because it answers a `Change`.
pub use super::judge::decide;
