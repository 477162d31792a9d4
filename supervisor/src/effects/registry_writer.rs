//! Writing the registry without ever waiting for it, and noticing what hands changed in it.
//!
//! Rows are written when the mind asked for it, at most once per pass of the loop and never for longer than the time
//! between two writes. The lock is tried with no patience at all; who finds it taken comes back. Under the lock the file
//! is compared with what it held when we last saw it: a different `desired` is a person's wish and is kept, everything
//! else in a row is ours. Fields we do not know stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::clock::{Mono, now as read_clock};
use tachi_shared::id::InstanceId;
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::registry::{Desired, Registry, RegistryStore, Row, Status, SupervisorRow, hand_edits};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::retry::Retry;
use crate::fleet::{Event, Fleet};

/// Longest pause between two writes, however long one takes.
const PAUSE_LONGEST: Duration = Duration::from_millis(250);
/// How long a file that does not parse may belong to a hand that is still writing it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Name of the field in the supervisor's row that says which configuration is in force.
pub(crate) const CONFIG: &str = "config";

/// What a look at the file brought.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Wishes of a person.
    pub(super) edits: Vec<Event>,
    /// Why the file cannot be taken at all.
    pub(super) rejected: Option<String>,
}

/// The registry as we keep it.
pub(super) struct RegistryWriter {
    store: RegistryStore,
    path: PathBuf,
    supervisor: SupervisorRow,
    last: Option<Registry>,
    stamp: Option<(u64, i128)>,
    pending: bool,
    not_before: Mono,
    /// A file that does not parse was met: when it is judged.
    doubt: Option<Mono>,
    retry: Retry,
}

impl RegistryWriter {
    /// Keeps the registry of `store` in the name of `supervisor`; `last` is what the file held.
    pub(super) fn new(store: &Store, supervisor: SupervisorRow, last: Option<Registry>) -> Self {
        let path = store.dir().registry();
        Self {
            stamp: stamp(&path),
            store: store.registry(),
            path,
            supervisor,
            last,
            pending: false,
            not_before: Mono::ZERO,
            doubt: None,
            retry: Retry::default(),
        }
    }

    /// The rows changed.
    pub(super) fn ask(&mut self) {
        self.pending = true;
    }

    /// Keeps the last starts of instances that left, and which configuration is in force, with the next write.
    pub(super) fn remember(&mut self, fleet: &Fleet) {
        super::retired::remember(&mut self.supervisor, fleet.retired());
        let config = fleet.config().and_then(|read| serde_json::to_value(read).ok());
        self.supervisor.extra.insert(CONFIG.to_owned(), config.unwrap_or_default());
    }

    /// Whether the file as we left it shows everybody who is to run as there or coming.
    pub(super) fn shows(&self, rows: &[Row]) -> bool {
        let written = |row: &Row| self.last.as_ref().and_then(|last| last.row(&row.instance_id));
        let there = |row: &Row| matches!(row.status, Status::Ready | Status::Starting);
        rows.iter().filter(|row| row.desired == Desired::Running).all(|row| written(row).is_some_and(there))
    }

    /// When to write next, if anything is to be written.
    pub(super) fn due(&self) -> Option<Mono> {
        self.pending.then(|| self.retry.due().unwrap_or(Mono::ZERO).max(self.not_before))
    }

    /// How long writing has been failing.
    pub(super) fn failing_for(&self, now: Mono) -> Duration {
        self.retry.failing_for(now)
    }

    /// Writes the rows if they are due, trying the lock for `wait`; returns what was found on the way. A file that somebody
    /// else has just put there is looked at first: if it is in doubt, only a last write goes over it.
    pub(super) fn flush(&mut self, rows: impl FnOnce() -> Vec<Row>, now: Mono, wait: Duration) -> Looked {
        let is_due = |writer: &Self| writer.due().is_some_and(|due| due <= now || !wait.is_zero());
        if !is_due(self) {
            return Looked::default();
        }
        let mut looked = self.look(now);
        if is_due(self) {
            looked.edits.extend(self.write(rows(), now, wait));
        }
        looked
    }

