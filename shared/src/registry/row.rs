//! Shapes of the registry; a superset of the original fields. Unknown fields survive every rewrite.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::{Mono, Timestamp};
use crate::id::{Incarnation, InstanceId, Role};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// Format version, 1.
    pub schema: u64,
    /// +1 per write.
    pub rev: u64,
    /// The supervisor that wrote last; stays after its death, so "last one died at …" can be said.
    #[serde(default)]
    pub supervisor: Option<SupervisorRow>,
    /// One row per instance, in order of first appearance.
    #[serde(default)]
    pub instances: Vec<Row>,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Registry {
    /// The row of one instance.
    #[must_use]
    pub fn row(&self, id: &InstanceId) -> Option<&Row> {
        self.instances.iter().find(|row| row.instance_id == *id)
    }

    /// The row of one instance, for changing.
    pub fn row_mut(&mut self, id: &InstanceId) -> Option<&mut Row> {
        self.instances.iter_mut().find(|row| row.instance_id == *id)
    }
}

/// The supervisor as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorRow {
    /// Its pid; null once it has left in order.
    pub pid: Option<u32>,
    /// Its kernel start time, clock ticks since boot.
    pub pid_start: Option<u64>,
    /// Its kernel boot.
    pub boot_id: String,
    /// Counts supervisors of this directory; commands are addressed to one.
    pub incarnation: Incarnation,
    /// When it took the directory.
    pub started_at: Timestamp,
    /// What it surveys or serves.
    #[serde(default)]
    pub workspace: Option<String>,
    /// How trees are contained: `subreaper`, `scan`, `cgroup`.
    #[serde(default)]
    pub containment: String,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which.
    pub instance_id: InstanceId,
    /// What for.
    pub role: Role,
    /// The command's own pid; null unless a process lives.
    pub pid: Option<u32>,
    /// Kernel start time of `pid`, clock ticks since boot.
    pub pid_start: Option<u64>,
    /// Kernel boot of `pid`.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// +1 per start.
    pub incarnation: Incarnation,
    /// What it is now.
    pub status: Status,
    /// What it should be: the only field that is an input by hand.
    pub desired: Desired,
    /// Our worker, or a command under a holder.
    #[serde(default)]
    pub kind: Kind,
    /// Start of the current or last process.
    pub started_at: Option<Timestamp>,
    /// Last proof of life copied from the instance's own file; at most every 5 s.
    pub last_heartbeat: Option<Timestamp>,
    /// Automatic and requested replacements since the row exists.
    pub restarts: u64,
    /// When the next start is due, while in `backoff`.
    pub next_restart_at: Option<Timestamp>,
    /// What thinks: `builtin`, a backend's name, or `command`.
    pub backend: String,
    /// What it says it is doing; the live value is in `instances/<id>.json`.
    pub doing: Option<String>,
    /// The last death, with its cause.
    pub last_death: Option<Death>,
    /// Why it is in this state, when that needs a sentence (`failed`, `backoff`, `stopped`).
    #[serde(default)]
    pub reason: Option<String>,
    /// Restart history that must outlive the supervisor.
    #[serde(default)]
    pub backoff: Backoff,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// States of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Spawned, not ready.
    Starting,
    /// At work or idle.
    Ready,
    /// Alive, but silent beyond the soft limit.
    Stalled,
    /// Asked to idle.
    Paused,
    /// Stopped by SIGSTOP from outside.
    Frozen,
    /// Asked to end.
    Stopping,
    /// Dead, start due later.
    Backoff,
    /// Given up; only a person starts it again.
    Failed,
    /// Down on request.
    Stopped,
    /// Gone without a trace of how.
    Lost,
}

impl Status {
    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stalled => "stalled",
            Self::Paused => "paused",
            Self::Frozen => "frozen",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }
}

/// What an instance should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// Kept running.
    #[default]
    Running,
    /// Alive but idle.
    Paused,
    /// Kept down.
    Stopped,
}

impl Desired {
    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// What kind of process an instance is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `tachi-worker`.
    #[default]
    Worker,
    /// Any command, under `tachi __hold`.
    Command,
}

/// One death, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Death {
    /// When it was noticed.
    pub at: Timestamp,
    /// How.
    pub kind: DeathKind,
    /// Exit code, for `exit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal name such as `SIGKILL`, for `signal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Why, in one word: `requested`, `restart`, `scale`, `down`, `latch`, `external`, `crash`, `oom`, `watchdog`, `spawn`, `self`, `lost`.
    pub cause: String,
    /// How long it had lived, in seconds.
    pub uptime_s: f64,
    /// The last line of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<String>,
}

/// Ways to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeathKind {
    /// Returned a code.
    Exit,
    /// Ended by a signal.
    Signal,
    /// Never began.
    SpawnError,
    /// Gone while nobody could look.
    Lost,
}

/// Restart history; times are milliseconds since boot and void on another boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Doublings in force.
    pub level: u32,
    /// Boot the stamps belong to.
    #[serde(default)]
    pub boot_id: String,
    /// Automatic restarts after crashes inside the limit's period.
    #[serde(default)]
    pub crashes: Vec<Mono>,
    /// Automatic restarts after signals from outside inside the limit's period.
    #[serde(default)]
    pub outside: Vec<Mono>,
}

impl crate::snapshot::Document for Registry {
    const SCHEMA: u64 = 1;
    const LIMIT: u64 = 64 * 1024 * 1024;

    fn empty() -> Self {
        Self { schema: Self::SCHEMA, rev: 0, supervisor: None, instances: Vec::new(), extra: Map::new() }
    }

    fn rev(&self) -> u64 {
        self.rev
    }

    fn set_rev(&mut self, rev: u64) {
        self.rev = rev;
    }

    /// Only wishes are merged, so only a change of them makes a new base.
    fn is_base(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| !wishes(self).eq(wishes(before)))
    }

    /// A wish counts whatever else was written since: what a row's `desired` was in the revision that was edited tells it
    /// from what merely stands in an old copy.
    fn merge(&mut self, base: Option<&Self>, hand: &Self) -> Option<Vec<String>> {
        for (id, desired) in super::hand_edits(base.unwrap_or(self), hand) {
            if let Some(row) = self.row_mut(&id) {
                row.desired = desired;
            }
        }
        for row in &mut self.instances {
            let theirs = hand.row(&row.instance_id).map(|row| &row.extra);
            for (name, value) in theirs.into_iter().flatten() {
                row.extra.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Some(Vec::new())
    }
}

/// Who is wanted how.
fn wishes(registry: &Registry) -> impl Iterator<Item = (&InstanceId, Desired)> {
    registry.instances.iter().map(|row| (&row.instance_id, row.desired))
}
