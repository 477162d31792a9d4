//! What an earlier supervisor left: which instances really live, and what the registry says about the others.
//!
//! The truth about life is the alive lock, which the kernel drops with its holder; the registry only says what to expect.
//! An instance is adopted when its alive lock is held by a process whose identity can be established: the lock's holder as
//! the kernel names it, or, where the kernel cannot (foreign pid namespace), the recorded process if pid, start time and
//! boot match. An instance nobody ever wrote down is adopted as well. Marked processes that hold no lock are leftovers
//! and are killed before anything is started. Nothing is signalled whose identity does not match.

use tachi_shared::id::{Incarnation, InstanceId, ProcessRef, Role};
use tachi_shared::instance::InstanceState;
use tachi_shared::os::{AliveLock, Disk, Storage as _, process, signal};
use tachi_shared::registry::{Backoff, Desired, Kind, Registry, Row, Status};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::mark;
use super::table::Leader;
use crate::error::Result;
use crate::fleet::event::{How, LastWords};
use crate::settings::Settings;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Rows of the registry, and of live instances it does not know.
    pub(super) rows: Vec<Row>,
    /// Live leaders, to be taken into the table.
    pub(super) leaders: Vec<(InstanceId, Leader)>,
    /// Last words of those that are gone.
    pub(super) words: Vec<LastWords>,
    /// Sentences for the event log: files that could not be taken.
    pub(super) troubles: Vec<String>,
}

/// Looks at registry, alive locks and instance files. `registry` is what was loaded from the file.
pub(super) fn look(store: &Store, settings: &Settings, registry: Loaded<Registry>) -> Result<Found> {
    let mut found = Found { rows: Vec::new(), leaders: Vec::new(), words: Vec::new(), troubles: Vec::new() };
    match registry {
        Loaded::Good(registry) => found.rows = registry.instances,
        Loaded::Missing => found.rows = remembered(store, settings),
        Loaded::Fallback(registry, why) => {
            found.troubles.push(why);
            found.rows = registry.instances;
        }
    }
    for id in held(store)? {
        let state = state_of(store, &id);
        let place = found.rows.iter().position(|row| row.instance_id == id);
        let known = place.and_then(|place| found.rows.get(place));
        let Some(process) = leader_of(store, &id, known, state.as_ref()) else {
            found.troubles.push(format!("{id} is alive, but which process it is cannot be found out"));
            continue;
        };
        let incarnation = incarnation_of(&process, store, &id, known, state.as_ref());
        let row = known.cloned().or_else(|| rebuilt(&id, settings, state.as_ref(), Some(&process)));
        let (Some(pidfd), Some(mut row)) = (process::open_pidfd(&process)?, row) else { continue };
        let command = (row.kind == Kind::Command).then(|| state.as_ref().and_then(command_of)).flatten();
        let face = command.as_ref().unwrap_or(&process);
        row.incarnation = incarnation;
        row.pid = Some(face.pid);
        row.pid_start = Some(face.pid_start);
        row.boot_id = Some(face.boot_id.clone());
        // As the mind will take it from the row: the next look tells it if that is no longer so.
        let (kind, frozen) = (row.kind, row.status == Status::Frozen);
        match place.and_then(|place| found.rows.get_mut(place)) {
            Some(place) => *place = row,
            None => found.rows.push(row),
        }
        let leader =
            Leader { incarnation, process, pidfd, kind, adopted: true, killed: false, command, frozen };
        found.leaders.push((id, leader));
    }
    let gone = found.rows.iter().filter(|row| found.leaders.iter().all(|(id, _)| *id != row.instance_id));
    found.words = gone.filter_map(|row| last_words(store, row)).collect();
    Ok(found)
}

/// What the start of this row wrote down about its end, if it came to that.
fn last_words(store: &Store, row: &Row) -> Option<LastWords> {
    let record = store.instance(&row.instance_id).exit_record().ok().flatten()?;
    if record.incarnation != row.incarnation {
        return None;
    }
    let how = match (record.code, record.signal.as_deref().and_then(signal::parse)) {
        (_, Some(number)) => How::Signal(number),
        (Some(code), None) => How::Exit(code),
        (None, None) => return None,
    };
    Some(LastWords {
        id: record.instance_id,
        incarnation: record.incarnation,
        how,
        requested: record.reason == "requested",
        at: record.at,
        last_line: record.last_line,
    })
}

