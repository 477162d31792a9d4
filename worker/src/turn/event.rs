//! Everything that can happen to a worker.

use tachi_shared::id::{Seq, TaskId};
use tachi_shared::instance::Hook;
use tachi_shared::log::Cursor;
use tachi_shared::queue::Arrival;

use crate::backend::builtin::{Duty, Outcome, Peer};

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// The process is set up; the first event.
    Started {
        /// Last position in the queue now: broadcasts up to here are older than a newcomer.
        end: Seq,
        /// How an earlier state file had to be set aside, if it had.
        damaged: Option<String>,
    },
    /// What the outbox owed is in the queue.
    Sent,
    /// It could not be sent and is still owed.
    Unsent(String),
    /// The doorbell rang.
    Rung {
        /// For messages.
        messages: bool,
        /// For the board.
        tasks: bool,
        /// For the own row.
        control: bool,
    },
    /// What lay in the inbox.
    Arrived {
        /// In order; possibly none.
        arrivals: Vec<Arrival>,
        /// Position behind them.
        cursor: Cursor,
        /// Whether there may be more.
        more: bool,
        /// The live team, when something for several wants an answer.
        peers: Vec<Peer>,
    },
    /// The answer to the message asked about.
    Answered {
        /// Id of the message.
        message: String,
        /// The text.
        text: String,
    },
    /// The inbox or the board could not be read.
    Unreadable {
        /// The inbox, else the board.
        inbox: bool,
        /// Why.
        why: String,
    },
    /// What the own row wants.
    Control {
        /// Whether to idle.
        paused: bool,
    },
    /// What the board looks like from here.
    Board(Look),
    /// The task is ours.
    Claimed(Hook),
    /// It is not.
    ClaimLost {
        /// Which.
        task: TaskId,
        /// Why not.
        reason: String,
    },
    /// Work goes on, at this.
    Progress(String),
    /// Work ended.
    Ended(Outcome),
    /// The outcome is, or cannot be, on the board.
    Settled(Settlement),
    /// A supervisor lives.
    SupervisorFound,
    /// It does not live any more.
    SupervisorLost,
    /// Asked to leave by a signal of this name.
    Terminate(String),
    /// The loop cannot go on.
    Broken(String),
    /// Own children are gone; whether the claim is free again.
    LetGo {
        /// The claim is free or there was none.
        freed: bool,
    },
    /// Time passed.
    Tick,
}

/// What the board looks like from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What became of the task on the hook.
    pub hook: HookFate,
    /// A task that an earlier start of this instance claimed and that is on no hook.
    pub left_behind: Option<TaskId>,
    /// What to do next.
    pub duty: Duty,
    /// Whether anything on the board is unfinished.
    pub unfinished: bool,
}

/// What became of the task on the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFate {
    /// There is none.
    Empty,
    /// It can be gone on with.
    Live,
    /// This instance finished it.
    Finished,
    /// It belongs to somebody else now, or is no task any more.
    Gone,
}

/// How recording an outcome went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Recorded.
    Recorded,
    /// The claim was no longer ours: the outcome does not count.
    Lost(String),
    /// The board could not be written; try again later.
    Later(String),
}
