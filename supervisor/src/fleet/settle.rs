//! From an empty tree to what follows.
//!
//! What was judged at death is carried out only now, and only if nobody has asked for something else in between: a
//! requested stop, the latch and the supervisor's own end beat every restart.

use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::registry::{DeathKind, Desired};

use super::action::Action;
use super::next::Step;
use super::phase::{After, Cause, Phase, Rest, StopCause};
use super::stop::KILL_AGAIN;
use super::words::{describe, seconds};
use crate::settings::{OnFailed, Until};

impl Step<'_> {
    /// Nothing of the tree is left: now the next thing may happen.
    pub(super) fn tree_empty(&mut self, id: &InstanceId, incarnation: Incarnation) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let Phase::Emptying(emptying) = &instance.phase else { return };
        if instance.incarnation != incarnation {
            return;
        }
        let (cause, after) = (emptying.cause, emptying.after.clone());
        let words = instance.last_death.as_ref().map(describe).unwrap_or_default();
        let began = !matches!(&instance.last_death, Some(death) if death.kind == DeathKind::SpawnError);
        if began {
            let reason = format!("its owner died: {words}");
            self.told.push(Action::ReleaseTasks { id: id.clone(), incarnation, reason });
        }
        self.settle(id, after);
        if !matches!(cause, Cause::Stop(cause) if cause != StopCause::Watchdog) {
            self.announce(id, &words);
        }
    }

    /// Where an instance goes from an empty tree: a wish that came meanwhile beats what was judged.
    fn settle(&mut self, id: &InstanceId, after: After) {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let stopped = instance.desired == Desired::Stopped;
        if instance.leaving {
            self.note_of(id, "stopped", format!("{id} has left the fleet"));
            return self.remove(id);
        }
        let held_down = if stopped {
            Some(Rest::Requested)
        } else if self.fleet.ending() {
            Some(Rest::Ending)
        } else {
            self.fleet.latched().then_some(Rest::Latched)
        };
        match (held_down, after) {
            (Some(rest), After::Start | After::Later { .. } | After::Hold { .. }) => self.rest(id, rest),
            (Some(rest), _) if stopped => self.rest(id, rest),
            (_, After::Fail { reason }) => {
                self.note_of(id, "failed", format!("{id} is given up: {reason}"));
                self.enter_vacant(id, Phase::Failed { reason });
                self.failed_for_good(id);
            }
            (_, After::Finish { reason }) => self.rest(id, Rest::Finished(reason)),
            (None, After::Later { until, reason }) if until > now => {
                let wait = seconds(until.since(now));
                self.note_of(id, "restart-due", format!("{id} starts again in {wait}: {reason}"));
                self.enter_vacant(id, Phase::Backoff { until, reason });
            }
            (None, After::Hold { reason }) if self.brake_is_on() => {
                self.enter_vacant(id, Phase::Held { reason });
            }
            (None, _) => {
                self.enter_vacant(id, Phase::Down(Rest::Waiting));
                self.replace(id);
            }
        }
    }

    /// What a failure for good means for the others.
    fn failed_for_good(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let ends = self.fleet.until == Until::AnyFailed || instance.spec.on_failed == OnFailed::StopRun;
        if ends && !self.fleet.ending() {
            self.terminate(&format!("{id} was given up"));
        } else if instance.spec.on_failed == OnFailed::StopDependents {
            for dependent in self.fleet.dependents(id) {
                self.stop_one(&dependent, StopCause::Needs);
            }
        }
    }

    fn rest(&mut self, id: &InstanceId, rest: Rest) {
        self.note_of(id, "stopped", format!("{id} is down"));
        self.enter_vacant(id, Phase::Down(rest));
    }

    /// Enters a phase without a process.
    fn enter_vacant(&mut self, id: &InstanceId, phase: Phase) {
        if let Some(instance) = self.fleet.instances.get_mut(id) {
            instance.doing = None;
        }
        self.enter(id, phase);
    }

    /// Tells the team of a death nobody asked for.
    fn announce(&mut self, id: &InstanceId, words: &str) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let follows = match &instance.phase {
            Phase::Held { .. } => return,
            Phase::Spawning { .. } => "restarting now".to_owned(),
            Phase::Backoff { until, .. } => {
                format!("restarting in {}", seconds(until.since(self.now.mono)))
            }
            Phase::Failed { reason } => format!("given up: {reason}"),
            Phase::Waiting(wait) => format!("not restarting yet: {}", wait.reason),
            _ => "not restarting".to_owned(),
        };
        let crashed = !matches!(&instance.last_death, Some(death) if death.code == Some(0));
        let verb = if crashed { "crashed" } else { "ended" };
        self.told.push(Action::Announce { id: id.clone(), text: format!("{id} {verb}: {words}, {follows}") });
    }

    /// Asks again for the rest of a tree to end: something may have forked while dying.
    pub(super) fn empty_again(&mut self, id: &InstanceId) {
        let again_at = self.now.mono.after(KILL_AGAIN);
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        let Phase::Emptying(emptying) = &mut instance.phase else { return };
        emptying.again_at = again_at;
        self.first.push(Action::KillTree { id: id.clone(), incarnation: instance.incarnation });
    }
}
