//! The one function between what happens and what is done.
//!
//! A [`Step`] is one call: it changes the fleet in place and collects actions in four lists, joined in the order promised
//! in `action`. Whatever an event says about another incarnation than the current one is old news and ignored.

use std::collections::BTreeSet;
use std::time::Duration;

use tachi_shared::clock::Now;
use tachi_shared::event;
use tachi_shared::id::InstanceId;

use super::action::Action;
use super::event::Event;
use super::phase::{Phase, Rest};
use super::state::{Ending, Fleet, Instance};
use crate::settings::{RestartPolicy, Until};

/// `doing` and heartbeats reach the registry at most this often; changes of state reach it at once.
pub(super) const REFRESH: Duration = Duration::from_secs(5);
/// And when nothing changed but that they live.
pub(super) const REFRESH_IDLE: Duration = Duration::from_secs(60);

/// Takes one event at one moment: changes `fleet` in place and says what to do, in order.
///
/// Total: there is no event that a state refuses; what no longer applies changes nothing.
#[must_use]
pub fn next(fleet: &mut Fleet, event: Event, now: Now) -> Vec<Action> {
    let mut step = Step::new(fleet, now);
    step.forgive_lag();
    step.take(event);
    step.due();
    step.finish()
}

/// One call of [`next`].
pub(super) struct Step<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) now: Now,
    /// Spawns, signals, kills, and the intents that must precede them.
    pub(super) first: Vec<Action>,
    /// What is told: board, queue, events.
    pub(super) told: Vec<Action>,
    /// What must follow the registry.
    pub(super) last: Vec<Action>,
    /// Whether a row changed.
    pub(super) save: bool,
    /// Instances whose phase, readiness or pause changed.
    pub(super) moved: BTreeSet<InstanceId>,
}