    fn write(&mut self, rows: Vec<Row>, now: Mono, wait: Duration) -> Vec<Event> {
        let began = read_clock().mono;
        let (last, supervisor) = (self.last.as_ref(), self.supervisor.clone());
        let written = self.store.update(wait, |registry| {
            let edits = last.map(|last| hand_edits(last, registry)).unwrap_or_default();
            registry.supervisor = Some(supervisor);
            registry.instances = merged(rows, registry, &edits);
            Ok((edits, registry.clone()))
        });
        match written {
            Ok((mut edits, mut registry)) => {
                // An edit that crossed the write was taken over by one more write.
                if let Some(known) = self.store.known().filter(|known| known.rev > registry.rev + 1) {
                    edits.extend(hand_edits(&registry, known));
                    registry = known.clone();
                }
                self.last = Some(registry);
                self.stamp = stamp(&self.path);
                self.pending = false;
                self.retry.worked();
                let ended = read_clock().mono;
                self.not_before = ended.after(ended.since(began).min(PAUSE_LONGEST));
                events(edits)
            }
            Err(_) => {
                self.retry.failed(now);
                Vec::new()
            }
        }
    }

    /// The last words: nobody supervises any more.
    pub(super) fn leave(&mut self, rows: impl FnOnce() -> Vec<Row>, now: Mono, wait: Duration) {
        self.supervisor.pid = None;
        self.supervisor.pid_start = None;
        self.pending = true;
        self.flush(rows, now, wait);
    }

    /// Looks whether somebody else has replaced the file.
    pub(super) fn look(&mut self, now: Mono) -> Looked {
        let found = stamp(&self.path);
        if found == self.stamp {
            return Looked::default();
        }
        self.stamp = found;
        match self.store.load() {
            Ok(Loaded::Good(registry)) => {
                let edits = self.last.as_ref().map(|last| hand_edits(last, &registry)).unwrap_or_default();
                // Anything else that was changed by hand is put right; what was wished stays.
                self.pending = true;
                if let Some(last) = &mut self.last {
                    for (id, desired) in &edits {
                        if let Some(row) = last.row_mut(id) {
                            row.desired = *desired;
                        }
                    }
                }
                Looked { edits: events(edits), rejected: None }
            }
            Ok(Loaded::Missing) => {
                self.pending = true;
                Looked::default()
            }
            // Perhaps it is still being written. Nothing is written over it meanwhile.
            Ok(Loaded::Fallback(..)) => {
                self.doubt = Some(now.after(PATIENCE));
                self.not_before = now.after(PATIENCE);
                Looked::default()
            }
            Err(error) => Looked { edits: Vec::new(), rejected: Some(error.to_string()) },
        }
    }

    /// When a file in doubt is judged.
    pub(super) fn doubt(&self) -> Option<Mono> {
        self.doubt
    }

    /// A file that still does not parse is bad: said once, and set aside by the next write, which makes it good.
    pub(super) fn judge(&mut self, now: Mono) -> Option<String> {
        self.doubt = self.doubt.filter(|at| *at > now);
        match self.store.load() {
            Ok(Loaded::Fallback(_, why)) => {
                self.pending = true;
                self.not_before = now;
                Some(why)
            }
            _ => None,
        }
    }
}

/// Which version of a file this is.
fn stamp(path: &Path) -> Option<(u64, i128)> {
    Disk.stat(path).ok().map(|stat| (stat.ino, stat.mtime_ns))
}

/// Our rows with the unknown fields of the file's, and with the wishes in it.
fn merged(rows: Vec<Row>, file: &Registry, edits: &[(InstanceId, Desired)]) -> Vec<Row> {
    let merge = |mut row: Row| {
        if let Some(old) = file.row(&row.instance_id) {
            for (name, value) in &old.extra {
                row.extra.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        if let Some((_, desired)) = edits.iter().find(|(id, _)| *id == row.instance_id) {
            row.desired = *desired;
        }
        row
    };
    rows.into_iter().map(merge).collect()
}

fn events(edits: Vec<(InstanceId, Desired)>) -> Vec<Event> {
    edits.into_iter().map(|(id, desired)| Event::Edited { id, desired }).collect()
}
