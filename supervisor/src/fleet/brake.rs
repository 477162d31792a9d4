//! The group brake: many instances that die alike have one cause, and starting them all again only repeats it.
//!
//! When at least half of the fleet (and three) die alike within ten seconds, those that died so wait together. After the
//! wait one probe starts alone; once it is well the others follow, if it dies the wait doubles. Deaths by signals from
//! outside never count. One event tells about it, not one per instance.

use std::collections::BTreeMap;
use std::time::Duration;

use tachi_shared::clock::Mono;
use tachi_shared::id::InstanceId;
use tachi_shared::registry::Desired;

use super::next::Step;
use super::phase::{After, Alive, Phase};
use super::state::{Fleet, Instance};
use super::words::seconds;

/// Deaths further apart than this are not one event.
const WINDOW: Duration = Duration::from_secs(10);
/// First common wait.
const WAIT: Duration = Duration::from_secs(10);
/// Longest common wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Fewer than this are a coincidence.
const AT_LEAST: usize = 3;

/// What two deaths have in common: how, and whether before or after readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Likeness {
    /// The death in few words.
    pub(super) how: String,
    /// Whether it had become ready.
    pub(super) ready: bool,
}

/// The brake.
#[derive(Debug, Clone, Default)]
pub(super) struct Brake {
    enabled: bool,
    recent: BTreeMap<InstanceId, (Mono, Likeness)>,
    hold: Hold,
}

#[derive(Debug, Clone, Default)]
enum Hold {
    #[default]
    Free,
    Waiting {
        until: Mono,
        wait: Duration,
        alike: Likeness,
    },
    Probing {
        probe: InstanceId,
        wait: Duration,
        alike: Likeness,
    },
}

impl Brake {
    /// A free brake, or one that never takes hold.
    #[must_use]
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// Switches it on or off; who is held already is let go by the usual way.
    pub(super) fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    fn alike(&self, likeness: &Likeness) -> usize {
        self.recent.values().filter(|(_, other)| other == likeness).count()
    }
}

impl Fleet {
    /// When the next probe is due, while the brake holds.
    #[must_use]
    pub fn brake_until(&self) -> Option<Mono> {
        match &self.brake.hold {
            Hold::Waiting { until, .. } => Some(*until),
            Hold::Free | Hold::Probing { .. } => None,
        }
    }

    pub(super) fn brake_deadline(&self) -> Option<Mono> {
        match &self.brake.hold {
            Hold::Probing { probe, alike, .. } => self.proved_at(probe, alike),
            _ => self.brake_until(),
        }
    }

    /// When a living probe counts as well: at readiness, or where the others died later than that, a window after it.
    fn proved_at(&self, probe: &InstanceId, alike: &Likeness) -> Option<Mono> {
        let Phase::Alive(Alive { ready_at: Some(at), .. }) = &self.get(probe)?.phase else { return None };
        Some(if alike.ready { at.after(WINDOW) } else { *at })
    }
}

