//! Rolling restart: one instance after the other, each only once its predecessor is ready again.
//!
//! Stop, then start, because the state of an instance is its own alone. The first that does not come back ends it: a death
//! before readiness counts, whether it is tried again automatically or not. It lives in the supervisor, so the person who
//! asked may leave; it dies with the supervisor, whose successor leaves everybody as it finds them.

use std::collections::VecDeque;

use serde_json::{Map, Value};
use tachi_shared::id::{CommandId, Incarnation, InstanceId};
use tachi_shared::registry::Desired;

use super::action::Action;
use super::next::Step;
use super::phase::{Cause, Emptying, Phase};
use super::reply::{Goal, Outcome};
use super::state::{Fleet, Instance};

/// A rolling restart on its way.
#[derive(Debug, Clone)]
pub(super) struct Rolling {
    pub(super) command: CommandId,
    waiting: VecDeque<InstanceId>,
    current: Option<(InstanceId, Incarnation)>,
    details: Map<String, Value>,
}

impl Step<'_> {
    pub(super) fn rolling(&mut self, command: CommandId, targets: &[String]) {
        if self.fleet.rolling.is_some() {
            let text = "a rolling restart is under way; see `tachi events`".to_owned();
            return self.refuse(command, 1, text);
        }
        let Some((command, waiting)) = self.targets(command, targets) else { return };
        let waiting = waiting.into();
        self.fleet.rolling = Some(Rolling { command, waiting, current: None, details: Map::new() });
    }

    /// Goes on with the next one, or ends; looked at after everything that happens.
    pub(super) fn roll(&mut self) {
        while let Some(mut rolling) = self.fleet.rolling.take() {
            let outcome = match &rolling.current {
                None => Outcome::Met(String::new()),
                Some((id, above)) => look(self.fleet, id, *above),
            };
            match (outcome, rolling.current.take()) {
                (Outcome::Open, current) => {
                    rolling.current = current;
                    self.fleet.rolling = Some(rolling);
                    return;
                }
                (Outcome::Missed(text), current) => {
                    let id = current.map(|(id, _)| id.to_string()).unwrap_or_default();
                    return self.stop_rolling(rolling, 1, &id, &text);
                }
                (Outcome::Met(text), Some((id, _))) => {
                    rolling.details.insert(id.to_string(), Value::String(text));
                }
                (Outcome::Met(_), None) => {}
            }
            self.roll_on(rolling);
        }
    }

    /// Replaces the next one that runs (who is down, waits or was given up is left so), or says that all is done.
    fn roll_on(&mut self, mut rolling: Rolling) {
        let Some(id) = rolling.waiting.pop_front() else {
            let message = match rolling.details.len() {
                1 => "replaced 1 instance".to_owned(),
                count => format!("replaced {count} instances, one after the other"),
            };
            self.note("rolling", message.clone());
            return self.answer(rolling.command, message, rolling.details);
        };
        match self.fleet.get(&id) {
            Some(instance)
                if instance.occupied() && instance.desired != Desired::Stopped && !instance.leaving =>
            {
                rolling.current = Some((id.clone(), instance.incarnation));
                self.note_of(
                    &id,
                    "rolling",
                    format!("{id} is replaced, {} to follow", rolling.waiting.len()),
                );
                self.want_restart(&id);
            }
            _ => {
                rolling.details.insert(id.to_string(), Value::from("does not run and was left so"));
            }
        }
        self.fleet.rolling = Some(rolling);
    }

    /// Ends it without the rest.
    fn stop_rolling(&mut self, rolling: Rolling, code: i32, id: &str, text: &str) {
        let Rolling { command, waiting, mut details, .. } = rolling;
        details.insert(id.to_owned(), Value::from(text));
        for left in &waiting {
            details.insert(left.to_string(), Value::from("not touched"));
        }
        let message =
            format!("the rolling restart ended at {id}, which {text}; {} not touched", waiting.len());
        self.note("rolling", message.clone());
        self.last.push(Action::Reply { command, ok: false, code, message, details });
    }

    /// The supervisor leaves.
    pub(super) fn abandon_rolling(&mut self) {
        if let Some(rolling) = self.fleet.rolling.take() {
            let id = rolling.current.as_ref().map(|(id, _)| id.to_string()).unwrap_or_default();
            self.stop_rolling(rolling, 1, &id, "was under way when the supervisor left");
        }
    }
}

/// Whether the successor of start `above` is ready; a death before that ends the waiting, also if it is tried again.
fn look(fleet: &Fleet, id: &InstanceId, above: Incarnation) -> Outcome {
    let Some(instance) = fleet.get(id) else { return Outcome::Missed("left the fleet".to_owned()) };
    if instance.incarnation > above && died_early(instance, above) {
        let how = instance.last_death.as_ref().map(super::words::describe).unwrap_or_default();
        return Outcome::Missed(format!("did not come back: {how}"));
    }
    Goal::Ready { above: Some(above) }.look(fleet, id)
}

fn died_early(instance: &Instance, above: Incarnation) -> bool {
    match &instance.phase {
        Phase::Backoff { .. } | Phase::Held { .. } | Phase::Failed { .. } => true,
        Phase::Emptying(Emptying { cause, .. }) => !matches!(cause, Cause::Stop(cause) if cause.is_wish()),
        _ => instance.incarnation > above.next(),
    }
}
