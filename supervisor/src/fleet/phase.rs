//! The lives of an instance: phases, and why it ended — pure data.
//!
//! A phase carries exactly the data it has: no field here is meaningless in the phase it belongs to.

use tachi_shared::clock::Mono;
use tachi_shared::id::ProcessRef;

/// Where an instance is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// No process, none due.
    Down(Rest),
    /// A spawn was asked for and not yet answered.
    Spawning {
        /// Since when.
        since: Mono,
    },
    /// A process lives.
    Alive(Alive),
    /// It is to end.
    Stopping(Stopping),
    /// The leader is dead, the rest of its tree not yet.
    Emptying(Emptying),
    /// No process; the next start is due later.
    Backoff {
        /// When.
        until: Mono,
        /// After what.
        reason: String,
    },
    /// No process; it starts once what it needs is ready.
    Waiting(Wait),
    /// No process; the group brake decides when it starts.
    Held {
        /// After what.
        reason: String,
    },
    /// Given up; only a person starts it again.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A start that is put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Whom it waits for, and how that one is, for people.
    pub reason: String,
    /// Whether nothing will change by itself: what it needs is down or given up.
    pub hopeless: bool,
    /// Whether the start replaces one that died.
    pub again: bool,
}

/// Why it is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Never started yet.
    Waiting,
    /// A person stopped it.
    Requested,
    /// It ended and its policy asks for no more.
    Finished(String),
    /// The stop latch holds it.
    Latched,
    /// The supervisor is leaving.
    Ending,
}

/// A living process.
#[derive(Debug, Clone, PartialEq)]
pub struct Alive {
    /// Which.
    pub process: ProcessRef,
    /// Since when.
    pub since: Mono,
    /// When it became ready.
    pub ready_at: Option<Mono>,
    /// Last progress since this start, or the moment silence began to count anew.
    pub heard: Mono,
    /// Silence is legal until then.
    pub busy_until: Option<Mono>,
    /// Whether it says that it idles on request.
    pub paused: bool,
    /// How it looks from outside.
    pub mode: Mode,
}

impl Alive {
    /// A process that has just been started.
    #[must_use]
    pub fn new(process: ProcessRef, now: Mono) -> Self {
        Self {
            process,
            since: now,
            ready_at: None,
            heard: now,
            busy_until: None,
            paused: false,
            mode: Mode::Working,
        }
    }
}

/// How a living process looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing wrong.
    Working,
    /// Silent beyond its soft limit.
    Stalled,
    /// Stopped by a signal; silence does not count.
    Frozen,
}

/// An instance that is to end.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopping {
    /// Its process; absent while the spawn is not answered.
    pub process: Option<ProcessRef>,
    /// Since when the process lives.
    pub since: Mono,
    /// Whether it was ready.
    pub ready_at: Option<Mono>,
    /// Who wants it.
    pub cause: StopCause,
    /// When it is killed, or killed again.
    pub kill_at: Mono,
    /// Whether KILL has been asked for.
    pub killed: bool,
    /// Whether it was given more time because the supervisor was late: once, or a slow machine never ends.
    pub forgiven: bool,
}

/// Who wants an instance to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// A person: stop.
    Requested,
    /// A person: replace.
    Restart,
    /// Fewer of its role are wanted.
    Scale,
    /// The supervisor leaves.
    Down,
    /// The stop latch.
    Latch,
    /// It was silent too long.
    Watchdog,
    /// What it needs was given up.
    Needs,
}

/// Why a process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// We wanted it.
    Stop(StopCause),
    /// A signal we did not send.
    External,
    /// Its own fault.
    Crash,
    /// The kernel was out of memory.
    Oom,
    /// It could not be started.
    Spawn,
    /// It ended in order, on its own.
    Own,
    /// Nobody could see.
    Lost,
}

impl Cause {
    /// The word in the death record.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop(StopCause::Requested) => "requested",
            Self::Stop(StopCause::Restart) => "restart",
            Self::Stop(StopCause::Scale) => "scale",
            Self::Stop(StopCause::Down) => "down",
            Self::Stop(StopCause::Latch) => "latch",
            Self::Stop(StopCause::Watchdog) => "watchdog",
            Self::Stop(StopCause::Needs) => "needs",
            Self::External => "external",
            Self::Crash => "crash",
            Self::Oom => "oom",
            Self::Spawn => "spawn",
            Self::Own => "self",
            Self::Lost => "lost",
        }
    }
}

/// A tree whose leader is dead.
#[derive(Debug, Clone, PartialEq)]
pub struct Emptying {
    /// Why the leader died.
    pub cause: Cause,
    /// What follows, unless something else is wanted by then.
    pub after: After,
    /// When the kill is asked for again.
    pub again_at: Mono,
}

/// What follows a death once the tree is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// A start, at once.
    Start,
    /// A start, later.
    Later {
        /// When.
        until: Mono,
        /// After what.
        reason: String,
    },
    /// A start when the group brake allows.
    Hold {
        /// After what.
        reason: String,
    },
    /// Nothing: given up.
    Fail {
        /// Why.
        reason: String,
    },
    /// Nothing: done.
    Finish {
        /// How.
        reason: String,
    },
}
