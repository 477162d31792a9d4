//! What the kernel says about the processes and files of a state directory, gathered once for the checkers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::snapshot::list;
use crate::layout::StateDir;
use crate::os::access::{Access, access};
use crate::os::{AliveLock, Storage, process};
use crate::registry::Registry;

/// A lock that is held at this moment, other than an alive lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The lock file.
    pub path: PathBuf,
    /// Who holds it.
    pub pid: u32,
    /// Whether that process is stopped by a signal.
    pub stopped: bool,
}

/// What the kernel says.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// This boot.
    pub boot: String,
    /// Alive locks that are held, by the name of their file without `.alive`, with the holder's pid as far as it shows.
    pub held: BTreeMap<String, Option<u32>>,
    /// Other locks that are held, as far as their holders show.
    pub locked: Vec<Locked>,
    /// Pids of registry rows whose process lives.
    pub living: BTreeSet<u32>,
    /// The root, what lies in it, and our directories.
    pub access: Vec<(PathBuf, Access)>,
}

impl Surroundings {
    /// Looks.
    pub fn gather<S: Storage>(storage: &S, dir: &StateDir, registry: &Registry) -> Self {
        let boot = process::boot_id();
        let names = list(storage, &dir.locks()).unwrap_or_default();
        let held = names.iter().filter_map(|name| name.strip_suffix(".alive")).filter_map(|name| {
            let path = dir.locks().join(format!("{name}.alive"));
            AliveLock::is_held(&path).then(|| (name.to_owned(), AliveLock::holder(&path)))
        });
        let held = held.collect();
        let locked = names.iter().filter(|name| name.ends_with(".lock")).filter_map(|name| {
            let path = dir.locks().join(name);
            let pid = AliveLock::holder(&path)?;
            Some(Locked { path, pid, stopped: process::stat(pid).is_some_and(|stat| stat.is_stopped()) })
        });
        let locked = locked.collect();
        let living = registry.instances.iter().filter_map(|row| {
            let found = process::find(row.pid?)?;
            let same = row.pid_start.is_none_or(|start| start == found.pid_start);
            (same && row.boot_id.as_ref().is_none_or(|id| *id == boot)).then_some(found.pid)
        });
        let living = living.collect();
        let inside = list(storage, dir.root()).unwrap_or_default();
        let paths = inside.iter().map(|name| dir.root().join(name)).chain(dir.directories());
        let paths: BTreeSet<PathBuf> = paths.collect();
        let access = paths.into_iter().filter_map(|path| access(&path).map(|found| (path, found))).collect();
        Self { boot, held, locked, living, access }
    }

    /// Whether a supervisor lives.
    #[must_use]
    pub fn supervised(&self) -> bool {
        self.held.contains_key("supervisor")
    }
}
