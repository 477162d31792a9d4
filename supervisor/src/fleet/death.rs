//! Deaths: why, what it costs, and what follows once the tree is empty.
//!
//! Classified by intent, not by signal: who we asked to end was asked, whatever killed it; everything else is unexpected.
//! The consequence is judged when the leader dies and carried out when its tree is empty, and then only if nobody has
//! asked for something else in between.

use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use serde_json::Value;
use tachi_shared::clock::Mono;
use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::registry::{Death, DeathKind, Desired, Kind};

use super::action::Action;
use super::brake::Likeness;
use super::event::How;
use super::next::Step;
use super::restart::{SETTLED, Verdict};
use super::state::{After, Cause, Emptying, Instance, Phase, Rest, StopCause};
use super::stop::KILL_AGAIN;
use crate::settings::{Limit, RestartPolicy};

/// Exit code of a worker or holder that found its id held by another process.
pub const EXIT_HELD: i32 = 75;
/// Exit code that says the configuration is wrong: starting again cannot help.
pub const EXIT_CONFIG: i32 = 78;

/// Signals a process brings upon itself; nobody sends them from outside.
const FAULTS: [i32; 10] = [
    libc::SIGSEGV,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPIPE,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// The name people know a signal by.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.as_str().to_owned())
}

/// A death in few words: `SIGKILL (external)`, `exit code 1 (crash)`.
#[must_use]
pub fn describe(death: &Death) -> String {
    let how = match death.kind {
        DeathKind::Exit => format!("exit code {}", death.code.unwrap_or_default()),
        DeathKind::Signal => death.signal.clone().unwrap_or_else(|| "a signal".to_owned()),
        DeathKind::SpawnError => {
            let error = death.last_line.as_deref().unwrap_or("unknown error");
            return format!("could not be started: {error}");
        }
        DeathKind::Lost => return "gone without a trace of how (lost)".to_owned(),
    };
    format!("{how} ({})", death.cause)
}

/// When the process of a phase was started and became ready.
fn life(phase: &Phase) -> Option<(Mono, Option<Mono>)> {
    match phase {
        Phase::Spawning { since } => Some((*since, None)),
        Phase::Alive(alive) => Some((alive.since, alive.ready_at)),
        Phase::Stopping(stopping) => Some((stopping.since, stopping.ready_at)),
        _ => None,
    }
}

fn classify(phase: &Phase, how: &How, oom: bool) -> Cause {
    match (phase, how) {
        (Phase::Stopping(stopping), _) => Cause::Stop(stopping.cause),
        (_, How::Lost) => Cause::Lost,
        (_, How::Signal(libc::SIGKILL)) if oom => Cause::Oom,
        (_, How::Signal(signal)) if FAULTS.contains(signal) => Cause::Crash,
        (_, How::Signal(_)) => Cause::External,
        (_, How::Exit(0)) => Cause::Own,
        (_, How::Exit(_)) => Cause::Crash,
    }
}

