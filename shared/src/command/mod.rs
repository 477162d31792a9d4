//! `commands/<id>.json` and `<id>.reply.json`: how a person or program asks the supervisor for something.
//!
//! A command is written elsewhere and placed by `mv` (no lock, works with a full log), taken once by the supervisor it is
//! addressed to, answered by a reply placed the same way, and removed. One that is older than its `expires_at` or
//! addressed to another supervisor is answered with a refusal. A crash leaves a command that the next supervisor
//! refuses or expires, never one that is carried out twice.

mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::id::{CommandId, Incarnation};

pub use store::{CommandBox, judge};

/// How long a command stays valid.
pub const COMMAND_TTL: std::time::Duration = std::time::Duration::from_secs(10);

/// One command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Also the file's stem; may be left out by hand, the stem decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// What to do.
    #[serde(flatten)]
    pub verb: Verb,
    /// Who asks, for the audit line.
    #[serde(default = "operator")]
    pub from: String,
    /// The supervisor meant; absent = whoever reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<Incarnation>,
    /// Not carried out after this; absent = 10 s after the file's modification time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

fn operator() -> String {
    "operator".to_owned()
}

/// What can be asked. `targets` are selectors: id, role, glob, `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Verb {
    /// End everything and leave.
    Down,
    /// Start stopped or failed instances; clears their limits.
    Start {
        /// Selectors.
        targets: Vec<String>,
    },
    /// Stop and keep down.
    Stop {
        /// Selectors.
        targets: Vec<String>,
    },
    /// Replace.
    Restart {
        /// Selectors.
        targets: Vec<String>,
    },
    /// Send a signal; the desired state is unchanged.
    Kill {
        /// Selectors.
        targets: Vec<String>,
        /// Name such as `KILL` or `SIGTERM`.
        signal: String,
    },
    /// Idle (workers) or SIGSTOP (commands).
    Pause {
        /// Selectors.
        targets: Vec<String>,
    },
    /// End all instances and stay: latches stop.
    PauseAll,
    /// Undo pause; clears the stop latch when everything is meant.
    Resume {
        /// Selectors.
        targets: Vec<String>,
    },
    /// So many instances of a role.
    Scale {
        /// Role.
        role: String,
        /// Wanted number.
        count: u32,
    },
    /// Replace one after the other, each only when the one before is ready.
    Rolling {
        /// Selectors.
        targets: Vec<String>,
    },
    /// Forget what failures have cost; who was given up or waits starts.
    Reset {
        /// Selectors.
        targets: Vec<String>,
    },
    /// Read the configuration again and carry out what changed.
    Apply {
        /// Only say what would be done.
        #[serde(default)]
        dry_run: bool,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The command.
    pub id: CommandId,
    /// Whether it was carried out completely.
    pub ok: bool,
    /// Exit code for the caller (DESIGN §6).
    pub code: i32,
    /// One line for people.
    pub message: String,
    /// Per target: id → what happened.
    #[serde(default)]
    pub details: Map<String, Value>,
    /// When.
    pub at: Timestamp,
}
