//! Taking a directory: what the registry remembers, what really lives, and what is to run become one fleet.
//!
//! The specs are the truth about who belongs to the fleet. Who lives is adopted at its own incarnation and never started
//! twice; who lives without belonging is drained, highest number first. A row that claims a process which is gone died
//! unseen: its tree is emptied before anything new starts. Who was stopped by a person stays down, also over `up`; who
//! had failed is forgiven, because an `up` is a start by a person.

use std::collections::BTreeMap;

use tachi_shared::clock::Mono;
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef};
use tachi_shared::registry::{Death, Desired, Row, Status};

use super::death::{of_how, unasked};
use super::event::{How, LastWords};
use super::phase::{After, Alive, Cause, Emptying, Mode, Phase, Rest, StopCause};
use super::restart::History;
use super::state::Instance;
use super::stop::KILL_AGAIN;
use super::{action::Action, next::Step};
use crate::settings::{RestartPolicy, Spec};

/// Whether something of the row's last start may still live: the states at rest are entered with an empty tree, and who
/// waits for its first start has none.
fn may_have_remains(row: &Row) -> bool {
    let at_rest = matches!(row.status, Status::Stopped | Status::Failed | Status::Backoff);
    // A number alone says nothing: who comes back under an old id goes on counting.
    let waits = row.status == Status::Starting && row.started_at.is_none();
    row.pid.is_some() || (!at_rest && !waits && row.incarnation > Incarnation::default())
}

/// Whether the former supervisor saw this death and only its remains are left. A stepped wall clock can make a death
/// told twice or not at all here, and nothing worse.
fn death_is_recorded(row: &Row) -> bool {
    let died_at = row.last_death.as_ref().map(|death| death.at);
    row.pid.is_none() && died_at > row.started_at
}

/// The cause of a death that nobody of us saw, as its own last words have it.
fn told(words: &LastWords) -> Cause {
    if words.requested { Cause::Stop(StopCause::Requested) } else { unasked(&words.how, false) }
}

