//! The fleet as it is: registry, alive locks, live values of the instances, board. Takes no lock and makes nothing.

use tachi_shared::clock::{self, Timestamp};
use tachi_shared::id::ProcessRef;
use tachi_shared::os::{AliveLock, Disk, Storage as _, filesystem, process};
use tachi_shared::registry::{Registry, Row};
use tachi_shared::snapshot::{Document, Loaded};
use tachi_shared::store::Store;

use super::ask;
use crate::error::Result;
use crate::render::{Header, Progress, Shown, Supervisor};
use crate::settings::{ConfigRead, surroundings};

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Everything above the table.
    pub(super) header: Header,
    /// The instances.
    pub(super) rows: Vec<Shown>,
    /// The supervisor that wrote these rows; the lock may have a new holder already.
    pub(super) written_by: Option<u32>,
}

impl Look {
    /// What should run and is not ready: ids with their states.
    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self.rows.iter().filter(|shown| shown.is_missing());
        missing
            .map(|shown| format!("{} is {}", shown.row.instance_id, shown.state(self.header.now)))
            .collect()
    }

    /// Whether a supervisor holds the directory.
    pub(super) fn is_supervised(&self) -> bool {
        matches!(self.header.supervisor, Supervisor::Running { .. })
    }
}

/// Looks at everything once.
///
/// # Errors
/// [`tachi_shared::Error::Io`] and [`tachi_shared::Error::NewerSchema`]; damaged files are told in the header instead.
pub(super) fn look(store: &Store) -> Result<Look> {
    let mut troubles = Vec::new();
    let registry = registry(store, &mut troubles)?;
    let now = clock::now().wall;
    let supervised = ask::is_supervised(store);
    let progress = match store.tasks().board() {
        Ok(board) => Progress::of(board),
        Err(error) => {
            troubles.push(error.to_string());
            None
        }
    };
    let header = Header {
        supervisor: supervisor(store, &registry, supervised, now),
        state: store.dir().root().display().to_string(),
        workspace: registry.supervisor.as_ref().and_then(|row| row.workspace.clone()),
        containment: registry.supervisor.as_ref().map(|row| row.containment.clone()).unwrap_or_default(),
        progress,
        latched: std::fs::read_to_string(store.dir().stop()).ok(),
        exhausted: filesystem::exhausted(store.dir().root()),
        unapplied: unapplied(&registry),
        troubles,
        now,
    };
    let written_by = registry.supervisor.as_ref().and_then(|row| row.pid);
    let rows = registry.instances.into_iter().map(|row| shown(store, row, supervised)).collect();
    Ok(Look { header, rows, written_by })
}

/// The registry, or the last good one.
///
/// # Errors
/// As [`look`].
pub(super) fn registry(store: &Store, troubles: &mut Vec<String>) -> Result<Registry> {
    Ok(match store.registry().load()? {
        Loaded::Good(registry) => registry,
        Loaded::Missing => Registry::empty(),
        Loaded::Fallback(registry, why) => {
            troubles.push(why);
            registry
        }
    })
}

fn supervisor(store: &Store, registry: &Registry, supervised: bool, now: Timestamp) -> Supervisor {
    let row = registry.supervisor.as_ref();
    if supervised {
        let pid = AliveLock::holder(&store.dir().supervisor_alive()).or_else(|| row.and_then(|row| row.pid));
        let since = row.filter(|row| row.pid == pid).map_or(now, |row| row.started_at);
        return Supervisor::Running { pid: pid.unwrap_or_default(), since };
    }
    row.map_or(Supervisor::Never, |row| Supervisor::Gone { pid: row.pid, since: row.started_at })
}

/// The row with what can be seen of its process.
fn shown(store: &Store, mut row: Row, supervised: bool) -> Shown {
    let alive = process_of(&row).is_some_and(|process| process::is_alive(&process));
    if alive && let Ok(Loaded::Good(state)) = store.instance(&row.instance_id).load() {
        row.doing = Some(state.current_task);
        // The registry learns once a minute that somebody idle still lives; a touch of the file says it at once.
        let touched = Disk.stat(&store.dir().instance(&row.instance_id)).ok().map(|stat| stat.mtime_ns);
        let touched = touched.and_then(|at| i64::try_from(at / 1_000_000_000).ok()).map(Timestamp::from_unix);
        row.last_heartbeat = row.last_heartbeat.max(touched).max(Some(state.last_activity));
    }
    Shown { row, alive, supervised }
}

/// The configuration that holds another text than the one in force.
fn unapplied(registry: &Registry) -> Option<String> {
    let field = registry.supervisor.as_ref()?.extra.get(crate::effects::CONFIG)?;
    let read: ConfigRead = serde_json::from_value(field.clone()).ok()?;
    let text = surroundings::read(&read.path).unwrap_or_default();
    read.differs_from(&text).then(|| read.path.display().to_string())
}

/// The process a row names, if it names one completely.
pub(super) fn process_of(row: &Row) -> Option<ProcessRef> {
    Some(ProcessRef { pid: row.pid?, pid_start: row.pid_start?, boot_id: row.boot_id.clone()? })
}
