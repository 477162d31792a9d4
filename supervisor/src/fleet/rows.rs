//! The registry's rows as the fleet is now.

use tachi_shared::clock::Now;
use tachi_shared::registry::{Backoff, Row};

use super::phase::{Cause, Phase, Rest, StopCause};
use super::state::{Fleet, Instance};
use super::words::seconds;

/// One row per instance, in start order.
#[must_use]
pub fn rows(fleet: &Fleet, now: Now) -> Vec<Row> {
    fleet.in_order().map(|(_, instance)| row(fleet, instance, now)).collect()
}

/// `4 of 5 ready`: of those that are to run.
#[must_use]
pub fn readiness(fleet: &Fleet) -> String {
    let wanted = fleet.instances.values().filter(|instance| fleet.wants_up(instance));
    let (ready, all) = wanted.fold((0, 0), |(ready, all), i| (ready + usize::from(i.ready()), all + 1));
    match (fleet.ending(), &fleet.latch) {
        (true, _) => "ending".to_owned(),
        (false, Some(text)) => format!("stop is latched: {text}"),
        (false, None) => format!("{ready} of {all} ready"),
    }
}

fn row(fleet: &Fleet, instance: &Instance, now: Now) -> Row {
    let process = instance.process();
    let due = match &instance.phase {
        Phase::Backoff { until, .. } => Some(*until),
        Phase::Held { .. } => fleet.brake_until(),
        _ => None,
    };
    Row {
        instance_id: instance.spec.id.clone(),
        role: instance.spec.role.clone(),
        pid: process.map(|process| process.pid),
        pid_start: process.map(|process| process.pid_start),
        boot_id: process.map(|process| process.boot_id.clone()),
        incarnation: instance.incarnation,
        status: instance.status(),
        desired: instance.desired,
        kind: instance.spec.kind,
        started_at: instance.started_at,
        last_heartbeat: instance.last_heartbeat,
        restarts: instance.restarts,
        next_restart_at: due.map(|due| now.wall.after(due.since(now.mono))),
        backend: instance.spec.backend.clone(),
        doing: instance.doing.clone(),
        last_death: instance.last_death.clone(),
        reason: reason(fleet, instance),
        backoff: Backoff {
            level: instance.history.level,
            boot_id: fleet.boot_id.clone(),
            crashes: instance.history.crashes.clone(),
            outside: instance.history.outside.clone(),
        },
        extra: instance.extra.clone(),
    }
}

/// The sentence for states that need one.
fn reason(fleet: &Fleet, instance: &Instance) -> Option<String> {
    match &instance.phase {
        Phase::Down(Rest::Latched) => {
            let text = fleet.latch.as_deref().unwrap_or("just cleared");
            Some(format!("the stop latch holds it down: {text}"))
        }
        Phase::Down(rest) => Some(rest.sentence().to_owned()),
        Phase::Backoff { reason, .. } => Some(format!("it died: {reason}")),
        Phase::Held { reason } => {
            Some(format!("many instances died alike ({reason}); one is tried alone before all start again"))
        }
        Phase::Failed { reason } => Some(reason.clone()),
        Phase::Stopping(stopping) => Some(wish(stopping.cause, instance)),
        Phase::Emptying(emptying) => match emptying.cause {
            Cause::Stop(cause) => Some(wish(cause, instance)),
            _ => Some("it died; the rest of its processes are being ended first".to_owned()),
        },
        Phase::Waiting(wait) => Some(wait.reason.clone()),
        Phase::Spawning { .. } | Phase::Alive(_) => fleet.held_up(instance),
    }
}

fn wish(cause: StopCause, instance: &Instance) -> String {
    let grace = seconds(instance.spec.grace);
    match cause {
        StopCause::Requested => format!("a person stopped it; it is killed after {grace}"),
        StopCause::Restart => format!("it is being replaced; it is killed after {grace}"),
        StopCause::Scale => format!("fewer of its role are wanted; it is killed after {grace}"),
        StopCause::Down => format!("the supervisor is leaving; it is killed after {grace}"),
        StopCause::Latch => format!("stop is latched; it is killed after {grace}"),
        StopCause::Needs => format!("what it needs was given up; it is killed after {grace}"),
        StopCause::Watchdog => "it was silent for too long and is being killed".to_owned(),
    }
}

impl Rest {
    /// Why it is down, for people.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Waiting => "it was never started",
            Self::Requested => "a person stopped it",
            Self::Finished(how) => how,
            Self::Latched => "the stop latch holds it down",
            Self::Ending => "the supervisor ended it when leaving",
        }
    }
}
