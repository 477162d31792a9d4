//! Why an instance is in its state, in one sentence, and the command to type next.
//!
//! Works from the row alone, so it answers without a supervisor too: then what the row says is what was true last.

use tachi_shared::clock::{Now, Timestamp};
use tachi_shared::registry::{Desired, Row, Status};

use super::words::{describe, seconds};

/// Whether a supervisor looks after the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervisor {
    /// One holds it.
    Alive,
    /// Nobody does.
    Gone,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// One sentence.
    pub sentence: String,
    /// What to type next.
    pub next: String,
}

/// Why this instance is in this state.
#[must_use]
pub fn why(row: &Row, supervisor: Supervisor, now: Now) -> Why {
    match supervisor {
        Supervisor::Alive => {
            Why { sentence: format!("{} {}.", row.instance_id, state(row, now)), next: advice(row) }
        }
        Supervisor::Gone => unattended(row, now),
    }
}

fn unattended(row: &Row, now: Now) -> Why {
    let id = &row.instance_id;
    let next = "tachi up".to_owned();
    let sentence = match (row.pid, row.status) {
        (Some(pid), _) => format!(
            "{id} was {} as pid {pid} when the supervisor was last seen; a new supervisor adopts it if it still lives.",
            row.status.word()
        ),
        (None, Status::Stopped | Status::Failed) => {
            format!("{id} {}, and no supervisor runs.", state(row, now))
        }
        (None, status) => format!("{id} was {} and no supervisor runs that could start it.", status.word()),
    };
    Why { sentence, next }
}

fn ago(at: Option<Timestamp>, now: Now) -> String {
    at.map_or_else(
        || "an unknown time".to_owned(),
        |at| seconds(std::time::Duration::from_secs(at.age(now.wall).as_secs())),
    )
}

/// The predicate of the sentence.
fn state(row: &Row, now: Now) -> String {
    let doing = row.doing.as_deref().filter(|doing| !doing.is_empty()).unwrap_or("nothing yet");
    let reason = row.reason.as_deref().unwrap_or("no reason is recorded");
    let died = row.last_death.as_ref().map(describe);
    match row.status {
        Status::Starting if row.pid.is_none() && row.reason.is_some() => format!("has not started: {reason}"),
        Status::Starting => match died {
            Some(died) => format!("has been starting again for {}, after {died}", ago(row.started_at, now)),
            None => format!("has been starting for {}", ago(row.started_at, now)),
        },
        Status::Ready => match died.filter(|_| row.restarts > 0) {
            Some(died) => format!(
                "has run for {}, is ready and says {doing:?}; it was replaced {} times, last after {died}",
                ago(row.started_at, now),
                row.restarts
            ),
            None => format!("has run for {}, is ready and says {doing:?}", ago(row.started_at, now)),
        },
        Status::Stalled => format!(
            "lives but has shown no progress for {}, longer than it declared, and last said {doing:?}; it is restarted if that lasts",
            ago(row.last_heartbeat, now)
        ),
        Status::Paused => "idles because a person paused it".to_owned(),
        Status::Frozen => "was stopped by a signal (SIGSTOP) that Tachi did not send".to_owned(),
        Status::Stopping => format!("is ending: {reason}"),
        Status::Backoff => match row.next_restart_at {
            Some(due) => {
                format!("waits {} for its next start: {reason}", seconds(now.wall.age(due)))
            }
            None => format!("waits for its next start: {reason}"),
        },
        Status::Failed => format!("was given up: {reason}"),
        Status::Stopped => format!("is down: {reason}"),
        Status::Lost => "is gone, and nobody could see how it ended; what it left is being ended".to_owned(),
    }
}

/// What to type next.
fn advice(row: &Row) -> String {
    let id = &row.instance_id;
    match row.status {
        Status::Starting | Status::Stopped if waits_for(row).is_some() => {
            format!("tachi why {}", waits_for(row).unwrap_or_default())
        }
        Status::Starting | Status::Ready | Status::Stopping | Status::Lost => format!("tachi logs {id}"),
        Status::Stalled => format!("tachi restart {id}"),
        Status::Paused => format!("tachi resume {id}"),
        Status::Frozen => format!("tachi kill -s CONT {id}"),
        Status::Backoff | Status::Failed => format!("tachi logs {id}; then tachi start {id}"),
        Status::Stopped if row.desired == Desired::Stopped => format!("tachi start {id}"),
        Status::Stopped if row.reason.as_deref().is_some_and(|reason| reason.contains("latch")) => {
            "tachi resume all".to_owned()
        }
        Status::Stopped => format!("tachi start {id}"),
    }
}

/// Whom it waits for, as its reason says.
fn waits_for(row: &Row) -> Option<&str> {
    let rest = row.reason.as_deref()?.strip_prefix("it waits for ")?;
    rest.split_once(',').map(|(id, _)| id)
}