impl Step<'_> {
    pub(super) fn began(
        &mut self,
        rows: Vec<Row>,
        alive: &[(InstanceId, Incarnation, ProcessRef)],
        words: &[LastWords],
        boot_id: String,
        latched: bool,
    ) {
        self.fleet.boot_id = boot_id;
        self.fleet.latch = latched.then(|| "it was there when the supervisor came".to_owned());
        self.save = true;
        let mut rows: BTreeMap<InstanceId, Row> =
            rows.into_iter().map(|row| (row.instance_id.clone(), row)).collect();
        for spec in self.fleet.specs.clone() {
            let row = rows.remove(&spec.id);
            let living = alive.iter().find(|(id, ..)| *id == spec.id);
            let words = words.iter().find(|words| words.id == spec.id);
            self.take_in(spec, row, living, words, true);
        }
        self.take_in_extras(rows, alive);
        // Only now everybody is known whom somebody may need.
        for id in self.fleet.order.clone() {
            if self.fleet.get(&id).is_some_and(|instance| instance.phase == Phase::Down(Rest::Waiting)) {
                self.start(&id);
            }
        }
        let adopted = alive.len();
        self.note("supervisor-up", format!("{} instances, {adopted} adopted", self.fleet.order.len()));
    }

    /// Those who are not in the specs: the living are drained, the stopped are remembered, the rest is dropped.
    fn take_in_extras(
        &mut self,
        rows: BTreeMap<InstanceId, Row>,
        alive: &[(InstanceId, Incarnation, ProcessRef)],
    ) {
        let mut extras: BTreeMap<InstanceId, Option<Row>> =
            rows.into_iter().map(|(id, row)| (id, Some(row))).collect();
        for (id, ..) in alive {
            if !self.fleet.instances.contains_key(id) {
                extras.entry(id.clone()).or_default();
            }
        }
        let mut extras: Vec<_> = extras.into_iter().collect();
        extras.sort_by_key(|(id, _)| std::cmp::Reverse(super::scale::number(id)));
        for (id, row) in extras {
            let living = alive.iter().find(|(other, ..)| *other == id);
            let kept = row.as_ref().is_some_and(|row| row.desired == Desired::Stopped);
            let remains = row.as_ref().is_some_and(may_have_remains);
            match self.fleet.template(row.as_ref().map(|row| &row.role), &id) {
                Some(spec) if living.is_some() || kept || remains => {
                    self.take_in(spec, row, living, None, kept);
                }
                _ => {
                    let last = row.map(|row| row.incarnation).unwrap_or_default();
                    self.fleet.retired.insert(id, last);
                }
            }
        }
    }

    fn take_in(
        &mut self,
        spec: Spec,
        row: Option<Row>,
        living: Option<&(InstanceId, Incarnation, ProcessRef)>,
        words: Option<&LastWords>,
        belongs: bool,
    ) {
        let id = spec.id.clone();
        let mut instance = Instance::new(spec);
        instance.incarnation = self.fleet.retired.remove(&id).unwrap_or_default();
        if let Some(row) = &row {
            self.remember(&mut instance, row);
        }
        instance.leaving = !belongs;
        self.fleet.order.push(id.clone());
        self.fleet.instances.insert(id.clone(), instance);
        match (living, row) {
            (Some((_, incarnation, process)), row) => self.adopt(&id, *incarnation, process, row.as_ref()),
            (None, Some(row)) if may_have_remains(&row) => self.died_unseen(&id, &row, words),
            (None, row) => self.begin_at_rest(&id, row.as_ref()),
        }
    }

    /// What outlives a supervisor.
    fn remember(&self, instance: &mut Instance, row: &Row) {
        instance.desired = row.desired;
        instance.incarnation = instance.incarnation.max(row.incarnation);
        instance.restarts = row.restarts;
        instance.started_at = row.started_at;
        instance.last_heartbeat = row.last_heartbeat;
        instance.doing = row.doing.clone();
        instance.last_death = row.last_death.clone();
        instance.extra = row.extra.clone();
        if row.status == Status::Failed {
            return;
        }
        instance.history = History { level: row.backoff.level, ..History::default() };
        if row.backoff.boot_id == self.fleet.boot_id {
            instance.history.crashes.clone_from(&row.backoff.crashes);
            instance.history.outside.clone_from(&row.backoff.outside);
        }
    }

    fn adopt(&mut self, id: &InstanceId, incarnation: Incarnation, process: &ProcessRef, row: Option<&Row>) {
        let now = self.now;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        let known = row.filter(|row| row.incarnation == incarnation);
        let age = known.and_then(|row| row.started_at).map(|at| at.age(now.wall)).unwrap_or_default();
        let mut alive =
            Alive::new(process.clone(), Mono::ZERO.after(now.mono.since_boot().saturating_sub(age)));
        alive.heard = now.mono;
        if let Some(status) = known.map(|row| row.status) {
            let ready = matches!(status, Status::Ready | Status::Stalled | Status::Paused | Status::Frozen);
            alive.ready_at = ready.then_some(alive.since);
            alive.paused = status == Status::Paused;
            alive.mode = if status == Status::Frozen { Mode::Frozen } else { Mode::Working };
        }
        instance.incarnation = incarnation;
        let (desired, leaving) = (instance.desired, instance.leaving);
        self.note_of(id, "adopted", format!("{id} was found alive as pid {}", process.pid));
        self.enter(id, Phase::Alive(alive));
        if leaving {
            self.stop_one(id, StopCause::Scale);
        } else if desired == Desired::Stopped {
            self.stop_one(id, StopCause::Requested);
        } else if self.fleet.latched() {
            self.stop_one(id, StopCause::Latch);
        }
    }

    /// Its row says it lives, and it does not: its last words say how it ended, or nobody knows; its remains end before
    /// anything starts.
    fn died_unseen(&mut self, id: &InstanceId, row: &Row, words: Option<&LastWords>) {
        let again_at = self.now.mono.after(KILL_AGAIN);
        let words = words.filter(|words| words.incarnation == row.incarnation);
        let mut emptying = Emptying { cause: Cause::Lost, after: After::Start, again_at };
        if let Some(words) = words {
            emptying.cause = told(words);
            emptying.after = self.after_unseen(id, emptying.cause, words);
        }
        if !death_is_recorded(row) {
            self.record_unseen(id, row, emptying.cause, words);
        }
        self.first.push(Action::KillTree { id: id.clone(), incarnation: row.incarnation });
        self.enter(id, Phase::Emptying(emptying));
    }

    /// An `up` is a start by a person, so it waits for nothing; but what has done its work is done.
    fn after_unseen(&self, id: &InstanceId, cause: Cause, words: &LastWords) -> After {
        let asks_for_more =
            self.fleet.get(id).is_none_or(|instance| instance.spec.restart == RestartPolicy::Always);
        if cause != Cause::Own || asks_for_more {
            return After::Start;
        }
        After::Finish { reason: format!("it ended with exit code 0, as it should, at {}", words.at) }
    }

    fn record_unseen(&mut self, id: &InstanceId, row: &Row, cause: Cause, words: Option<&LastWords>) {
        let at = words.map_or(self.now.wall, |words| words.at);
        let uptime_s = row.started_at.map(|start| start.age(at).as_secs_f64()).unwrap_or_default();
        let (kind, code, signal) = of_how(words.map_or(&How::Lost, |words| &words.how));
        let last_line = words.and_then(|words| words.last_line.clone());
        let cause = cause.word().to_owned();
        self.record_death(id, Death { at, kind, code, signal, cause, uptime_s, last_line });
    }

    fn begin_at_rest(&mut self, id: &InstanceId, row: Option<&Row>) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let done = row.filter(|row| {
            instance.spec.restart == RestartPolicy::Job
                && row.status == Status::Stopped
                && row.last_death.as_ref().is_some_and(|death| death.cause == Cause::Own.word())
        });
        if instance.desired == Desired::Stopped {
            self.enter(id, Phase::Down(Rest::Requested));
        } else if let Some(row) = done {
            let how = row.reason.clone().unwrap_or_else(|| "finished before".to_owned());
            self.enter(id, Phase::Down(Rest::Finished(how)));
        } else {
            self.enter(id, Phase::Down(Rest::Waiting));
        }
    }
}
