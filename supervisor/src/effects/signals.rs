//! Signals as descriptors: blocked for every thread, read by one loop.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{Error, Result};

/// What the supervisor listens to. SIGPIPE is ignored by the runtime: a closed terminal is an error of one write.
/// SIGTTOU stays unheard: a supervisor in the background writes to its terminal like one in front.
const SUPERVISOR: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGCHLD,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
    Signal::SIGTTOU,
];

/// What a holder passes on to its command, and SIGCHLD.
const HOLDER: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
    Signal::SIGWINCH,
];

/// The supervisor's signals, blocked in this thread and every thread it starts later.
pub(super) fn supervisor() -> Result<SignalFd> {
    listen(&SUPERVISOR)
}

/// The holder's signals.
pub(super) fn holder() -> Result<SignalFd> {
    listen(&HOLDER)
}

fn listen(signals: &[Signal]) -> Result<SignalFd> {
    let mut set = SigSet::empty();
    signals.iter().for_each(|signal| set.add(*signal));
    set.thread_block().map_err(|e| Error::system("block signals", e.into()))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|e| Error::system("listen to signals", e.into()))
}

/// Runs `start` with no signal blocked: what is started inherits the mask of its parent, and a foreign program cannot be
/// expected to clear it. A signal that ends us in this moment ends a holder whose command has hardly begun.
pub(super) fn unblocked<T>(start: impl FnOnce() -> T) -> Result<T> {
    let blocked = SigSet::thread_get_mask().map_err(|e| Error::system("read the signal mask", e.into()))?;
    SigSet::empty().thread_set_mask().map_err(|e| Error::system("clear the signal mask", e.into()))?;
    let started = start();
    blocked.thread_set_mask().map_err(|e| Error::system("block signals", e.into()))?;
    Ok(started)
}

/// Everything that has arrived, in order; several of one kind may have become one.
pub(super) fn take(signals: &SignalFd) -> Vec<Signal> {
    let mut taken = Vec::new();
    while let Ok(Some(info)) = signals.read_signal() {
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        taken.extend(Signal::try_from(number));
    }
    taken
}
