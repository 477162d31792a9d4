//! Own children, adopted ones included: none outlives its instance.

use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::process::{WaitOptions, wait};
use tachi_shared::clock;
use tachi_shared::os::process;

/// Ended children are gone within this, or something in the kernel holds them and nobody can help.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
/// SIGKILL.
const KILL: i32 = 9;

/// Buries what has ended by itself. Only between pieces of work: during one, the children have an owner who waits for them.
pub(super) fn bury() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Kills and buries everything, children of children as they come up to us.
pub(super) fn end_all() {
    let deadline = clock::now().mono.after(PATIENCE);
    loop {
        bury();
        let children = process::children();
        if children.is_empty() || clock::now().mono >= deadline {
            return;
        }
        for child in children.into_iter().filter_map(process::find) {
            if let Ok(Some(pidfd)) = process::open_pidfd(&child) {
                let _gone = process::signal(std::os::fd::AsFd::as_fd(&pidfd), KILL);
            }
        }
        let _nap = poll(&mut [], Some(&NAP));
    }
}
