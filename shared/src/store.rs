//! The facade: a state directory opened.
//!
//! Finds, creates and marks the directory; hands out the stores. Mode 0700, files 0600. A non-empty directory without our
//! mark is refused (a `README.md` and a `.gitignore` do not count).

use std::path::{Path, PathBuf};

use crate::command::CommandBox;
use crate::error::Result;
use crate::event::EventLog;
use crate::id::InstanceId;
use crate::instance::InstanceStore;
use crate::layout::StateDir;
use crate::memory::MemoryStore;
use crate::os::Disk;
use crate::queue::{Queue, View};
use crate::registry::RegistryStore;
use crate::task::TaskStore;

/// An opened state directory on the real disk.
#[derive(Debug, Clone)]
pub struct Store {
    dir: StateDir,
}

impl Store {
    /// Opens `root`, making and marking it if it is new or empty.
    ///
    /// # Errors
    /// [`crate::Error::NotAStateDir`], [`crate::Error::NewerSchema`], [`crate::Error::Io`], [`crate::Error::DiskFull`].
    pub fn create(_root: &Path) -> Result<Self> {
        todo!()
    }

    /// Opens `root` for reading verbs; never makes anything.
    ///
    /// # Errors
    /// [`crate::Error::NotAStateDir`], [`crate::Error::NewerSchema`], [`crate::Error::Io`].
    pub fn open(_root: &Path) -> Result<Self> {
        todo!()
    }

    /// The nearest directory upwards from `from` that holds `.tachi/store.json` or whose `state/` does; else `from/state`.
    #[must_use]
    pub fn find(_from: &Path) -> PathBuf {
        todo!()
    }

    /// The names of everything inside.
    #[must_use]
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// The message queue.
    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue::new(Disk, &self.dir)
    }

    /// The keeper of `messages.json` and of the doors for messages: one per supervisor.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Disk, &self.dir)
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> RegistryStore {
        RegistryStore::new(Disk, &self.dir)
    }

    /// The shared memory.
    #[must_use]
    pub fn memory(&self) -> MemoryStore {
        MemoryStore::new(Disk, &self.dir)
    }

    /// The board.
    #[must_use]
    pub fn tasks(&self) -> TaskStore {
        TaskStore::new(Disk, &self.dir)
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
