//! What people ask for: commands, and `desired` edited by hand, which is the same without an answer.

use std::str::FromStr;

use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use tachi_shared::command::Verb;
use tachi_shared::id::{CommandId, InstanceId};
use tachi_shared::registry::{Desired, Registry, select};
use tachi_shared::snapshot::Document as _;

use super::action::Action;
use super::next::Step;
use super::phase::{After, Phase, StopCause};
use super::reply::Goal;
use super::words::signal_name;

/// Exit code for a selector that means nobody.
const NOBODY: i32 = 4;

impl Step<'_> {
    pub(super) fn command(&mut self, command: CommandId, verb: Verb, from: &str) {
        let rolls = self.fleet.rolling.as_ref().is_some_and(|rolling| rolling.command == command);
        if rolls || self.fleet.pending.iter().any(|pending| pending.is(&command)) {
            return;
        }
        self.note("command", format!("{} (from {from})", words(&verb)));
        if let Some((code, reason)) = self.hindrance(&verb) {
            return self.refuse(command, code, reason);
        }
        match verb {
            Verb::Down => {
                let count = self.fleet.order.len();
                self.answer(command, format!("ending {count} instances"), Map::new());
                if !self.fleet.ending() {
                    self.terminate("command");
                }
            }
            Verb::PauseAll => self.pause_all(command, from),
            Verb::Scale { role, count } => self.scale(command, &role, count),
            Verb::Kill { targets, signal } => self.kill(command, &targets, &signal),
            Verb::Resume { targets } => self.resume(command, &targets),
            Verb::Start { targets } => self.each(command, "started", &targets, |step, id| {
                step.want_start(id);
                Goal::Ready { above: None }
            }),
            Verb::Stop { targets } => self.stop(command, &targets),
            Verb::Restart { targets } => self.each(command, "restarted", &targets, |step, id| {
                let above = step.fleet.get(id).map(|instance| instance.incarnation);
                step.want_restart(id);
                Goal::Ready { above }
            }),
            Verb::Pause { targets } => self.each(command, "paused", &targets, |step, id| {
                step.want_pause(id);
                Goal::Idle
            }),
            Verb::Reset { targets } => self.each(command, "reset", &targets, Self::reset),
            Verb::Rolling { targets } => self.rolling(command, &targets),
            // Answered when the configuration has been read.
            Verb::Apply { dry_run } => self.told.push(Action::Reread { command, dry_run }),
        }
    }

    /// Why nothing of this kind can be done now.
    fn hindrance(&self, verb: &Verb) -> Option<(i32, String)> {
        if self.fleet.ending() && !matches!(verb, Verb::Down | Verb::Kill { .. }) {
            return Some((1, "the supervisor is leaving".to_owned()));
        }
        let starts = matches!(
            verb,
            Verb::Start { .. } | Verb::Restart { .. } | Verb::Scale { .. } | Verb::Rolling { .. }
        );
        let text = self.fleet.latch.as_ref().filter(|_| starts)?;
        Some((1, format!("stop is latched ({text}); `tachi resume all` clears it")))
    }

    /// All are to be down before the first is asked, so that who is needed by another target waits for that one.
    fn stop(&mut self, command: CommandId, targets: &[String]) {
        let Some((command, ids)) = self.targets(command, targets) else { return };
        for id in &ids {
            if let Some(instance) = self.fleet.instances.get_mut(id) {
                instance.desired = Desired::Stopped;
            }
        }
        self.save_first();
        ids.iter().for_each(|id| self.stop_one(id, StopCause::Requested));
        self.promise(command, "stopped", ids.into_iter().map(|id| (id, Goal::Down)).collect());
    }

    /// Forgets what failures have cost. Who is down because of them starts; who runs, or was stopped by a person, stays so.
    fn reset(&mut self, id: &InstanceId) -> Goal {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return Goal::Cleared };
        instance.history.clear();
        let held = matches!(
            instance.phase,
            Phase::Failed { .. } | Phase::Backoff { .. } | Phase::Held { .. } | Phase::Emptying(_)
        );
        self.moved(id);
        let up = self.fleet.get(id).is_some_and(|instance| held && self.fleet.wants_up(instance));
        if up {
            self.want_start(id);
            Goal::Ready { above: None }
        } else {
            Goal::Cleared
        }
    }

    /// Does one thing to every target, and answers when all their goals are met.
    fn each(
        &mut self,
        command: CommandId,
        done: &'static str,
        targets: &[String],
        mut act: impl FnMut(&mut Self, &InstanceId) -> Goal,
    ) {
        let Some((command, ids)) = self.targets(command, targets) else { return };
        let goals = ids.into_iter().map(|id| (id.clone(), act(self, &id))).collect();
        self.promise(command, done, goals);
    }

    /// The instances meant, or an answer naming the selectors that mean nobody, and who there is.
    pub(super) fn targets(
        &mut self,
        command: CommandId,
        targets: &[String],
    ) -> Option<(CommandId, Vec<InstanceId>)> {
        let text = match self.select(targets) {
            Ok(_) if targets.is_empty() => "no instance was named".to_owned(),
            Ok(ids) => return Some((command, ids)),
            Err(error) => match error.hint() {
                Some(hint) => format!("{error} ({hint})"),
                None => error.to_string(),
            },
        };
        self.refuse(command, NOBODY, text);
        None
    }

    /// The instances meant, of those who stay.
    fn select(&self, targets: &[String]) -> tachi_shared::Result<Vec<InstanceId>> {
        let mut registry = Registry::empty();
        registry.instances = super::rows(self.fleet, self.now);
        registry.instances.retain(|row| self.fleet.get(&row.instance_id).is_some_and(|i| !i.leaving));
        select(&registry, targets)
    }

    fn kill(&mut self, command: CommandId, targets: &[String], signal: &str) {
        let Some(signal) = parse_signal(signal) else {
            return self.refuse(
                command,
                2,
                format!("there is no signal {signal:?}; try KILL, TERM, STOP, CONT"),
            );
        };
        let Some((command, ids)) = self.targets(command, targets) else { return };
        let mut details = Map::new();
        let mut sent = 0_usize;
        for id in ids {
            let lives = self.fleet.get(&id).is_some_and(|instance| instance.process().is_some());
            let text = if lives {
                sent += 1;
                self.first.push(Action::Signal { id: id.clone(), signal });
                format!("sent {}", signal_name(signal))
            } else {
                "not running".to_owned()
            };
            details.insert(id.to_string(), Value::String(text));
        }
        let (ok, code) = if sent > 0 { (true, 0) } else { (false, 1) };
        let message = format!("sent {} to {sent} of {} instances", signal_name(signal), details.len());
        self.last.push(Action::Reply { command, ok, code, message, details });
    }

    fn pause_all(&mut self, command: CommandId, from: &str) {
        let text = format!("pause --all, by {from}");
        self.first.push(Action::LatchStop(text.clone()));
        self.latch(text);
        let goals = self.fleet.order.iter().map(|id| (id.clone(), Goal::Down)).collect();
        self.promise(command, "stopped", goals);
    }

    fn resume(&mut self, command: CommandId, targets: &[String]) {
        let everything = targets.iter().any(|target| target == "all");
        if self.fleet.latched() && everything {
            self.told.push(Action::ClearStop);
            self.unlatch();
        } else if let Some(text) = &self.fleet.latch {
            let text = format!("stop is latched ({text}); `tachi resume all` clears it");
            return self.refuse(command, 1, text);
        }
        self.each(command, "resumed", targets, |step, id| {
            step.want_resume(id);
            Goal::Working
        });
    }

    pub(super) fn edited(&mut self, id: &InstanceId, desired: Desired) {
        let Some(instance) = self.fleet.get(id) else { return };
        let was = instance.desired;
        if was == desired {
            return;
        }
        self.note_of(id, "command", format!("desired of {id} was edited by hand"));
        match desired {
            Desired::Stopped => self.want_stop(id),
            Desired::Paused => self.want_pause(id),
            Desired::Running if was == Desired::Paused => self.want_resume(id),
            Desired::Running => self.want_start(id),
        }
    }

    fn want_stop(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        instance.desired = Desired::Stopped;
        self.save_first();
        self.stop_one(id, StopCause::Requested);
    }

    /// A start by a person: it forgives everything and waits for nothing.
    pub(super) fn want_start(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        instance.history.clear();
        if instance.desired == Desired::Stopped {
            instance.desired = Desired::Running;
        }
        if let Phase::Emptying(emptying) = &mut instance.phase {
            emptying.after = After::Start;
        }
        self.moved(id);
        self.start(id);
    }

    pub(super) fn want_restart(&mut self, id: &InstanceId) {
        let lives = self.fleet.get(id).is_some_and(|instance| {
            matches!(instance.phase, Phase::Spawning { .. } | Phase::Alive(_) | Phase::Stopping(_))
        });
        self.want_start(id);
        if lives {
            self.stop_one(id, StopCause::Restart);
        }
    }

    fn want_pause(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        let was = instance.desired;
        instance.desired = Desired::Paused;
        if was == Desired::Stopped {
            self.want_start(id);
        }
        self.tell_pause(id);
    }

    fn want_resume(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        if instance.desired == Desired::Paused {
            instance.desired = Desired::Running;
        }
        self.tell_resume(id);
    }
}

/// A signal by name, with or without `SIG`, or by number.
fn parse_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    Signal::from_str(&name).ok().map(|signal| signal as i32)
}

/// A command as a person would type it.
fn words(verb: &Verb) -> String {
    match verb {
        Verb::Down => "down".to_owned(),
        Verb::PauseAll => "pause --all".to_owned(),
        Verb::Start { targets } => format!("start {}", targets.join(" ")),
        Verb::Stop { targets } => format!("stop {}", targets.join(" ")),
        Verb::Restart { targets } => format!("restart {}", targets.join(" ")),
        Verb::Kill { targets, signal } => format!("kill -s {signal} {}", targets.join(" ")),
        Verb::Pause { targets } => format!("pause {}", targets.join(" ")),
        Verb::Resume { targets } => format!("resume {}", targets.join(" ")),
        Verb::Scale { role, count } => format!("scale {role}={count}"),
        Verb::Rolling { targets } => format!("rolling {}", targets.join(" ")),
        Verb::Reset { targets } => format!("reset {}", targets.join(" ")),
        Verb::Apply { dry_run: true } => "apply --dry-run".to_owned(),
        Verb::Apply { dry_run: false } => "apply".to_owned(),
    }
}
