//! builtin: a deterministic survey of the workspace that needs no model (DESIGN §8).
//!
//! [`next_duty`] judges from the board what to do next (pure); [`survey`] lists the tree and cuts it into tasks;
//! [`perform`] carries out one claimed task; [`answer`] answers from the facts gathered.

use std::path::PathBuf;

use serde_json::Value;
use tachi_shared::id::{InstanceId, Role, TaskId};
use tachi_shared::memory::EntryKind;
use tachi_shared::queue::MessageKind;
use tachi_shared::task::{Board, Change, Task};

/// Where a fleet works.
#[derive(Debug, Clone)]
pub struct Site {
    /// The tree to survey, absolute.
    pub workspace: PathBuf,
    /// The state directory, absolute: never surveyed.
    pub state: PathBuf,
    /// `artifacts/` of the state directory.
    pub artifacts: PathBuf,
}

/// A live member of the team, as the registry shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub id: InstanceId,
    /// What for.
    pub role: Role,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// List the tree and put the survey on the board.
    Survey,
    /// Claim this task, then perform it.
    Claim(TaskId),
    /// Nothing now.
    Rest,
}

/// What a piece of work came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Finished.
    Done {
        /// For the task's `result`.
        result: Value,
        /// Further changes to the board (tasks, proposals, votes), idempotent.
        changes: Vec<Change>,
        /// What the team is told.
        say: Vec<Say>,
        /// What is remembered.
        remember: Vec<Remember>,
    },
    /// This attempt failed, for this reason.
    Failed(String),
    /// Broken off because `go_on` said so; nothing was published.
    Interrupted,
}

/// A broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// Type of message.
    pub kind: MessageKind,
    /// Text.
    pub text: String,
}

/// A memory entry; `id` makes adding it idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remember {
    /// List.
    pub kind: EntryKind,
    /// Entry id.
    pub id: String,
    /// Text.
    pub content: String,
}

/// Judges what `me` should do: its role's own duty first, then help where work lies, then cover for absent roles — pure.
/// `surveyed` = this process has already listed the tree since it started.
#[must_use]
pub fn next_duty(_board: &Board, _me: &Peer, _peers: &[Peer], _surveyed: bool) -> Duty {
    todo!()
}

/// Lists the tree and returns the tasks to add (in `changes`). `go_on` is asked at least every 100 ms.
pub fn survey(_site: &Site, _me: &Peer, _board: &Board, _go_on: &mut dyn FnMut(&str) -> bool) -> Outcome {
    todo!()
}

/// Carries out one claimed task. `go_on` hears what is being done and is asked at least every 100 ms.
pub fn perform(
    _site: &Site,
    _me: &Peer,
    _task: &Task,
    _board: &Board,
    _go_on: &mut dyn FnMut(&str) -> bool,
) -> Outcome {
    todo!()
}

/// Answers a question from the facts gathered so far, or says that no model is configured.
#[must_use]
pub fn answer(_site: &Site, _board: &Board, _question: &str) -> String {
    todo!()
}
