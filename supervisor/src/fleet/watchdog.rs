//! Silence, lateness, deadlines, memory.
//!
//! Two stages: beyond what a worker declared it is called stalled, further on it is killed. Silence from before this start,
//! while frozen, or while the supervisor itself was late (suspended, stopped, starved) never counts. Commands give no
//! beats and are not judged by silence.

use std::time::Duration;

use tachi_shared::clock::Mono;
use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::registry::Kind;

use super::next::Step;
use super::phase::{Alive, Mode, Phase, StopCause};
use super::state::{Fleet, Instance};
use super::words::seconds;
use crate::settings::{Probe, Spec};

/// A start without readiness or progress is called stalled after this,
const START_SOFT: Duration = Duration::from_secs(30);
/// and ended after this.
const START_HARD: Duration = Duration::from_secs(120);
/// While anything lives, an event comes at least this often: the loop's slow tick.
const SLOW_TICK: Duration = Duration::from_secs(5);
/// Being later than this means that others were perhaps not given time either.
const LATE: Duration = Duration::from_secs(2);

impl Step<'_> {
    /// Gives every deadline one grace period if this call comes much later than it should.
    pub(super) fn forgive_lag(&mut self) {
        let now = self.now.mono;
        let Some(before) = self.fleet.heard_at else { return };
        let expected = self.fleet.wake_at.map_or(SLOW_TICK, |at| at.since(before).min(SLOW_TICK));
        let late = now.since(before).saturating_sub(expected);
        if late <= LATE {
            return;
        }
        let mut forgiven = 0_usize;
        for instance in self.fleet.instances.values_mut() {
            match &mut instance.phase {
                Phase::Alive(alive) => {
                    alive.heard = alive.heard.max(now);
                    forgiven += 1;
                }
                Phase::Stopping(stopping) if !stopping.killed && !stopping.forgiven => {
                    stopping.forgiven = true;
                    stopping.kill_at = stopping.kill_at.max(now.after(LATE));
                    forgiven += 1;
                }
                _ => {}
            }
        }
        if forgiven > 0 {
            let text = format!("the supervisor was {} late; silence counts anew", seconds(late));
            self.note("late", text);
        }
    }

    /// Replaces who uses more memory than it may: asked to end like anybody, restarted like after a crash.
    pub(super) fn grown(&mut self, id: &InstanceId, incarnation: Incarnation, bytes: u64) {
        let Some(instance) = self.fleet.get(id).filter(|instance| instance.incarnation == incarnation) else {
            return;
        };
        let Some(max) = instance.spec.max_rss.filter(|max| bytes > *max) else { return };
        if !matches!(instance.phase, Phase::Alive(_)) {
            return;
        }
        let text = format!("{id} uses {} MiB and may use {}: it is replaced", bytes >> 20, max >> 20);
        self.note_of(id, "memory", text);
        self.stop_one(id, StopCause::Memory);
    }

    /// Judges the silence of one living instance.
    pub(super) fn watch(&mut self, id: &InstanceId) {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        let Some((soft, hard)) = limits(instance) else { return };
        let Phase::Alive(alive) = &mut instance.phase else { return };
        let silence = seconds(Duration::from_secs(now.since(alive.heard).as_secs()));
        let doing = instance.doing.as_deref().unwrap_or("starting");
        if now >= hard && unseen_sign(&instance.spec, alive).is_some() {
            let took = seconds(Duration::from_secs(now.since(alive.since).as_secs()));
            let text = format!("{id} was not ready after {took} ({doing}) and is ended");
            self.note_of(id, "watchdog", text);
            self.kill_now(id, StopCause::Watchdog);
        } else if now >= hard {
            let text = format!("{id} was silent for {silence} ({doing}) and is ended");
            self.note_of(id, "watchdog", text);
            self.kill_now(id, StopCause::Watchdog);
        } else if now >= soft && alive.mode == Mode::Working {
            alive.mode = Mode::Stalled;
            let text = format!("{id} has been silent for {silence} ({doing})");
            self.moved(id);
            self.note_of(id, "stalled", text);
        }
    }
}

/// When a living instance is called stalled, and when it is ended.
fn limits(instance: &Instance) -> Option<(Mono, Mono)> {
    let Phase::Alive(alive) = &instance.phase else { return None };
    if let Some(probe) = unseen_sign(&instance.spec, alive) {
        let end = alive.heard.after(probe.within);
        return Some((end, end));
    }
    if instance.spec.kind == Kind::Command || alive.mode == Mode::Frozen {
        return None;
    }
    let (soft, hard) = patience(instance, alive);
    let stalled = alive.busy_until.map_or(alive.heard.after(soft), |busy| busy.max(alive.heard.after(soft)));
    Some((stalled, stalled.after(hard.saturating_sub(soft))))
}

/// The sign of readiness a command has not shown yet: the time for it is its own, whatever its silence means later.
fn unseen_sign<'a>(spec: &'a Spec, alive: &Alive) -> Option<&'a Probe> {
    spec.ready.as_ref().filter(|_| alive.ready_at.is_none() && alive.mode != Mode::Frozen)
}

fn patience(instance: &Instance, alive: &Alive) -> (Duration, Duration) {
    match alive.ready_at {
        Some(_) => (instance.spec.stall_soft, instance.spec.stall_hard),
        None => (START_SOFT, START_HARD),
    }
}

impl Fleet {
    /// The nearest moment at which time alone changes something.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let instances = self.instances.values().filter_map(deadline_of);
        let refresh = self.stale.map(|wait| self.saved_at.after(wait));
        instances.chain(refresh).chain(self.brake_deadline()).min()
    }
}

fn deadline_of(instance: &Instance) -> Option<Mono> {
    match &instance.phase {
        Phase::Backoff { until, .. } => Some(*until),
        Phase::Stopping(stopping) => Some(stopping.kill_at),
        Phase::Emptying(emptying) => Some(emptying.again_at),
        Phase::Alive(alive) => {
            limits(instance).map(|(soft, hard)| if alive.mode == Mode::Stalled { hard } else { soft })
        }
        _ => None,
    }
}
