//! What the supervisor knows — pure. One [`Instance`] per row; its [`Phase`] carries exactly the data that phase has.
//!
//! Only [`super::next`] changes any of this. A process exists in [`Phase::Spawning`], [`Phase::Alive`] and
//! [`Phase::Stopping`]; remains of one may exist in [`Phase::Emptying`]; in every other phase there is nothing, and only
//! from those a start is allowed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tachi_shared::clock::{Mono, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef};
use tachi_shared::registry::{Death, Desired, Kind, Status};

use super::brake::Brake;
use super::reply::Pending;
use super::restart::History;
use crate::settings::{Settings, Spec};

/// The whole fleet.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Instances by id.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// The same ids in start order.
    pub order: Vec<InstanceId>,
    /// What is to run, in start order.
    pub(super) specs: Vec<Spec>,
    /// Per role, for instances added later; the first serves unknown roles.
    pub(super) templates: Vec<Spec>,
    /// Many failing alike.
    pub(super) brake: Brake,
    /// Kernel boot the moments belong to.
    pub(super) boot_id: String,
    /// Why nothing may run, while the stop file is there.
    pub(super) latch: Option<String>,
    /// Whether the supervisor is on its way out.
    pub(super) ending: Ending,
    /// Commands whose wish is not true yet.
    pub(super) pending: Vec<Pending>,
    /// Last incarnation of instances that were removed: a number is never handed out twice.
    pub(super) retired: BTreeMap<InstanceId, Incarnation>,
    /// When the last event was taken.
    pub(super) heard_at: Option<Mono>,
    /// The nearest deadline, as asked for last.
    pub(super) wake_at: Option<Mono>,
    /// When the registry was last asked to be written.
    pub(super) saved_at: Mono,
    /// Whether `doing` or a heartbeat changed since.
    pub(super) stale: bool,
}

impl Fleet {
    /// A fleet that knows what it is to run and waits for [`super::Event::Began`].
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            specs: settings.specs.clone(),
            templates: settings.roles.clone(),
            brake: Brake::new(settings.brake),
            ..Self::default()
        }
    }

    /// One instance.
    #[must_use]
    pub fn get(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.get(id)
    }

    /// Instances in start order.
    pub fn in_order(&self) -> impl Iterator<Item = (&InstanceId, &Instance)> {
        self.order.iter().filter_map(|id| self.instances.get_key_value(id))
    }

    /// Whether the stop file holds everything down.
    #[must_use]
    pub fn latched(&self) -> bool {
        self.latch.is_some()
    }

    /// Whether the supervisor is on its way out.
    #[must_use]
    pub fn ending(&self) -> bool {
        self.ending != Ending::No
    }
}

/// Whether the supervisor is on its way out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stays.
    #[default]
    No,
    /// Everybody was asked to end.
    Asked,
    /// Everybody is being killed.
    Killing,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// How it is run.
    pub spec: Spec,
    /// What it should be.
    pub desired: Desired,
    /// The current or last start; 0 before the first.
    pub incarnation: Incarnation,
    /// What it is.
    pub phase: Phase,
    /// Whether its row goes once it is down.
    pub leaving: bool,
    /// Replacements so far.
    pub restarts: u64,
    /// Start of the current or last process.
    pub started_at: Option<Timestamp>,
    /// Last proof of life.
    pub last_heartbeat: Option<Timestamp>,
    /// What it says it is doing.
    pub doing: Option<String>,
    /// The last death.
    pub last_death: Option<Death>,
    /// What restarts have cost so far.
    pub history: History,
    /// Fields of the row we do not know.
    pub extra: Map<String, Value>,
}

impl Instance {
    /// One that never ran.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self {
            spec,
            desired: Desired::Running,
            incarnation: Incarnation::default(),
            phase: Phase::Down(Rest::Waiting),
            leaving: false,
            restarts: 0,
            started_at: None,
            last_heartbeat: None,
            doing: None,
            last_death: None,
            history: History::default(),
            extra: Map::new(),
        }
    }

    /// Its process, while one is known to live.
    #[must_use]
    pub fn process(&self) -> Option<&ProcessRef> {
        match &self.phase {
            Phase::Alive(alive) => Some(&alive.process),
            Phase::Stopping(stopping) => stopping.process.as_ref(),
            _ => None,
        }
    }

    /// Whether a process or remains of one may exist.
    #[must_use]
    pub fn occupied(&self) -> bool {
        matches!(
            self.phase,
            Phase::Spawning { .. } | Phase::Alive(_) | Phase::Stopping(_) | Phase::Emptying(_)
        )
    }

    /// Whether it has become ready and lives.
    #[must_use]
    pub fn ready(&self) -> bool {
        matches!(&self.phase, Phase::Alive(Alive { ready_at: Some(_), .. }))
    }

    /// Whether it idles on request.
    #[must_use]
    pub fn paused(&self) -> bool {
        match (&self.phase, self.spec.kind) {
            (Phase::Alive(alive), Kind::Worker) => alive.paused,
            (Phase::Alive(alive), Kind::Command) => {
                alive.mode == Mode::Frozen && self.desired == Desired::Paused
            }
            _ => false,
        }
    }

    /// The word for its row.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.phase {
            Phase::Down(_) => Status::Stopped,
            Phase::Spawning { .. } => Status::Starting,
            Phase::Alive(_) if self.paused() => Status::Paused,
            Phase::Alive(alive) => match alive.mode {
                Mode::Frozen => Status::Frozen,
                Mode::Stalled => Status::Stalled,
                Mode::Working if alive.ready_at.is_none() => Status::Starting,
                Mode::Working => Status::Ready,
            },
            Phase::Stopping(_) => Status::Stopping,
            Phase::Emptying(Emptying { cause: Cause::Stop(_), .. }) => Status::Stopping,
            Phase::Emptying(Emptying { cause: Cause::Lost, .. }) => Status::Lost,
            Phase::Emptying(_) | Phase::Backoff { .. } | Phase::Held { .. } => Status::Backoff,
            Phase::Failed { .. } => Status::Failed,
        }
    }
}

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
