//! Who is led: one entry per live leader, each with a pidfd that pins its identity.
//!
//! A leader is a worker or a holder. It is in the table from the moment it was started or adopted until its death was
//! noticed; nothing is signalled through anything but the pidfds in here or in `tree`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};

use tachi_shared::id::{Incarnation, InstanceId, ProcessRef};
use tachi_shared::os::process;
use tachi_shared::registry::Kind;

use super::poll::{LEADERS, Poll, Token};
use crate::error::Result;

/// SIGKILL.
pub(super) const KILL: i32 = 9;
/// SIGCONT.
pub(super) const CONT: i32 = 18;
/// SIGSTOP.
pub(super) const STOP: i32 = 19;

/// One live leader.
#[derive(Debug)]
pub(super) struct Leader {
    /// Which start.
    pub(super) incarnation: Incarnation,
    /// The process we lead.
    pub(super) process: ProcessRef,
    /// It, pinned.
    pub(super) pidfd: OwnedFd,
    /// Worker or holder.
    pub(super) kind: Kind,
    /// Not our child: an earlier supervisor started it.
    pub(super) adopted: bool,
    /// We sent KILL.
    pub(super) killed: bool,
    /// The command's own process, once its holder has told.
    pub(super) command: Option<ProcessRef>,
    /// Whether it was stopped by a signal when last looked at.
    pub(super) frozen: bool,
}

impl Leader {
    /// The process people mean: the command itself, or the worker.
    pub(super) fn face(&self) -> &ProcessRef {
        self.command.as_ref().unwrap_or(&self.process)
    }

    /// Signals the instance. What no holder can pass on goes to the command directly.
    pub(super) fn signal(&mut self, number: i32) -> std::io::Result<bool> {
        if let Some(command) = self.command.as_ref().filter(|_| matches!(number, KILL | CONT | STOP)) {
            if number == CONT {
                process::signal(self.pidfd.as_fd(), CONT)?;
            }
            return match process::open_pidfd(command) {
                Ok(Some(pidfd)) => process::signal(pidfd.as_fd(), number),
                Ok(None) => Ok(false),
                Err(error) => Err(std::io::Error::other(error.to_string())),
            };
        }
        self.killed |= number == KILL;
        process::signal(self.pidfd.as_fd(), number)
    }

    /// Kills the leader itself.
    pub(super) fn kill(&mut self) {
        self.killed = true;
        // Gone already is as good.
        let _ = process::signal(self.pidfd.as_fd(), KILL);
    }
}

/// All live leaders.
#[derive(Debug)]
pub(super) struct Table {
    leaders: BTreeMap<InstanceId, Leader>,
    tokens: HashMap<Token, InstanceId>,
    pids: HashSet<u32>,
    next: Token,
}

impl Table {
    /// Nobody yet.
    pub(super) fn new() -> Self {
        Self { leaders: BTreeMap::new(), tokens: HashMap::new(), pids: HashSet::new(), next: LEADERS }
    }

    /// Takes a leader in and waits for its death from now on.
    pub(super) fn insert(&mut self, id: InstanceId, leader: Leader, poll: &Poll) -> Result<()> {
        let token = self.next;
        self.next += 1;
        poll.add(&leader.pidfd, token)?;
        self.pids.insert(leader.process.pid);
        self.tokens.insert(token, id.clone());
        self.leaders.insert(id, leader);
        Ok(())
    }

    /// Whose pidfd this is, if its owner still lives.
    pub(super) fn owner(&self, token: Token) -> Option<&InstanceId> {
        self.tokens.get(&token)
    }

    /// Forgets a leader; closing its pidfd ends the wait.
    pub(super) fn remove(&mut self, token: Token) -> Option<(InstanceId, Leader)> {
        let id = self.tokens.remove(&token)?;
        let leader = self.leaders.remove(&id)?;
        self.pids.remove(&leader.process.pid);
        Some((id, leader))
    }

    /// One leader.
    pub(super) fn get(&self, id: &InstanceId) -> Option<&Leader> {
        self.leaders.get(id)
    }

    /// One leader, for changing.
    pub(super) fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Leader> {
        self.leaders.get_mut(id)
    }

    /// All, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&InstanceId, &Leader)> {
        self.leaders.iter()
    }

    /// All, by id, for changing.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&InstanceId, &mut Leader)> {
        self.leaders.iter_mut()
    }

    /// Whether nobody lives.
    pub(super) fn is_empty(&self) -> bool {
        self.leaders.is_empty()
    }

    /// Whether `pid` is a leader.
    pub(super) fn leads(&self, pid: u32) -> bool {
        self.pids.contains(&pid)
    }
}