impl<'a> Step<'a> {
    fn new(fleet: &'a mut Fleet, now: Now) -> Self {
        let (first, told, last) = (Vec::new(), Vec::new(), Vec::new());
        Self { fleet, now, first, told, last, save: false, moved: BTreeSet::new() }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Began { rows, alive, words, boot_id, latched } => {
                self.began(rows, &alive, &words, boot_id, latched);
            }
            Event::Spawned { id, incarnation, process } => self.spawned(&id, incarnation, process),
            Event::SpawnFailed { id, incarnation, error, machine_full } => {
                self.spawn_failed(&id, incarnation, error, machine_full);
            }
            Event::Beat { id, incarnation, ready, progress_at, busy_until, paused, doing, at } => {
                let beat = super::start::Beat { ready, progress_at, busy_until, paused, doing, at };
                self.beat(&id, incarnation, beat);
            }
            Event::Died { id, incarnation, how, oom, last_line } => {
                self.died(&id, incarnation, &how, oom, last_line);
            }
            Event::TreeEmpty { id, incarnation } => self.tree_empty(&id, incarnation),
            Event::Grown { id, incarnation, bytes } => self.grown(&id, incarnation, bytes),
            Event::Frozen { id, frozen } => self.frozen(&id, frozen),
            Event::Command { command, verb, from } => self.command(command, verb, &from),
            Event::Reread { command, dry_run, outcome } => self.reread(command, dry_run, outcome),
            Event::Edited { id, desired } => self.edited(&id, desired),
            Event::StopFile { present: true, text } => self.latch(text),
            Event::StopFile { present: false, .. } => self.unlatch(),
            Event::Terminate { why } => self.terminate(&why),
            Event::Leave => self.leave(),
            Event::Tick => {}
        }
    }

    /// What time alone brings; looked at only once the nearest deadline has passed.
    fn due(&mut self) {
        if self.fleet.wake_at.is_some_and(|at| self.now.mono < at) {
            return;
        }
        for id in self.fleet.order.clone() {
            self.due_for(&id);
        }
        self.brake_due();
        if self.fleet.stale.is_some_and(|wait| self.now.mono >= self.fleet.saved_at.after(wait)) {
            self.save = true;
        }
    }

    fn due_for(&mut self, id: &InstanceId) {
        match self.fleet.instances.get(id).map(|instance| &instance.phase) {
            Some(Phase::Backoff { until, .. }) if self.now.mono >= *until => self.replace(id),
            Some(Phase::Stopping(stopping)) if self.now.mono >= stopping.kill_at => self.kill_overdue(id),
            Some(Phase::Emptying(emptying)) if self.now.mono >= emptying.again_at => self.empty_again(id),
            Some(Phase::Alive(_)) => self.watch(id),
            _ => {}
        }
    }

    fn finish(mut self) -> Vec<Action> {
        self.watch_probe();
        // Before the needs: who waits for all of a role is not started beside the next one that is replaced.
        self.roll();
        self.look_at_needs();
        self.end_if_over();
        self.answer_pending();
        self.leave_when_empty();
        let exits = self.last.iter().any(|action| matches!(action, Action::Exit(_)));
        let mut actions = self.first;
        let saved_early = actions.contains(&Action::SaveRegistry);
        actions.append(&mut self.told);
        if self.save && !saved_early {
            actions.push(Action::SaveRegistry);
        }
        if self.save || saved_early {
            self.fleet.saved_at = self.now.mono;
            self.fleet.stale = None;
        }
        actions.append(&mut self.last);
        self.fleet.heard_at = Some(self.now.mono);
        self.fleet.wake_at = if exits { None } else { self.fleet.deadline() };
        actions.extend(self.fleet.wake_at.map(Action::WakeAt));
        actions
    }

    /// Ends the run when what it was for is over.
    fn end_if_over(&mut self) {
        if self.fleet.until != Until::AllJobsDone || self.fleet.ending() || self.moved.is_empty() {
            return;
        }
        let mut jobs =
            self.fleet.instances.values().filter(|i| i.spec.restart == RestartPolicy::Job).peekable();
        let over = |job: &Instance| {
            matches!(job.phase, Phase::Failed { .. } | Phase::Down(Rest::Finished(_) | Rest::Requested))
        };
        if jobs.peek().is_some() && jobs.all(over) {
            self.terminate("all jobs are done");
        }
    }

    /// Ends the loop once the supervisor was told to leave and nothing lives any more.
    fn leave_when_empty(&mut self) {
        if self.fleet.ending == Ending::No || self.fleet.instances.values().any(Instance::occupied) {
            return;
        }
        let failed =
            self.fleet.instances.values().any(|instance| matches!(instance.phase, Phase::Failed { .. }));
        self.abandon_pending();
        self.note("supervisor-down", "everything has ended");
        self.save = true;
        self.last.push(Action::Exit(u8::from(failed)));
    }

    /// Leaves without touching the instances.
    fn leave(&mut self) {
        self.abandon_pending();
        self.note("supervisor-down", "left the instances running");
        self.save = true;
        self.last.push(Action::Exit(0));
    }

    /// Moves an instance into another phase; the only way to do so.
    pub(super) fn enter(&mut self, id: &InstanceId, phase: Phase) {
        if let Some(instance) = self.fleet.instances.get_mut(id) {
            if matches!(phase, Phase::Waiting(_)) {
                self.fleet.waiting.insert(id.clone());
            } else {
                self.fleet.waiting.remove(id);
            }
            instance.phase = phase;
            self.moved(id);
        }
    }

    /// The instance's row changed, and perhaps what somebody waits for.
    pub(super) fn moved(&mut self, id: &InstanceId) {
        self.moved.insert(id.clone());
        self.save = true;
    }

    /// Asks for the registry before whatever signal follows: intent first.
    pub(super) fn save_first(&mut self) {
        if !self.first.contains(&Action::SaveRegistry) {
            self.first.push(Action::SaveRegistry);
        }
    }

    /// Records something about the whole fleet.
    pub(super) fn note(&mut self, kind: &str, text: impl Into<String>) {
        self.told.push(Action::Record(Box::new(event::Event::new(self.now.wall, kind, text))));
    }

    /// Records something about the current start of one instance.
    pub(super) fn note_of(&mut self, id: &InstanceId, kind: &str, text: impl Into<String>) {
        let event = self.event_of(id, kind, text);
        self.told.push(Action::Record(Box::new(event)));
    }

    /// An event about the current start of one instance, to be completed.
    pub(super) fn event_of(&self, id: &InstanceId, kind: &str, text: impl Into<String>) -> event::Event {
        let incarnation =
            self.fleet.instances.get(id).map(|instance| instance.incarnation).unwrap_or_default();
        event::Event::new(self.now.wall, kind, text).of(id, incarnation)
    }
}
