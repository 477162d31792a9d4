//! The name of every file under the state directory; nobody else spells a path.
//!
//! What each file holds, who writes it, under which lock and what a crash leaves is told at the top of the module that
//! owns it, and for people in `state/README.md`.

use std::path::{Path, PathBuf};

use crate::id::{CommandId, InstanceId};

/// A topic of the log engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// What instances and people say to each other.
    Messages,
    /// The board.
    Tasks,
    /// Lifecycle: starts, deaths with cause, commands, troubles.
    Events,
}

impl Topic {
    /// Directory name, and stem of its lock and view.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Tasks => "tasks",
            Self::Events => "events",
        }
    }
}

/// A state directory; knows names, touches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Names everything below `root`, which should be absolute.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who is in the fleet.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.root.join("registry.json")
    }

    /// Findings, decisions, learnings, facts.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        self.root.join("memory.json")
    }

    /// Segments of a topic.
    #[must_use]
    pub fn segments(&self, topic: Topic) -> PathBuf {
        self.root.join(topic.name())
    }

    /// View (and import box) of a topic.
    #[must_use]
    pub fn view(&self, topic: Topic) -> PathBuf {
        self.root.join(format!("{}.json", topic.name()))
    }

    /// One instance's own file.
    #[must_use]
    pub fn instance(&self, id: &InstanceId) -> PathBuf {
        self.instances().join(format!("{id}.json"))
    }

    /// Directory of the instances' own files.
    #[must_use]
    pub fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    /// Output of one instance.
    #[must_use]
    pub fn log_file(&self, id: &InstanceId) -> PathBuf {
        self.logs().join(format!("{id}.log"))
    }

    /// The supervisor's own log.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.logs().join("supervisor.log")
    }

    /// Directory of all logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Door for commands to the supervisor.
    #[must_use]
    pub fn commands(&self) -> PathBuf {
        self.root.join("commands")
    }

    /// One command.
    #[must_use]
    pub fn command(&self, id: &CommandId) -> PathBuf {
        self.commands().join(format!("{id}.json"))
    }

    /// The answer to one command.
    #[must_use]
    pub fn reply(&self, id: &CommandId) -> PathBuf {
        self.commands().join(format!("{id}.reply.json"))
    }

    /// Door for messages by hand and from foreign programs.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Present = stopped.
    #[must_use]
    pub fn stop(&self) -> PathBuf {
        self.root.join("stop")
    }

    /// What could not be accepted, with a `.why` beside it.
    #[must_use]
    pub fn rejected(&self) -> PathBuf {
        self.root.join("rejected")
    }

    /// What the team produced.
    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// Internals.
    #[must_use]
    pub fn internal(&self) -> PathBuf {
        self.root.join(".tachi")
    }

    /// The mark that makes a directory ours.
    #[must_use]
    pub fn mark(&self) -> PathBuf {
        self.internal().join("store.json")
    }

    /// Directory of lock files; never watched, its files never renamed or deleted.
    #[must_use]
    pub fn locks(&self) -> PathBuf {
        self.internal().join("locks")
    }

    /// A lock by name: `registry`, `memory`, `view`, or a topic's name.
    #[must_use]
    pub fn lock(&self, name: &str) -> PathBuf {
        self.locks().join(format!("{name}.lock"))
    }

    /// Held by one instance's worker or holder for life.
    #[must_use]
    pub fn alive(&self, id: &InstanceId) -> PathBuf {
        self.locks().join(format!("{id}.alive"))
    }

    /// Held by the supervisor for life; `supervisor` is a reserved id, so no instance collides.
    #[must_use]
    pub fn supervisor_alive(&self) -> PathBuf {
        self.locks().join("supervisor.alive")
    }

    /// Doorbell of one reader.
    #[must_use]
    pub fn doorbell(&self, id: &InstanceId) -> PathBuf {
        self.doorbells().join(id.as_str())
    }

    /// Doorbell of the supervisor: instances ring it when they become ready or leave.
    #[must_use]
    pub fn supervisor_doorbell(&self) -> PathBuf {
        self.doorbells().join("supervisor")
    }

    /// Directory of doorbells.
    #[must_use]
    pub fn doorbells(&self) -> PathBuf {
        self.internal().join("wake")
    }

    /// Temporary files, on the same file system, in an unwatched directory.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.internal().join("tmp")
    }

    /// Last good copies of snapshots.
    #[must_use]
    pub fn backup(&self) -> PathBuf {
        self.internal().join("backup")
    }

    /// Last words of one instance.
    #[must_use]
    pub fn exit_record(&self, id: &InstanceId) -> PathBuf {
        self.exits().join(format!("{id}.json"))
    }

    /// Directory of last words.
    #[must_use]
    pub fn exits(&self) -> PathBuf {
        self.internal().join("exits")
    }

    /// Lines that no reader could take.
    #[must_use]
    pub fn dead_letters(&self) -> PathBuf {
        self.internal().join("deadletter.jsonl")
    }

    /// Boot id and highest sequence numbers, for the boot rule.
    #[must_use]
    pub fn epoch(&self) -> PathBuf {
        self.internal().join("epoch.json")
    }

    /// What everybody who opens the directory agrees on: how much is kept, and what an append survives.
    #[must_use]
    pub fn limits(&self) -> PathBuf {
        self.internal().join("limits.json")
    }

    /// How far idle readers need not read.
    #[must_use]
    pub fn verified(&self) -> PathBuf {
        self.internal().join("verified.json")
    }

    /// What the doors for hands have taken in.
    #[must_use]
    pub fn taken_in(&self) -> PathBuf {
        self.internal().join("taken.json")
    }

    /// What renders of the view replaced a moment ago.
    #[must_use]
    pub fn replaced(&self) -> PathBuf {
        self.internal().join("replaced")
    }

    /// Every directory that must exist, parents first.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.root.clone(), self.internal()];
        all.extend([Topic::Messages, Topic::Tasks, Topic::Events].map(|topic| self.segments(topic)));
        all.extend([self.instances(), self.logs(), self.commands(), self.spool(), self.rejected()]);
        all.extend([
            self.artifacts(),
            self.locks(),
            self.doorbells(),
            self.tmp(),
            self.backup(),
            self.exits(),
            self.replaced(),
        ]);
        all
    }
}
