//! Answers: given when the thing asked for is true, once per command.
//!
//! How long to wait is the asker's business; an answer nobody waits for any more is harmless.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tachi_shared::id::{CommandId, Incarnation, InstanceId};
use tachi_shared::registry::Desired;

use super::action::Action;
use super::next::Step;
use super::phase::{Phase, Rest};
use super::state::Fleet;

/// Commands that may wait at one time; beyond this the oldest is answered with "timed out".
const PENDING_MAX: usize = 256;
/// More names than this are counted, not listed.
const NAMES_MAX: usize = 8;
/// Exit code for a command that took too long.
const TIMED_OUT: i32 = 6;

/// A command whose wish is not true yet.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    command: CommandId,
    /// What is said once it is true: `stopped`, `started`, ….
    done: &'static str,
    open: BTreeMap<InstanceId, Goal>,
    missed: Vec<String>,
    details: Map<String, Value>,
    more: Option<(&'static str, Value)>,
}

/// What must become true of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// No process, nothing due.
    Down,
    /// Ready in an incarnation above this one.
    Ready {
        /// The one to be replaced.
        above: Option<Incarnation>,
    },
    /// Ready and not idling.
    Working,
    /// Idling, or not there.
    Idle,
    /// What it cost is forgotten: true at once.
    Cleared,
    /// It goes on as it is under new rules: true at once.
    Taken,
}

pub(super) enum Outcome {
    Open,
    Met(String),
    Missed(String),
}

impl Goal {
    /// How it stands; a goal that somebody else's wish has overtaken is missed.
    pub(super) fn look(self, fleet: &Fleet, id: &InstanceId) -> Outcome {
        let Some(instance) = fleet.get(id) else {
            return match self {
                Self::Down | Self::Idle | Self::Cleared | Self::Taken => {
                    Outcome::Met("left the fleet".to_owned())
                }
                Self::Ready { .. } | Self::Working => Outcome::Missed("left the fleet".to_owned()),
            };
        };
        let up = format!("ready as start {}", instance.incarnation);
        match (self, &instance.phase) {
            (Self::Cleared, _) => Outcome::Met("its failures are forgotten".to_owned()),
            (Self::Taken, _) => Outcome::Met("changed without a restart".to_owned()),
            (Self::Down, Phase::Down(_) | Phase::Failed { .. }) => Outcome::Met("stopped".to_owned()),
            (Self::Down, _) if fleet.wants_up(instance) => Outcome::Missed("is wanted up again".to_owned()),
            (Self::Down, _) => Outcome::Open,
            (Self::Idle, Phase::Alive(_)) if instance.paused() => Outcome::Met("paused".to_owned()),
            (Self::Idle, _) if !instance.occupied() => Outcome::Met("not running".to_owned()),
            (Self::Idle, _) if instance.desired != Desired::Paused => {
                Outcome::Missed("is not to be paused any more".to_owned())
            }
            (Self::Idle, _) => Outcome::Open,
            (Self::Working, _) if instance.desired == Desired::Paused => {
                Outcome::Missed("is to be paused again".to_owned())
            }
            (_, Phase::Waiting(wait)) if wait.hopeless => Outcome::Missed(wait.reason.clone()),
            (_, Phase::Failed { reason }) => Outcome::Missed(format!("failed: {reason}")),
            (_, Phase::Down(Rest::Finished(reason))) => Outcome::Met(reason.clone()),
            (Self::Working, Phase::Down(_)) => Outcome::Met("not running".to_owned()),
            (_, Phase::Down(rest)) => Outcome::Missed(rest.sentence().to_owned()),
            (Self::Ready { above }, _) if instance.ready() && above < Some(instance.incarnation) => {
                Outcome::Met(up)
            }
            (Self::Working, _) if instance.ready() && !instance.idle() => Outcome::Met(up),
            _ => Outcome::Open,
        }
    }
}

impl Step<'_> {
    /// Answers at once.
    pub(super) fn answer(&mut self, command: CommandId, message: String, details: Map<String, Value>) {
        self.last.push(Action::Reply { command, ok: true, code: 0, message, details });
    }

    /// Answers at once that it will not be done.
    pub(super) fn refuse(&mut self, command: CommandId, code: i32, message: String) {
        self.last.push(Action::Reply { command, ok: false, code, message, details: Map::new() });
    }

    /// Answers once every goal is met or missed, perhaps in this very step.
    pub(super) fn promise(&mut self, command: CommandId, done: &'static str, goals: Vec<(InstanceId, Goal)>) {
        self.promise_with(command, done, goals, None);
    }

    /// The same, with something for programs beside what becomes of each.
    pub(super) fn promise_with(
        &mut self,
        command: CommandId,
        done: &'static str,
        goals: Vec<(InstanceId, Goal)>,
        more: Option<(&'static str, Value)>,
    ) {
        self.moved.extend(goals.iter().map(|(id, _)| id.clone()));
        let open = goals.into_iter().collect();
        let pending = Pending { command, done, open, missed: Vec::new(), details: Map::new(), more };
        self.fleet.pending.push(pending);
        if self.fleet.pending.len() > PENDING_MAX {
            let oldest = self.fleet.pending.remove(0);
            self.give_up(oldest, TIMED_OUT, "too many commands wait".to_owned());
        }
    }

    pub(super) fn answer_pending(&mut self) {
        let mut waiting = std::mem::take(&mut self.fleet.pending);
        waiting.retain_mut(|pending| {
            for id in &self.moved {
                pending.look_at(id, self.fleet);
            }
            if pending.open.is_empty() {
                self.last.push(pending.reply());
            }
            !pending.open.is_empty()
        });
        self.fleet.pending = waiting;
    }

    /// Answers whoever still waits: the supervisor leaves.
    pub(super) fn abandon_pending(&mut self) {
        self.abandon_rolling();
        for pending in std::mem::take(&mut self.fleet.pending) {
            self.give_up(pending, 1, "the supervisor is leaving".to_owned());
        }
    }

    fn give_up(&mut self, pending: Pending, code: i32, message: String) {
        let Pending { command, details, .. } = pending;
        self.last.push(Action::Reply { command, ok: false, code, message, details });
    }
}

impl Pending {
    pub(super) fn is(&self, command: &CommandId) -> bool {
        self.command == *command
    }

    fn look_at(&mut self, id: &InstanceId, fleet: &Fleet) {
        let Some(goal) = self.open.get(id) else { return };
        let text = match goal.look(fleet, id) {
            Outcome::Open => return,
            Outcome::Met(text) => text,
            Outcome::Missed(text) => {
                self.missed.push(format!("{id} {text}"));
                text
            }
        };
        self.open.remove(id);
        self.details.insert(id.to_string(), Value::String(text));
    }

    fn reply(&mut self) -> Action {
        let ok = self.missed.is_empty();
        let names: Vec<&str> = self.details.keys().map(String::as_str).collect();
        let message = match (ok, names.len()) {
            (false, _) => self.missed.join("; "),
            (true, 0) => "nothing to do".to_owned(),
            (true, few) if few <= NAMES_MAX => format!("{} {}", self.done, names.join(", ")),
            (true, many) => format!("{} {many} instances", self.done),
        };
        let mut details = std::mem::take(&mut self.details);
        details.extend(self.more.take().map(|(key, value)| (key.to_owned(), value)));
        Action::Reply { command: self.command.clone(), ok, code: i32::from(!ok), message, details }
    }
}