/// Without a registry: what the instances' own files remember, so that no incarnation is handed out twice.
fn remembered(store: &Store, settings: &Settings) -> Vec<Row> {
    let specs = settings.specs.iter();
    specs.filter_map(|spec| rebuilt(&spec.id, settings, Some(&state_of(store, &spec.id)?), None)).collect()
}

fn state_of(store: &Store, id: &InstanceId) -> Option<InstanceState> {
    match store.instance(id).load() {
        Ok(Loaded::Good(state) | Loaded::Fallback(state, _)) => Some(state),
        Ok(Loaded::Missing) | Err(_) => None,
    }
}

/// Instances whose alive lock is held.
fn held(store: &Store) -> Result<Vec<InstanceId>> {
    let locks = store.dir().locks();
    let names = Disk.list(&locks).map_err(|e| tachi_shared::Error::io("list", &locks, e))?;
    let mut ids: Vec<_> = names
        .iter()
        .filter_map(|name| InstanceId::new(name.strip_suffix(".alive")?).ok())
        .filter(|id| AliveLock::is_held(&store.dir().alive(id)))
        .collect();
    ids.sort();
    Ok(ids)
}

/// The process that holds the alive lock.
fn leader_of(
    store: &Store,
    id: &InstanceId,
    row: Option<&Row>,
    state: Option<&InstanceState>,
) -> Option<ProcessRef> {
    if let Some(holder) = AliveLock::holder(&store.dir().alive(id)).and_then(process::find) {
        return Some(holder);
    }
    let recorded = row.and_then(|row| {
        Some(ProcessRef { pid: row.pid?, pid_start: row.pid_start?, boot_id: row.boot_id.clone()? })
    });
    recorded.filter(process::is_alive).or_else(|| {
        let state = state.filter(|state| state.running && state.boot_id == process::boot_id())?;
        process::find(state.pid)
    })
}

/// The start it belongs to, as its own environment says; its files may be older.
fn incarnation_of(
    process: &ProcessRef,
    store: &Store,
    id: &InstanceId,
    row: Option<&Row>,
    state: Option<&InstanceState>,
) -> Incarnation {
    let marked = mark::read(process.pid, store.dir().root()).filter(|mark| mark.id == *id);
    marked
        .map(|mark| mark.incarnation)
        .or_else(|| state.map(|state| state.incarnation))
        .or_else(|| row.map(|row| row.incarnation))
        .unwrap_or_default()
}

/// The command's own process, as its holder wrote it down.
fn command_of(state: &InstanceState) -> Option<ProcessRef> {
    process::find(state.pid).filter(|_| state.running && state.boot_id == process::boot_id())
}

/// A row for an instance the registry does not know.
fn rebuilt(
    id: &InstanceId,
    settings: &Settings,
    state: Option<&InstanceState>,
    process: Option<&ProcessRef>,
) -> Option<Row> {
    let spec = settings.specs.iter().find(|spec| spec.id == *id);
    let told = || process.and_then(|it| process::environ(it.pid, "TACHI_INSTANCE_ROLE"));
    let role = state.map(|state| state.instance_role.clone()).or_else(|| spec.map(|spec| spec.role.clone()));
    let role = role.or_else(|| Role::new(&told()?).ok()).or_else(|| Role::new(id.as_str()).ok())?;
    Some(Row {
        instance_id: id.clone(),
        role,
        pid: None,
        pid_start: None,
        boot_id: None,
        incarnation: state.map_or(Incarnation(0), |state| state.incarnation),
        status: if process.is_some() { Status::Ready } else { Status::Lost },
        desired: Desired::Running,
        kind: spec.map(|spec| spec.kind).unwrap_or_default(),
        started_at: state.and_then(|state| state.ready_at),
        last_heartbeat: state.map(|state| state.last_activity),
        restarts: 0,
        next_restart_at: None,
        backend: spec.map_or_else(|| "builtin".to_owned(), |spec| spec.backend.clone()),
        doing: state.map(|state| state.current_task.clone()),
        last_death: None,
        reason: None,
        backoff: Backoff::default(),
        extra: serde_json::Map::new(),
    })
}
