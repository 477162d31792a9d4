//! A lock whose holder was stopped by a signal: the holder is continued, if it is one of ours.
//!
//! Locks are held for one read-change-replace, so somebody who holds one for seconds is frozen or hung. A frozen member of
//! the fleet gets CONT and finishes its write; a stranger is only named.

use std::os::fd::AsFd as _;
use std::path::Path;

use tachi_shared::os::{AliveLock, process};

use super::mark;
use super::table::{CONT, Table};

/// Continues the holder of `lock` if it is frozen and ours; the sentence tells about it.
pub(super) fn thaw(lock: &Path, state: &Path, table: &Table) -> Option<String> {
    let pid = AliveLock::holder(lock)?;
    if !process::stat(pid)?.is_stopped() {
        return None;
    }
    let holder = process::find(pid)?;
    if !table.leads(pid) && mark::read(pid, state).is_none() {
        return None;
    }
    let pidfd = process::open_pidfd(&holder).ok().flatten()?;
    process::signal(pidfd.as_fd(), CONT).ok()?;
    let name = lock.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Some(format!("{name} was held by pid {pid}, which was stopped; it was continued"))
}
