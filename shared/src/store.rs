//! The facade: a state directory opened.
//!
//! Finds, creates and marks the directory; hands out the stores. Mode 0700, files 0600. A non-empty directory without our
//! mark is refused (a `README.md` and a `.gitignore` do not count).
//!
//! The mark is `.tachi/store.json`: `{"schema":1,"store_id":"…","created":"…"}`, written once under `locks/store.lock`,
//! before anything else a person would see. A crash before it leaves `.tachi/` with nothing but empty rooms in it, which the
//! next start takes over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::command::CommandBox;
use crate::error::{Context as _, Error, Result, bare};
use crate::event::EventLog;
use crate::id::InstanceId;
use crate::instance::InstanceStore;
use crate::layout::StateDir;
use crate::log::{Durability, Limits};
use crate::memory::MemoryStore;
use crate::os::place::{Sync, place, sweep};
use crate::os::root::{self, Found};
use crate::os::{Disk, Storage as _, process};
use crate::queue::{Queue, View};
use crate::registry::RegistryStore;
use crate::task::TaskStore;

/// Newest format of a whole state directory that we know.
const SCHEMA: u64 = 1;
/// The mark is some hundred bytes.
const MARK_LIMIT: u64 = 64 * 1024;
/// Two first starts at once: the second waits for the first one's mark.
const MARK_WAIT: Duration = Duration::from_secs(5);
/// What may lie in a directory that we take as empty.
const HARMLESS: [&str; 3] = ["README.md", ".gitignore", ".gitkeep"];
/// What a start leaves that died before it wrote the mark.
const UNFINISHED: [&str; 2] = ["tmp", "locks"];

/// Content of the mark.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    schema: u64,
    #[serde(default)]
    store_id: String,
    created: Option<Timestamp>,
}

/// An opened state directory on the real disk.
#[derive(Debug, Clone)]
pub struct Store {
    dir: StateDir,
    limits: Limits,
}

impl Store {
    /// Opens `root`, making and marking it if it is new or empty.
    ///
    /// # Errors
    /// [`crate::Error::NotAStateDir`], [`crate::Error::NewerSchema`], [`crate::Error::Io`], [`crate::Error::DiskFull`].
    pub fn create(root: &Path) -> Result<Self> {
        know_the_boot()?;
        match root::look(root).context("look at", root)? {
            Found::NoParent => return Err(refused(root, "the directory above it does not exist")),
            Found::DanglingLink => return Err(refused(root, "it is a symbolic link to nowhere")),
            Found::NotADirectory => return Err(refused(root, "it is a file")),
            Found::Nothing => Disk.make_dir(root).context("create", root)?,
            Found::Directory(names) => check_free(root, &names)?,
        }
        let dir = StateDir::new(root::resolve(root).context("resolve", root)?);
        if let Some(reason) = root::why_not_writable(dir.root()) {
            return Err(refused(root, &reason));
        }
        if root::exists(&dir.mark()) {
            check_mark(&dir)?;
        } else {
            mark(&dir)?;
        }
        for path in dir.directories() {
            Disk.make_dir(&path).context("create", &path)?;
        }
        // Left-overs cost space only; failing to remove them must not stop a start.
        let _ = sweep(&Disk, &dir.tmp(), Disk.now().wall);
        Ok(Self { limits: Limits::load(&Disk, &dir), dir })
    }

    /// Opens `root` for reading verbs; never makes anything.
    ///
    /// # Errors
    /// [`crate::Error::NotAStateDir`], [`crate::Error::NewerSchema`], [`crate::Error::Io`].
    pub fn open(root: &Path) -> Result<Self> {
        know_the_boot()?;
        let Ok(resolved) = root::resolve(root) else { return Err(refused(root, "it does not exist")) };
        let dir = StateDir::new(resolved);
        if !root::exists(&dir.mark()) {
            return Err(refused(root, "nothing was ever started here (.tachi/store.json is missing)"));
        }
        check_mark(&dir)?;
        Ok(Self { limits: Limits::load(&Disk, &dir), dir })
    }

    /// The nearest directory upwards from `from` that holds `.tachi/store.json` or whose `state/` does; else `from/state`.
    #[must_use]
    pub fn find(from: &Path) -> PathBuf {
        let start = root::resolve(from).unwrap_or_else(|_| from.to_owned());
        let candidates = start.ancestors().flat_map(|dir| [dir.to_owned(), dir.join("state")]);
        let found = candidates.into_iter().find(|dir| root::exists(&StateDir::new(dir).mark()));
        found.unwrap_or_else(|| start.join("state"))
    }

