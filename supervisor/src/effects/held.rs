//! What a holder writes down about its command: state file and last words.
//!
//! `instances/<id>.json` and `.tachi/exits/<id>.json` have the same shapes as a worker's; the pid in both is the command's
//! own. Written by the holder alone. Failing to write (a full disk) never stops the command.
//!
//! Nothing in here is synced: a sync stands between a command's death and its next start. A command owes nobody anything
//! through these files, both are void under another boot id, and a power loss ends the boot. `kill -9` costs nothing.

use std::path::PathBuf;
use std::time::Duration;

use tachi_shared::clock::{Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef, Role};
use tachi_shared::instance::{ExitRecord, InstanceState, InstanceStore};
use tachi_shared::os::signal;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

/// A command is not asked for signs of life: it may be silent this long.
const SILENT: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Grace when nobody said otherwise.
const GRACE: Duration = Duration::from_secs(10);
/// Orphans end themselves after this when nobody said otherwise.
const ORPHAN_GRACE: Duration = Duration::from_secs(600);

/// What the supervisor told its holder through the environment.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) state: PathBuf,
    pub(super) role: Role,
    pub(super) incarnation: Incarnation,
    pub(super) stop_signal: i32,
    pub(super) grace: Duration,
    pub(super) orphan_grace: Duration,
    pub(super) stop_on_loss: bool,
}

impl Given {
    /// Reads the environment.
    pub(super) fn read(id: &InstanceId) -> tachi_shared::Result<Self> {
        let text = |name: &str| std::env::var(name).ok();
        let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
        let state =
            text("TACHI_STATE_DIR").map(PathBuf::from).ok_or_else(|| tachi_shared::Error::NotAStateDir {
                path: PathBuf::new(),
                reason: "TACHI_STATE_DIR is not set: this is run by the supervisor only".to_owned(),
            })?;
        Ok(Self {
            state,
            role: Role::new(&text("TACHI_INSTANCE_ROLE").unwrap_or_else(|| id.to_string()))?,
            incarnation: Incarnation(
                number("TACHI_INCARNATION").and_then(|n| n.try_into().ok()).unwrap_or(1),
            ),
            stop_signal: text("TACHI_STOP_SIGNAL").as_deref().and_then(signal::parse).unwrap_or(15),
            grace: number("TACHI_GRACE_MS").map_or(GRACE, Duration::from_millis),
            orphan_grace: number("TACHI_ORPHAN_GRACE_MS").map_or(ORPHAN_GRACE, Duration::from_millis),
            stop_on_loss: text("TACHI_ON_SUPERVISOR_LOSS").as_deref() == Some("stop"),
        })
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Returned a code.
    Code(i32),
    /// Ended by a signal.
    Signal(i32),
}

impl End {
    /// The code a holder returns for it.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code).unwrap_or(1),
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(255),
        }
    }
}

/// The files of one held command.
pub(super) struct Files {
    files: InstanceStore,
    state: InstanceState,
}

impl Files {
    /// Continues the files of `id` for a new start.
    pub(super) fn new(store: &Store, id: &InstanceId, given: &Given, command: &ProcessRef, now: Now) -> Self {
        let mut files = store.instance(id);
        let old = match files.load() {
            Ok(Loaded::Good(old) | Loaded::Fallback(old, _)) => Some(old),
            Ok(Loaded::Missing) | Err(_) => None,
        };
        let state = InstanceState {
            schema: 1,
            instance_id: id.clone(),
            instance_role: given.role.clone(),
            incarnation: given.incarnation,
            pid: command.pid,
            boot_id: command.boot_id.clone(),
            running: true,
            current_task: "Running".to_owned(),
            iteration: old.as_ref().map_or(0, |old| old.iteration) + 1,
            last_activity: now.wall,
            progress_at: now.mono,
            busy_until: Some(now.mono.after(SILENT)),
            ready_at: Some(now.wall),
            last_message_check: None,
            inbox: old.as_ref().and_then(|old| old.inbox.clone()),
            taken: None,
            tries: std::collections::BTreeMap::new(),
            outbox: Vec::new(),
            sent: old.as_ref().map_or(0, |old| old.sent),
            hook: None,
            paused: false,
            logs: Vec::new(),
            usage: serde_json::Map::new(),
            extra: old.map(|old| old.extra).unwrap_or_default(),
        };
        Self { files, state }
    }

    /// The command is not ready before a sign is seen; `doing` says which.
    pub(super) fn not_ready(&mut self, doing: String) {
        self.state.ready_at = None;
        self.state.current_task = doing;
    }

    /// The sign was seen.
    pub(super) fn ready(&mut self, at: Timestamp) {
        self.state.ready_at = Some(at);
        self.state.last_activity = at;
        "Running".clone_into(&mut self.state.current_task);
    }

    /// Says that the command runs; `false` = could not be written, try again.
    pub(super) fn running(&mut self) -> bool {
        self.files.replace_unsynced(&self.state).is_ok()
    }

    /// Says how it ended, in the exit record alone: whoever starts it again waits for that, and replaces the state.
    pub(super) fn ended(&mut self, end: End, reason: &str, last_line: Option<String>, at: Timestamp) {
        self.state.last_activity = at;
        self.state.logs = last_line.iter().cloned().collect();
        let (code, signal) = match end {
            End::Code(code) => (Some(code), None),
            End::Signal(number) => (None, Some(signal::name(number))),
        };
        let record = ExitRecord {
            instance_id: self.state.instance_id.clone(),
            incarnation: self.state.incarnation,
            pid: self.state.pid,
            at,
            code,
            signal,
            reason: reason.to_owned(),
            last_line,
        };
        // A full disk must not keep the holder from ending.
        let _ = self.files.write_exit_record(&record);
    }

    /// Says in the state as well that it runs no more.
    pub(super) fn rests(&mut self) {
        self.state.running = false;
        "Stopped".clone_into(&mut self.state.current_task);
        self.running();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_returns_its_commands_code_or_128_and_the_signal() {
        for (end, code) in [
            (End::Code(0), 0),
            (End::Code(77), 77),
            (End::Signal(9), 137),
            (End::Signal(15), 143),
            (End::Code(-1), 1),
        ] {
            assert_eq!(end.code(), code);
        }
    }
}
