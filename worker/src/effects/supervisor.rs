//! Who supervises: the holder of `supervisor.alive`, watched through its pidfd so that its end is noticed at once.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tachi_shared::layout::StateDir;
use tachi_shared::os::{AliveLock, process};

use crate::turn::Event;

/// The supervisor as this worker sees it.
pub(super) struct SupervisorWatch {
    dir: StateDir,
    pidfd: Option<OwnedFd>,
    there: bool,
}

impl SupervisorWatch {
    /// Begins with the supervisor that started us; the first look tells whether it still lives.
    pub(super) fn new(dir: StateDir) -> Self {
        let mut watch = Self { dir, pidfd: None, there: true };
        watch.pidfd = watch.open();
        watch
    }

    /// Whether one lives, as last seen.
    pub(super) fn is_there(&self) -> bool {
        self.there
    }

    /// Readable when the supervisor has ended.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(|pidfd| pidfd.as_fd())
    }

    /// Looks who holds the lock now: the kernel lets go of it before the pidfd tells of the end.
    pub(super) fn look(&mut self) -> Option<Event> {
        let before = self.there;
        self.there = AliveLock::is_held(&self.dir.supervisor_alive());
        // Whoever we watch already is not looked for again.
        if !self.there || !self.pidfd.as_ref().is_some_and(lives) {
            self.pidfd = self.open();
        }
        match (before, self.there) {
            (true, false) => Some(Event::SupervisorLost),
            (false, true) => Some(Event::SupervisorFound),
            _ => None,
        }
    }

    /// Finds the holder and pins it; `None` also if it cannot be seen from here.
    fn open(&self) -> Option<OwnedFd> {
        let path = self.dir.supervisor_alive();
        if !AliveLock::is_held(&path) {
            return None;
        }
        let holder = process::find(AliveLock::holder(&path)?)?;
        process::open_pidfd(&holder).ok().flatten()
    }
}

fn lives(pidfd: &OwnedFd) -> bool {
    let mut ends = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ended| ended == 0)
}
