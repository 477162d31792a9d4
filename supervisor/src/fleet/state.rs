//! What the supervisor knows — pure. One [`Instance`] per row; its [`Phase`] carries exactly the data that phase has.
//!
//! Only [`super::next`] changes any of this. A process exists in [`Phase::Spawning`], [`Phase::Alive`] and
//! [`Phase::Stopping`]; remains of one may exist in [`Phase::Emptying`]; in every other phase there is nothing, and only
//! from those a start is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use tachi_shared::clock::{Mono, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef};
use tachi_shared::registry::{Death, Desired, Kind, Status};

use super::brake::Brake;
use super::phase::{Alive, Cause, Emptying, Mode, Phase, Rest, StopCause, Wait};
use super::reply::Pending;
use super::restart::History;
use super::rolling::Rolling;
use crate::settings::{ConfigRead, Settings, Spec, Until};

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
    /// What the settings say of the fleet as a whole, by key; taken over by a new supervisor only.
    pub(super) whole: BTreeMap<&'static str, String>,
    /// The configuration in force, as it was read.
    pub(super) config: Option<ConfigRead>,
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
    /// Those that wait for others, by id.
    pub(super) waiting: BTreeSet<InstanceId>,
    /// Those that are to end once nobody who needs them is left, and why.
    pub(super) put_off: BTreeMap<InstanceId, StopCause>,
    /// When the run is over by itself.
    pub(super) until: Until,
    /// A rolling restart on its way.
    pub(super) rolling: Option<Rolling>,
    /// Last incarnation of instances that were removed: a number is never handed out twice.
    pub(super) retired: BTreeMap<InstanceId, Incarnation>,
    /// When the last event was taken.
    pub(super) heard_at: Option<Mono>,
    /// The nearest deadline, as asked for last.
    pub(super) wake_at: Option<Mono>,
    /// When the registry was last asked to be written.
    pub(super) saved_at: Mono,
    /// How long after that it is to be written again, if `doing` or a heartbeat changed since.
    pub(super) stale: Option<Duration>,
}

impl Fleet {
    /// A fleet that knows what it is to run and waits for [`super::Event::Began`].
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            specs: settings.specs.clone(),
            templates: settings.roles.clone(),
            brake: Brake::new(settings.brake),
            until: settings.until,
            whole: settings.whole(),
            config: settings.config.clone(),
            ..Self::default()
        }
    }

    /// The same, knowing the last starts of instances that were removed under former supervisors.
    #[must_use]
    pub fn with_retired(mut self, retired: BTreeMap<InstanceId, Incarnation>) -> Self {
        self.retired = retired;
        self
    }

    /// Last starts of removed instances, to be kept beside the rows: a number is never handed out twice.
    #[must_use]
    pub fn retired(&self) -> &BTreeMap<InstanceId, Incarnation> {
        &self.retired
    }

    /// The configuration in force, as it was read.
    #[must_use]
    pub fn config(&self) -> Option<&ConfigRead> {
        self.config.as_ref()
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

    /// Whether nothing speaks for keeping this instance down.
    pub(super) fn wants_up(&self, instance: &Instance) -> bool {
        instance.desired != Desired::Stopped && !instance.leaving && !self.latched() && !self.ending()
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
    /// How it is run from its next start on, if that is different.
    pub(super) next_spec: Option<Box<Spec>>,
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
            next_spec: None,
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

    /// Whether it lives and does nothing, on request or stopped by a signal.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.paused() || matches!(&self.phase, Phase::Alive(alive) if alive.mode == Mode::Frozen)
    }

    /// The word for its row.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.phase {
            Phase::Down(_) | Phase::Waiting(Wait { hopeless: true, .. }) => Status::Stopped,
            Phase::Spawning { .. } | Phase::Waiting(_) => Status::Starting,
            Phase::Alive(_) if self.paused() => Status::Paused,
            Phase::Alive(alive) => match alive.mode {
                Mode::Frozen => Status::Frozen,
                Mode::Stalled => Status::Stalled,
                Mode::Working if alive.ready_at.is_none() => Status::Starting,
                Mode::Working => Status::Ready,
            },
            Phase::Stopping(_) => Status::Stopping,
            Phase::Emptying(Emptying { cause: Cause::Lost, .. }) => Status::Lost,
            Phase::Emptying(_) => Status::Stopping,
            Phase::Backoff { .. } | Phase::Held { .. } => Status::Backoff,
            Phase::Failed { .. } => Status::Failed,
        }
    }
}
