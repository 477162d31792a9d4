//! The settled values: all that travels into `effects` and `fleet`. Plain data, no logic.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tachi_shared::id::{InstanceId, Role};
use tachi_shared::log::Limits;
use tachi_shared::os::limits::ProcessLimit;
use tachi_shared::registry::Kind;

/// Everything `up` needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// State directory, absolute.
    pub state: PathBuf,
    /// What the fleet works on, absolute.
    pub workspace: PathBuf,
    /// Configuration file in force, if any.
    pub config: Option<ConfigRead>,
    /// What the team pursues, if anything.
    pub goal: Option<String>,
    /// Instances to run, in start order.
    pub specs: Vec<Spec>,
    /// Template per role for instances added later by `scale`; the first entry serves unknown roles.
    pub roles: Vec<Spec>,
    /// What happens to instances when the supervisor dies.
    pub on_supervisor_loss: OnLoss,
    /// Whether a correlated failure of many brakes all.
    pub brake: bool,
    /// Orphans end themselves after this.
    pub orphan_grace: Duration,
    /// How much is kept, and what an append survives.
    pub limits: Limits,
    /// Whether the state may lie on a network file system.
    pub allow_network_fs: bool,
    /// Whether an existing stop latch is kept.
    pub keep_stop: bool,
    /// When the run is over.
    pub until: Until,
}

impl Settings {
    /// What is said of the fleet as a whole and handed to every process at its start, by key of the configuration.
    #[must_use]
    pub fn whole(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("workspace", self.workspace.display().to_string()),
            ("goal", self.goal.clone().unwrap_or_default()),
            ("on_supervisor_loss", self.on_supervisor_loss.word().to_owned()),
            ("orphan_grace", format!("{:?}", self.orphan_grace)),
            ("[store]", format!("{:?}", self.limits)),
        ])
    }
}

/// A configuration file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRead {
    /// Where.
    pub path: PathBuf,
    /// Tells its text from another one.
    pub digest: String,
}

impl ConfigRead {
    /// This text of this file.
    #[must_use]
    pub fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), digest: digest(text) }
    }

    /// Whether the file now holds another text.
    #[must_use]
    pub fn differs_from(&self, text: &str) -> bool {
        self.digest != digest(text)
    }
}

/// FNV-1a: the same over versions and machines; nobody has a reason to deceive it.
fn digest(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step))
}

/// What happens to instances when their supervisor dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// They go on and are adopted.
    Continue,
    /// They end.
    Stop,
}

impl OnLoss {
    /// The word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Stop => "stop",
        }
    }
}

/// How one instance is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Which.
    pub id: InstanceId,
    /// What for.
    pub role: Role,
    /// Worker or command.
    pub kind: Kind,
    /// argv of a command; empty for workers.
    pub command: Vec<String>,
    /// Working directory, absolute; the workspace for workers.
    pub cwd: PathBuf,
    /// Additional environment, env files already read, later ones win.
    pub env: Vec<(String, String)>,
    /// Port given as `TACHI_PORT`.
    pub port: Option<u16>,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// Delays between automatic restarts.
    pub backoff: BackoffPolicy,
    /// Automatic restarts allowed in a period; `None` = unlimited.
    pub limit: Option<Limit>,
    /// Time between stop signal and KILL.
    pub grace: Duration,
    /// Stop signal number.
    pub stop_signal: i32,
    /// Backend name for the row: `builtin`, `command`, or a configured one.
    pub backend: String,
    /// Silence (beyond what was declared) after which it is called stalled.
    pub stall_soft: Duration,
    /// Silence after which it is restarted.
    pub stall_hard: Duration,
    /// Ids or roles that must be ready before it starts; an id wins over a role of the same name.
    pub needs: Vec<String>,
    /// When a command counts as ready; absent = as soon as it runs. Workers say so themselves.
    pub ready: Option<Probe>,
    /// What it may use.
    pub limits: Vec<ProcessLimit>,
    /// What happens to others when it is given up.
    pub on_failed: OnFailed,
}

/// How a command shows that it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is looked at.
    pub sign: Sign,
    /// Between two looks.
    pub every: Duration,
    /// It is ended if it takes longer than this.
    pub within: Duration,
}

/// A sign of readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// Something accepts connections on this port of the loopback interface; 0 = its own (`TACHI_PORT`).
    Port(u16),
    /// This command ends with exit code 0.
    Command(Vec<String>),
    /// A line of its output holds this text.
    Log(String),
}

/// What happens to others when an instance is given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailed {
    /// Nothing.
    #[default]
    Keep,
    /// Those that need it end, and start again once it is back.
    StopDependents,
    /// Everything ends, with exit code 1.
    StopRun,
}

/// When a foreground `up` ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Until {
    /// When it is stopped.
    #[default]
    Stopped,
    /// When every job has succeeded or was given up.
    AllJobsDone,
    /// When the first instance is given up.
    AnyFailed,
}

/// When an instance is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// After every end nobody asked for.
    Always,
    /// After every end nobody asked for but exit 0.
    OnFailure,
    /// Never.
    Never,
    /// Until it succeeds once.
    Job,
}

/// Delays between automatic restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Before the first.
    pub first: Duration,
    /// Before the second; doubles from there.
    pub base: Duration,
    /// Never longer.
    pub max: Duration,
}

/// Automatic restarts allowed in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub burst: u32,
    /// In which time.
    pub period: Duration,
}