    /// The names of everything inside.
    #[must_use]
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// The same directory with another promise about power loss than its supervisor settled.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.limits.durability = durability;
        self
    }

    /// The same directory with what its supervisor settles now: another one may have come.
    #[must_use]
    pub fn refreshed(&self) -> Self {
        Self { dir: self.dir.clone(), limits: Limits::load(&Disk, &self.dir) }
    }

    /// How much is kept, and what an append survives.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The message queue.
    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue::new(Disk, &self.dir).with_limits(self.limits)
    }

    /// The keeper of `messages.json` and of the doors for messages: one per supervisor.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Disk, &self.dir).with_limits(self.limits)
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> RegistryStore {
        RegistryStore::new(Disk, &self.dir)
    }

    /// The shared memory.
    #[must_use]
    pub fn memory(&self) -> MemoryStore {
        MemoryStore::new(Disk, &self.dir).with_durability(self.limits.durability)
    }

    /// The board.
    #[must_use]
    pub fn tasks(&self) -> TaskStore {
        TaskStore::new(Disk, &self.dir).with_durability(self.limits.durability)
    }

    /// The event log.
    #[must_use]
    pub fn events(&self) -> EventLog {
        EventLog::new(Disk, &self.dir)
    }

    /// The door for commands.
    #[must_use]
    pub fn commands(&self) -> CommandBox {
        CommandBox::new(Disk, &self.dir)
    }

    /// One instance's files.
    #[must_use]
    pub fn instance(&self, id: &InstanceId) -> InstanceStore {
        InstanceStore::new(Disk, &self.dir, id)
    }
}

/// A process that cannot tell which boot this is (no descriptor left) would take every log for one of another boot, skip a
/// million numbers and void every lease. It is refused instead.
fn know_the_boot() -> Result<()> {
    process::read_boot_id().map(drop).context("read", Path::new(process::BOOT_ID))
}

/// Refuses a directory with foreign content.
fn check_free(root: &Path, names: &[String]) -> Result<()> {
    let unfinished = |name: &str| {
        let internal = StateDir::new(root).internal();
        name == ".tachi"
            && matches!(root::look(&internal), Ok(Found::Directory(inside))
                if inside.iter().all(|name| UNFINISHED.contains(&name.as_str())))
    };
    let mut foreign: Vec<&str> = names.iter().map(String::as_str).collect();
    foreign.retain(|name| !HARMLESS.contains(name) && !unfinished(name));
    foreign.sort_unstable();
    match foreign.first() {
        None => Ok(()),
        // Another first start may have finished between our two looks.
        Some(_) if root::exists(&StateDir::new(root).mark()) => Ok(()),
        Some(first) => {
            Err(refused(root, &format!("it is not empty (there is {first}) and no state directory of ours")))
        }
    }
}

/// Writes the mark, unless somebody else just did.
fn mark(dir: &StateDir) -> Result<()> {
    for path in [dir.internal(), dir.tmp(), dir.locks()] {
        Disk.make_dir(&path).context("create", &path)?;
    }
    let _guard = Disk.lock(&dir.lock("store"), "create", MARK_WAIT)?;
    let path = dir.mark();
    if root::exists(&path) {
        return check_mark(dir);
    }
    let store_id = root::unique_id().context("name", &path)?;
    let mark = Mark { schema: SCHEMA, store_id, created: Some(Disk.now().wall) };
    let text = serde_json::to_string(&mark).map_err(|error| refused(dir.root(), &error.to_string()))?;
    place(&Disk, &dir.tmp(), &path, format!("{text}\n").as_bytes(), Sync::DataAndName)
}

/// Refuses a directory that a newer Tachi made, or whose mark is damaged.
fn check_mark(dir: &StateDir) -> Result<()> {
    let path = dir.mark();
    let bytes = Disk.read(&path, MARK_LIMIT).context("read", &path)?;
    let mark: Mark = serde_json::from_slice(&bytes)
        .map_err(|error| Error::DamagedMark { path: path.clone(), reason: bare(&error) })?;
    if mark.schema > SCHEMA {
        return Err(Error::NewerSchema { path, found: mark.schema, supported: SCHEMA });
    }
    Ok(())
}

fn refused(path: &Path, reason: &str) -> Error {
    Error::NotAStateDir { path: path.to_owned(), reason: reason.to_owned() }
}
