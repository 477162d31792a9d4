//! Deaths: why, what it costs, and what follows once the tree is empty.
//!
//! Classified by intent, not by signal: who we asked to end was asked, whatever killed it; everything else is unexpected.
//! The consequence is judged when the leader dies and carried out by `settle` when its tree is empty.

use std::time::Duration;

use nix::libc;
use serde_json::Value;
use tachi_shared::clock::Mono;
use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::registry::{Death, DeathKind, Kind};

use super::action::Action;
use super::brake::Likeness;
use super::event::How;
use super::next::Step;
use super::phase::{After, Cause, Emptying, Phase};
use super::restart::{SETTLED, Verdict};
use super::state::Instance;
use super::stop::KILL_AGAIN;
use super::words::{describe, seconds, signal_name};
use crate::settings::{Limit, RestartPolicy};

/// Exit code of a worker or holder that found its id held by another process.
const EXIT_HELD: i32 = 75;
/// Exit code that says the configuration is wrong: starting again cannot help.
const EXIT_CONFIG: i32 = 78;

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
    match phase {
        Phase::Stopping(stopping) => Cause::Stop(stopping.cause),
        _ => unasked(how, oom),
    }
}

/// The cause of a death that nobody asked for.
pub(super) fn unasked(how: &How, oom: bool) -> Cause {
    match how {
        How::Lost => Cause::Lost,
        How::Signal(libc::SIGKILL) if oom => Cause::Oom,
        How::Signal(signal) if FAULTS.contains(signal) => Cause::Crash,
        How::Signal(_) => Cause::External,
        How::Exit(0) => Cause::Own,
        How::Exit(_) => Cause::Crash,
    }
}

/// How it ended, as a death record has it.
pub(super) fn of_how(how: &How) -> (DeathKind, Option<i32>, Option<String>) {
    match how {
        How::Exit(code) => (DeathKind::Exit, Some(*code), None),
        How::Signal(signal) => (DeathKind::Signal, None, Some(signal_name(*signal))),
        How::Lost => (DeathKind::Lost, None, None),
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
        let (kind, code, signal) = of_how(how);
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
            Cause::Stop(cause) if cause.is_wish() => After::Start,
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
            // Somebody kills what has just come back: its own backoff is enough, the others are not to blame.
            Cause::External if ready_at.is_some() => self.after_backoff(id, healthy, &words),
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
        self.after_backoff(id, healthy, words)
    }

    fn after_backoff(&mut self, id: &InstanceId, healthy: Duration, words: &str) -> After {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else {
            return After::Fail { reason: words.to_owned() };
        };
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