impl Step<'_> {
    pub(super) fn died(
        &mut self,
        id: &InstanceId,
        incarnation: Incarnation,
        how: &How,
        oom: bool,
        last_line: Option<String>,
    ) {
        let now = self.now;
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let Some((since, ready_at)) = life(&instance.phase) else { return };
        if instance.incarnation != incarnation {
            return;
        }
        let cause = classify(&instance.phase, how, oom);
        let (kind, code, signal) = match how {
            How::Exit(code) => (DeathKind::Exit, Some(*code), None),
            How::Signal(signal) => (DeathKind::Signal, None, Some(signal_name(*signal))),
            How::Lost => (DeathKind::Lost, None, None),
        };
        let uptime_s = now.mono.since(since).as_secs_f64();
        let cause_word = cause.word().to_owned();
        let death = Death { at: now.wall, kind, code, signal, cause: cause_word, uptime_s, last_line };
        let after = self.judge(id, cause, &death, ready_at);
        self.first.push(Action::KillTree { id: id.clone(), incarnation });
        self.record_death(id, death);
        let again_at = now.mono.after(KILL_AGAIN);
        self.enter(id, Phase::Emptying(Emptying { cause, after, again_at }));
    }

    /// Keeps a death in the row and in the event log.
    pub(super) fn record_death(&mut self, id: &InstanceId, death: Death) {
        let text = format!("{id} died: {}", describe(&death));
        let value = serde_json::to_value(&death).unwrap_or(Value::Null);
        let event = self.event_of(id, "died", text).with("death", value);
        self.told.push(Action::Record(Box::new(event)));
        if let Some(instance) = self.fleet.instances.get_mut(id) {
            instance.last_death = Some(death);
        }
        self.moved(id);
    }

    /// What is to follow, if nobody asks for something else meanwhile.
    fn judge(&mut self, id: &InstanceId, cause: Cause, death: &Death, ready_at: Option<Mono>) -> After {
        let Some(instance) = self.fleet.instances.get(id) else { return After::Start };
        let (policy, kind) = (instance.spec.restart, instance.spec.kind);
        let healthy = ready_at.map(|at| self.now.mono.since(at)).unwrap_or_default();
        let settled = ready_at.is_some() && healthy >= SETTLED;
        let words = describe(death);
        match cause {
            Cause::Stop(StopCause::Watchdog) => self.after_crash(id, healthy, ready_at.is_some(), &words),
            Cause::Stop(_) => After::Start,
            Cause::Own if policy != RestartPolicy::Always => {
                After::Finish { reason: "it ended with exit code 0, as it should".to_owned() }
            }
            _ if death.code == Some(EXIT_CONFIG) => {
                After::Fail { reason: format!("it says its configuration is wrong ({words})") }
            }
            _ if policy == RestartPolicy::Never => {
                After::Fail { reason: format!("{words}, and its restart policy is never") }
            }
            _ if death.code == Some(EXIT_HELD) && ready_at.is_none() => {
                self.after_obstacle(id, format!("another process holds the id {id} ({words})"))
            }
            Cause::External if settled => self.after_outside(id, &words),
            Cause::Own if settled && kind == Kind::Worker => self.after_outside(id, &words),
            _ => self.after_crash(id, healthy, ready_at.is_some(), &words),
        }
    }

    /// A crash: the group brake first, then backoff and limit.
    pub(super) fn after_crash(
        &mut self,
        id: &InstanceId,
        healthy: Duration,
        ready: bool,
        words: &str,
    ) -> After {
        let reason = words.to_owned();
        if self.brake_holds(id, Likeness { how: reason.clone(), ready }) {
            return After::Hold { reason };
        }
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return After::Fail { reason } };
        let Instance { history, spec, incarnation, .. } = instance;
        follow(history.crash(spec, *incarnation, healthy, now), now, words)
    }

    fn after_outside(&mut self, id: &InstanceId, words: &str) -> After {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return After::Start };
        follow(instance.history.outside(instance.spec.limit, now), now, words)
    }

    /// Something in our own way: a growing wait, no blame.
    pub(super) fn after_obstacle(&mut self, id: &InstanceId, reason: String) -> After {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return After::Start };
        let wait = instance.history.obstacle(&instance.spec, instance.incarnation);
        After::Later { until: self.now.mono.after(wait), reason }
    }

    /// Nothing of the tree is left: now the next thing may happen.
    pub(super) fn tree_empty(&mut self, id: &InstanceId, incarnation: Incarnation) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let Phase::Emptying(emptying) = &instance.phase else { return };
        if instance.incarnation != incarnation {
            return;
        }
        let (cause, after) = (emptying.cause, emptying.after.clone());
        let words = instance.last_death.as_ref().map(describe).unwrap_or_default();
        let reason = format!("its owner died: {words}");
        self.told.push(Action::ReleaseTasks { id: id.clone(), incarnation, reason });
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

fn follow(verdict: Verdict, now: Mono, words: &str) -> After {
    match verdict {
        Verdict::After(wait) if wait.is_zero() => After::Start,
        Verdict::After(wait) => After::Later { until: now.after(wait), reason: words.to_owned() },
        Verdict::Spent(Limit { burst, period }) => After::Fail {
            reason: format!(
                "{burst} automatic restarts within {} are used up, last death: {words}",
                seconds(period)
            ),
        },
    }
}

/// A duration for people: `0.5 s`, `12 s`.
#[must_use]
pub fn seconds(wait: Duration) -> String {
    if wait.as_secs() >= 10 || wait.subsec_millis() == 0 {
        format!("{} s", wait.as_secs())
    } else {
        format!("{:.1} s", wait.as_secs_f64())
    }
}
