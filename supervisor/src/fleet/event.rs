//! Everything that can happen to a fleet: one closed enum, produced by `effects/` only.

use tachi_shared::clock::{Mono, Timestamp};
use tachi_shared::command::Verb;
use tachi_shared::id::{CommandId, Incarnation, InstanceId, ProcessRef};
use tachi_shared::registry::{Desired, Row};

use crate::settings::Settings;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The supervisor took the directory: rows as the registry has them, and which of their processes really live.
    Began {
        /// Rows of the registry (or rebuilt from alive locks and instance files).
        rows: Vec<Row>,
        /// Instances whose process was proven alive by identity and alive lock: to be adopted, never started twice.
        alive: Vec<(InstanceId, Incarnation, ProcessRef)>,
        /// Kernel boot now.
        boot_id: String,
        /// Whether the stop file is there and is to be kept.
        latched: bool,
    },
    /// [`super::Action::Spawn`] succeeded.
    Spawned {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
        /// The process.
        process: ProcessRef,
    },
    /// [`super::Action::Spawn`] failed.
    SpawnFailed {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
        /// The system's words.
        error: String,
        /// Our machine is full (EAGAIN, ENOMEM, EMFILE): not the role's fault.
        machine_full: bool,
    },
    /// The instance says it is ready, or progressed: what its own file says now.
    Beat {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
        /// Whether it has become ready.
        ready: bool,
        /// Last progress.
        progress_at: Mono,
        /// Silence is legal until then.
        busy_until: Option<Mono>,
        /// Whether it idles on request.
        paused: bool,
        /// What it does.
        doing: String,
        /// Wall time of the last progress, for the row.
        at: Timestamp,
    },
    /// The leader is gone (reaped, or proven gone if adopted).
    Died {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
        /// How.
        how: How,
        /// The kernel's OOM counter moved.
        oom: bool,
        /// Last line of output.
        last_line: Option<String>,
    },
    /// Nothing of the tree is left.
    TreeEmpty {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
    },
    /// Somebody outside sent SIGSTOP (true) or SIGCONT (false).
    Frozen {
        /// Which.
        id: InstanceId,
        /// Stopped now?
        frozen: bool,
    },
    /// A command file arrived (already checked for address and expiry).
    Command {
        /// For the reply.
        command: CommandId,
        /// What is asked.
        verb: Verb,
        /// By whom.
        from: String,
    },
    /// [`super::Action::Reread`] is done.
    Reread {
        /// For the reply.
        command: CommandId,
        /// Whether nothing is to be done.
        dry_run: bool,
        /// The settings, or why the configuration cannot be taken.
        outcome: Result<Box<Settings>, String>,
    },
    /// `desired` was edited by hand in the registry.
    Edited {
        /// Which.
        id: InstanceId,
        /// What it should be.
        desired: Desired,
    },
    /// The stop file appeared or vanished.
    StopFile {
        /// Present?
        present: bool,
        /// Its content: who and why.
        text: String,
    },
    /// SIGTERM, Ctrl-C, closed terminal: the first is graceful, the second kills now.
    Terminate {
        /// Signal name or `command`.
        why: String,
    },
    /// SIGQUIT: leave without touching the instances.
    Leave,
    /// A deadline asked for with [`super::Action::WakeAt`] may have passed, or the slow tick.
    Tick,
}

/// How a leader ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Returned a code.
    Exit(i32),
    /// Ended by a signal number.
    Signal(i32),
    /// Gone, and nobody could see how.
    Lost,
}
