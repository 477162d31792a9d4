//! `instances/<id>.json`: what one instance is doing, where it stands in the queue, and what it still owes.
//!
//! Keeps the original fields `running, current_task, iteration, last_activity, logs, instance_id, instance_role,
//! last_message_check` and adds the reader's cursor, the outbox and the hook, so that the effect of a message and the
//! position behind it are committed in **one** rename. Writer: that instance alone (the worker or its holder); no lock.
//! A crash leaves the old or the new file, whole.

mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::{Mono, Now, Timestamp};
use crate::id::{Incarnation, InstanceId, ProcessRef, Role, Seq, TaskId};
use crate::log::Cursor;
use crate::queue::Draft;

pub use store::InstanceStore;

/// Newest log lines kept in the file, as the original had them.
pub const LOG_LINES: usize = 100;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Format version, 1.
    pub schema: u64,
    /// Which instance.
    pub instance_id: InstanceId,
    /// Its role.
    pub instance_role: Role,
    /// The start this state belongs to.
    pub incarnation: Incarnation,
    /// Pid of the process that wrote this.
    pub pid: u32,
    /// Kernel boot of `pid` and of every millisecond below.
    pub boot_id: String,
    /// Whether the process considers itself at work (false after an orderly leave).
    pub running: bool,
    /// What it is doing, for people: `Waiting`, `surveying src/ (12/40)`, `Stopped`.
    pub current_task: String,
    /// Turns taken, over all incarnations.
    pub iteration: u64,
    /// Wall time of the last progress.
    pub last_activity: Timestamp,
    /// The same moment, milliseconds since boot: liveness is judged by this.
    pub progress_at: Mono,
    /// Until when the current step may be silent, milliseconds since boot.
    #[serde(default)]
    pub busy_until: Option<Mono>,
    /// When this incarnation became ready.
    #[serde(default)]
    pub ready_at: Option<Timestamp>,
    /// When the inbox was last read.
    #[serde(default)]
    pub last_message_check: Option<Timestamp>,
    /// Position behind the last handled message.
    #[serde(default)]
    pub inbox: Option<Cursor>,
    /// The last message taken and not handled yet: beyond `inbox` while something is being answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Seq>,
    /// Messages behind `inbox` that were begun and not finished, and how often: one that ends every start that touches it is
    /// given up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tries: BTreeMap<Seq, u32>,
    /// Messages decided on but not yet known to be in the queue; finished before anything else after a start.
    #[serde(default)]
    pub outbox: Vec<Draft>,
    /// Number of the last message id handed out: ids are `<instance>.<incarnation>.<k>`.
    #[serde(default)]
    pub sent: u64,
    /// The one assignment that survives death and is executed first after every start.
    #[serde(default)]
    pub hook: Option<Hook>,
    /// Whether it idles on request.
    #[serde(default)]
    pub paused: bool,
    /// The newest 100 lines of its log.
    #[serde(default)]
    pub logs: Vec<String>,
    /// Counters for people: tasks done, bytes surveyed, messages handled.
    #[serde(default)]
    pub usage: Map<String, Value>,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl InstanceState {
    /// The state of a first start that has done nothing yet.
    #[must_use]
    pub fn new(
        id: &InstanceId,
        role: &Role,
        incarnation: Incarnation,
        process: &ProcessRef,
        now: Now,
    ) -> Self {
        Self {
            schema: 1,
            instance_id: id.clone(),
            instance_role: role.clone(),
            incarnation,
            pid: process.pid,
            boot_id: process.boot_id.clone(),
            running: true,
            current_task: "Starting".to_owned(),
            iteration: 0,
            last_activity: now.wall,
            progress_at: now.mono,
            busy_until: None,
            ready_at: None,
            last_message_check: None,
            inbox: None,
            taken: None,
            tries: BTreeMap::new(),
            outbox: Vec::new(),
            sent: 0,
            hook: None,
            paused: false,
            logs: Vec::new(),
            usage: Map::new(),
            extra: Map::new(),
        }
    }

    /// Adds a line to the newest [`LOG_LINES`].
    pub fn log(&mut self, line: impl Into<String>) {
        self.logs.push(line.into());
        let surplus = self.logs.len().saturating_sub(LOG_LINES);
        self.logs.drain(..surplus);
    }
}

/// The assignment an instance holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Task on the board.
    pub task: TaskId,
    /// Sequence number of the claim: a stale one cannot complete the task.
    pub fence: u64,
    /// What it is, for people.
    pub title: String,
    /// Since when.
    pub since: Timestamp,
    /// What the team is told once the task is done: decided before the board hears of it, so that a successor who finds
    /// the task done by its predecessor says it, once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Draft>,
}

/// Last words: how a worker or holder ended, written by itself just before. `.tachi/exits/<id>.json`, replaced whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Which instance.
    pub instance_id: InstanceId,
    /// Which start.
    pub incarnation: Incarnation,
    /// The pid that ended (the command's own).
    pub pid: u32,
    /// When.
    pub at: Timestamp,
    /// Exit code, if it returned one.
    pub code: Option<i32>,
    /// Signal name, if one ended it.
    pub signal: Option<String>,
    /// Why, as the process itself knows it: `requested`, `orphaned`, `done`, `error: …`.
    pub reason: String,
    /// The last line of its output.
    #[serde(default)]
    pub last_line: Option<String>,
}
