//! Everything the fleet's mind can ask for: carried out by `effects/`, in order, each idempotent.
//!
//! One list is ordered so: the registry first where an intent must be on disk before a signal, then spawns, signals and
//! kills, then what is told (board, queue, events), the registry, and last what must not be seen before it: rings, replies,
//! exit. A list ends with [`Action::WakeAt`] if any deadline exists. `supervisor-up` and `supervisor-down` are recorded here too.

use serde_json::{Map, Value};
use tachi_shared::clock::Mono;
use tachi_shared::event;
use tachi_shared::id::{CommandId, Incarnation, InstanceId};

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start the process of this incarnation. Answered by `Spawned` or `SpawnFailed`.
    Spawn {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
    },
    /// Signal the leader through its pidfd.
    Signal {
        /// Which.
        id: InstanceId,
        /// Signal number.
        signal: i32,
    },
    /// KILL every process of the tree, leader included. Answered by `TreeEmpty` once nothing is left. Asked again every
    /// second until answered, and also after the leader's own death, when usually nothing is left and the answer is at once.
    KillTree {
        /// Which.
        id: InstanceId,
        /// Which start.
        incarnation: Incarnation,
    },
    /// Ring the instance's doorbell: its row has changed. Follows [`Action::SaveRegistry`]; to be held back while that
    /// write is pending, or the instance reads the old row.
    Ring {
        /// Which.
        id: InstanceId,
    },
    /// Free the board's tasks this dead owner held.
    ReleaseTasks {
        /// Which.
        id: InstanceId,
        /// Up to which start.
        incarnation: Incarnation,
        /// Sentence for the board.
        reason: String,
    },
    /// Tell the team through the queue (presence).
    Announce {
        /// About whom.
        id: InstanceId,
        /// Sentence.
        text: String,
    },
    /// Append to the event log (kept and retried if the lock cannot be had).
    Record(Box<event::Event>),
    /// The rows changed: write the registry soon (kept and retried if the lock cannot be had).
    SaveRegistry,
    /// Answer a command.
    Reply {
        /// Which.
        command: CommandId,
        /// Whether it was carried out completely.
        ok: bool,
        /// Exit code for the caller.
        code: i32,
        /// One line.
        message: String,
        /// Per target.
        details: Map<String, Value>,
    },
    /// Read and settle the configuration again, off the loop. Answered by `Reread`.
    Reread {
        /// For the reply.
        command: CommandId,
        /// Whether nothing is to be done.
        dry_run: bool,
    },
    /// Write the stop file with this text.
    LatchStop(String),
    /// Remove the stop file.
    ClearStop,
    /// Deliver `Tick` not later than this.
    WakeAt(Mono),
    /// Leave the loop with this exit code.
    Exit(u8),
}