impl Step<'_> {
    pub(super) fn brake_is_on(&self) -> bool {
        !matches!(self.fleet.brake.hold, Hold::Free)
    }

    /// Takes note of a crash, and says whether its restart is the brake's business.
    pub(super) fn brake_holds(&mut self, id: &InstanceId, likeness: Likeness) -> bool {
        let now = self.now.mono;
        if !self.fleet.brake.enabled {
            return false;
        }
        match &self.fleet.brake.hold {
            Hold::Waiting { alike, .. } if *alike == likeness => return true,
            Hold::Probing { probe, wait, alike } if probe == id => {
                let (wait, alike) = ((*wait * 2).min(WAIT_MAX), alike.clone());
                let text =
                    format!("{id} tried alone and died too: {}; next try in {}", likeness.how, seconds(wait));
                self.fleet.brake.hold = Hold::Waiting { until: now.after(wait), wait, alike };
                self.note("brake", text);
                return true;
            }
            Hold::Probing { alike, .. } if *alike == likeness => return true,
            Hold::Waiting { .. } | Hold::Probing { .. } => return false,
            Hold::Free => {}
        }
        let brake = &mut self.fleet.brake;
        brake.recent.retain(|_, (at, _)| now.since(*at) < WINDOW);
        brake.recent.insert(id.clone(), (now, likeness.clone()));
        let (alike, wanted) = (brake.alike(&likeness), self.wanted());
        let trips = alike >= AT_LEAST && alike * 2 >= wanted;
        if trips {
            self.trip(likeness, alike, wanted);
        }
        trips
    }

    fn wanted(&self) -> usize {
        let wanted = |i: &&Instance| i.desired != Desired::Stopped && !i.leaving;
        self.fleet.instances.values().filter(wanted).count()
    }

    fn trip(&mut self, alike: Likeness, died: usize, wanted: usize) {
        let text = format!(
            "{died} of {wanted} instances died alike within {} ({}): all wait {}, then one tries alone",
            seconds(WINDOW),
            alike.how,
            seconds(WAIT)
        );
        self.note("brake", text);
        let reason = alike.how.clone();
        let sharers: Vec<InstanceId> = self
            .fleet
            .brake
            .recent
            .iter()
            .filter(|(_, (_, other))| *other == alike)
            .map(|(id, _)| id.clone())
            .collect();
        let until = self.now.mono.after(WAIT);
        self.fleet.brake.hold = Hold::Waiting { until, wait: WAIT, alike };
        for id in sharers {
            match self.fleet.instances.get_mut(&id).map(|instance| &mut instance.phase) {
                Some(Phase::Backoff { .. }) => self.enter(&id, Phase::Held { reason: reason.clone() }),
                Some(Phase::Emptying(emptying))
                    if matches!(emptying.after, After::Start | After::Later { .. }) =>
                {
                    emptying.after = After::Hold { reason: reason.clone() };
                }
                _ => {}
            }
        }
    }

    /// The common wait is over: the first in start order tries alone.
    pub(super) fn brake_due(&mut self) {
        let Hold::Waiting { until, wait, alike } = &mut self.fleet.brake.hold else { return };
        if self.now.mono < *until {
            return;
        }
        let (wait, alike) = (*wait, alike.clone());
        let held =
            |(id, i): (&InstanceId, &Instance)| matches!(i.phase, Phase::Held { .. }).then(|| id.clone());
        let Some(probe) = self.fleet.in_order().find_map(held) else {
            self.wait_for_trees(wait, alike);
            return;
        };
        self.note("brake", format!("{probe} tries alone"));
        self.fleet.brake.hold = Hold::Probing { probe: probe.clone(), wait, alike };
        self.replace(&probe);
    }

    /// Nobody to try yet: those who will be held are not empty yet, or there is nobody any more.
    fn wait_for_trees(&mut self, wait: Duration, alike: Likeness) {
        let coming = self.fleet.instances.values().any(
            |i| matches!(&i.phase, Phase::Emptying(emptying) if matches!(emptying.after, After::Hold { .. })),
        );
        self.fleet.brake.hold = if coming {
            Hold::Waiting { until: self.now.mono.after(super::stop::KILL_AGAIN), wait, alike }
        } else {
            Hold::Free
        };
    }

    /// Follows the probe: well, the brake is released; away for another reason, the next one tries.
    pub(super) fn watch_probe(&mut self) {
        let Hold::Probing { probe, wait, alike } = self.fleet.brake.hold.clone() else { return };
        if self.fleet.proved_at(&probe, &alike).is_some_and(|at| self.now.mono >= at) {
            self.release(&probe);
        } else if !self.fleet.get(&probe).is_some_and(Instance::occupied) {
            self.fleet.brake.hold = Hold::Waiting { until: self.now.mono, wait, alike };
            self.brake_due();
        }
    }

    fn release(&mut self, probe: &InstanceId) {
        self.fleet.brake.hold = Hold::Free;
        self.fleet.brake.recent.clear();
        self.note("brake", format!("{probe} is well: all start again"));
        for id in self.fleet.order.clone() {
            if self.fleet.get(&id).is_some_and(|i| matches!(i.phase, Phase::Held { .. })) {
                self.replace(&id);
            }
        }
    }
}
