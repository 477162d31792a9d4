//! What the supervisor waits on: one epoll set, one sleep.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{EventfdFlags, Timespec};

use crate::error::{Error, Result};

/// Names one waited-for descriptor.
pub(super) type Token = u64;

/// The signal descriptor.
pub(super) const SIGNALS: Token = 0;
/// The supervisor's doorbell.
pub(super) const DOORBELL: Token = 1;
/// The watcher's wake-up.
pub(super) const HINTS: Token = 2;
/// The configuration was read again.
pub(super) const REREAD: Token = 3;
/// Leaders' pidfds count up from here.
pub(super) const LEADERS: Token = 16;

/// Readiness taken per sleep; what does not fit is told at the next one.
const BATCH: usize = 256;

/// The epoll set.
#[derive(Debug)]
pub(super) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    /// An empty set.
    pub(super) fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| Error::system("create an epoll set", e.into()))?;
        Ok(Self { epoll })
    }

    /// Waits for `fd` to become readable from now on.
    pub(super) fn add(&self, fd: impl AsFd, token: Token) -> Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
            .map_err(|e| Error::system("wait on a descriptor", e.into()))
    }

    /// Sleeps until something is readable or `timeout` is over, and says what. An interrupted sleep is an empty one.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<Vec<Token>> {
        let mut ready: Vec<epoll::Event> = Vec::with_capacity(BATCH);
        let timeout = timeout.map(|wait| Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(ready.iter().map(|event| event.data.u64()).collect()),
            Err(error) => Err(Error::system("sleep", io::Error::from(error))),
        }
    }
}

/// A descriptor one thread writes to wake the loop.
pub(super) fn wake_up() -> Result<OwnedFd> {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|e| Error::system("create an event descriptor", e.into()))
}
