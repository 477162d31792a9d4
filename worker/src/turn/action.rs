//! Everything a worker's mind can ask for: carried out by `effects/`, in order.

use std::fmt;

use serde_json::Value;
use tachi_shared::id::TaskId;
use tachi_shared::instance::Hook;
use tachi_shared::queue::Message;
use tachi_shared::task::Change;

use crate::backend::builtin::Remember;

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Replace the state file by `turn.file`.
    Commit,
    /// Put what the committed outbox owes into the queue and ring its recipients. Answered by `Sent` or `Unsent`.
    Send {
        /// Whether some of it may already be in the queue (a predecessor's, or a send that failed half-way).
        again: bool,
    },
    /// Append to the event log.
    Record {
        /// Kind of event.
        kind: &'static str,
        /// Sentence for people.
        text: String,
    },
    /// Print a line of the log.
    Print(String),
    /// Take what lies in the inbox. Answered by `Arrived`.
    ReadInbox,
    /// Look at the own registry row. Answered by `Control`.
    ReadControl,
    /// Tell whoever waits for it that this start is ready: own row (if nobody else writes it), supervisor's doorbell.
    Announce,
    /// Answer this message. Answered by `Answered`, at once or later.
    Answer(Box<Message>),
    /// Keep this message where a person finds it: it is given up.
    GiveUp(Box<Message>, String),
    /// Keep the claim alive.
    Renew(Hook),
    /// Ring everybody: the board changed.
    RingTasks,
    /// Ring the supervisor: this instance changed its mind about something.
    RingSupervisor,
    /// Something that needs the board, one at a time, never from within other work.
    Work(Work),
    /// The last action: row, last words, supervisor's doorbell, end.
    Leave(Reason),
}

/// Work on the board.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Look at it. Answered by `Board`.
    Look,
    /// Take a task. Answered by `Claimed` or `ClaimLost`.
    Claim(TaskId),
    /// List the tree. Answered by `Ended`.
    Survey,
    /// Carry out the claimed task. Answered by `Ended`.
    Perform(Hook),
    /// Record the outcome. Answered by `Settled`.
    Settle(Box<Plan>),
    /// End own children and free the claim before leaving. Answered by `LetGo`.
    LetGo,
}

/// What is to be recorded on the board, each part idempotent.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The claim it rests on; `None` for the listing of the tree, which nobody claims.
    pub hook: Option<Hook>,
    /// How it ended.
    pub end: PlanEnd,
}

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanEnd {
    /// Finished.
    Done {
        /// For the task's `result`.
        result: Value,
        /// Further changes, made first.
        changes: Vec<Change>,
        /// What is remembered, first as well.
        remember: Vec<Remember>,
    },
    /// This attempt failed.
    Failed(String),
}

/// The steps after a start, in their order; each is recorded once per start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The state file says that this start lives.
    Heartbeat,
    /// What the predecessor owed is sent.
    Outbox,
    /// The assignment that survived is looked at.
    Hook,
    /// Messages are read.
    Inbox,
    /// The board is looked at for more.
    Patrol,
}

impl Step {
    /// The word in the event.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Outbox => "outbox",
            Self::Hook => "hook",
            Self::Inbox => "inbox",
            Self::Patrol => "patrol",
        }
    }
}

/// Why an instance leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Asked to, by this signal.
    Requested(String),
    /// No supervisor for the whole grace, or none and told to stop then.
    Orphaned,
    /// It cannot go on.
    Broken(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested(_) => f.write_str("requested"),
            Self::Orphaned => f.write_str("orphaned"),
            Self::Broken(why) => write!(f, "error: {why}"),
        }
    }
}
