//! builtin: a deterministic survey of the workspace that needs no model (DESIGN §8).
//!
//! A run of the survey goes over the board: parts (explorers) and pieces of history → assemble (builder) → derive (reflector)
//! → votes (all) → report (builder). Everything between is a file under `artifacts/survey/` that follows from the tree alone,
//! so a task done twice, or by another after a death, writes the same bytes. Pure rooms here judge and compute; all that
//! touches files and git is in `effects/survey/`.
//!
//! [`next_duty`] judges from the board what to do next (pure); [`survey`] lists the tree and cuts it into tasks;
//! [`perform`] carries out one claimed task; [`answer`] answers from the facts gathered.

mod assemble;
pub(crate) mod digest;
mod duty;
pub(crate) mod fact;
mod flow;
mod given_up;
pub(crate) mod history;
mod hotspot;
mod job;
pub(crate) mod language;
mod opening;
pub(crate) mod path;
mod plan;
pub(crate) mod proposal;
mod reply;
mod report;
mod run_record;
mod stage;
mod survey;

use std::path::PathBuf;

use serde_json::Value;
use tachi_shared::id::{InstanceId, Role, TaskId};
use tachi_shared::memory::EntryKind;
use tachi_shared::queue::MessageKind;
use tachi_shared::task::Change;

pub use duty::next_duty;
pub use flow::{answer, perform};
pub use opening::survey;

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

/// A live member of the team, as the registry shows it: ready, not paused or frozen, and thinking with this backend. The
/// others are left out, because work is left to those who are named here.
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

impl Remember {
    /// What the team hears of it once it is remembered: every change of the memory is on the queue, too. It makes nobody think.
    #[must_use]
    pub fn news(&self) -> Say {
        Say { kind: MessageKind::Memory, text: format!("{} {}", self.kind.word(), self.id) }
    }
}
