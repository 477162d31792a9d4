//! Instances that live without a supervisor: found by alive lock and row, ended by verified pidfd.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tachi_shared::id::{InstanceId, ProcessRef};
use tachi_shared::os::{AliveLock, process};
use tachi_shared::store::Store;

use super::look::{process_of, registry};
use super::wait::{Deadline, Waiter, until};
use crate::effects;
use crate::error::{Error, Result};

/// SIGKILL.
const KILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;
/// SIGTERM.
const TERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;
/// SIGCONT: a stopped process would not hear the TERM.
const CONT: i32 = nix::sys::signal::Signal::SIGCONT as i32;
/// How long the kernel may take to end a process that got KILL.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Ids whose worker or holder lives, by their alive locks.
///
/// # Errors
/// [`tachi_shared::Error::Io`] if the locks cannot be listed.
pub(super) fn living(store: &Store) -> Result<Vec<InstanceId>> {
    let locks = store.dir().locks();
    let entries =
        std::fs::read_dir(&locks).map_err(|error| tachi_shared::Error::io("list", &locks, error))?;
    let mut ids: Vec<InstanceId> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| InstanceId::new(name.strip_suffix(".alive")?).ok())
        .filter(|id| AliveLock::is_held(&store.dir().alive(id)))
        .collect();
    ids.sort();
    Ok(ids)
}

/// Ends everything that lives here: TERM, grace, KILL, and then whatever the leaders had started, wherever it went. Returns
/// whom.
///
/// # Errors
/// [`Error::TimedOut`] naming who is left.
pub(super) fn end_all(store: &Store, grace: Duration) -> Result<Vec<InstanceId>> {
    let ids = living(store)?;
    let leaders: Vec<(InstanceId, ProcessRef, OwnedFd)> = ids
        .iter()
        .filter_map(|id| leader(store, id).map(|(process, pidfd)| (id.clone(), process, pidfd)))
        .collect();
    let mut trees: Vec<ProcessRef> = leaders.iter().flat_map(|(_, process, _)| tree_of(process)).collect();
    for (_, _, pidfd) in &leaders {
        signal(pidfd, TERM);
        signal(pidfd, CONT);
    }
    let waiter = Waiter::on(&[store.dir().instances(), store.dir().exits()]);
    let gone = || -> Result<Option<()>> { Ok(living(store)?.is_empty().then_some(())) };
    if until(&waiter, Deadline::within(grace), gone)?.is_none() {
        for (id, process, pidfd) in &leaders {
            if AliveLock::is_held(&store.dir().alive(id)) {
                trees.extend(tree_of(process));
                signal(pidfd, KILL);
            }
        }
    }
    end_strays(store, &trees);
    match until(&waiter, Deadline::within(KILL_WAIT), gone)? {
        Some(()) => Ok(ids),
        None => Err(Error::TimedOut {
            what: format!("the end of {}", join(&living(store)?)),
            waited: grace + KILL_WAIT,
            hint: "see `tachi status`; a process in the kernel cannot be killed before it returns".to_owned(),
        }),
    }
}

/// Whether something that instances started lives on, although they and their supervisor do not.
pub(super) fn has_strays(store: &Store) -> bool {
    std::fs::canonicalize(store.dir().root()).is_ok_and(|root| effects::has_marked(&root))
}

/// Kills what instances left: their trees, and everything that carries our mark. Not while somebody supervises it.
fn end_strays(store: &Store, trees: &[ProcessRef]) {
    let Ok(root) = std::fs::canonicalize(store.dir().root()) else { return };
    if AliveLock::is_held(&store.dir().supervisor_alive()) {
        return;
    }
    for stray in trees.iter().filter_map(|stray| process::open_pidfd(stray).ok().flatten()) {
        signal(&stray, KILL);
    }
    effects::end_marked(&root);
}

/// The worker or holder of an instance: who holds its alive lock, else the process of its row.
fn leader(store: &Store, id: &InstanceId) -> Option<(ProcessRef, OwnedFd)> {
    let holder = AliveLock::holder(&store.dir().alive(id)).and_then(process::find);
    let process = holder.or_else(|| process_of(registry(store, &mut Vec::new()).ok()?.row(id)?))?;
    let pidfd = process::open_pidfd(&process).ok().flatten()?;
    Some((process, pidfd))
}

/// Everything else in the leader's own session, and everything that descends from it: orphans keep their parents, because
/// every worker and holder is a subreaper.
fn tree_of(leader: &ProcessRef) -> Vec<ProcessRef> {
    let everybody: Vec<_> = process::all().into_iter().filter_map(process::stat).collect();
    let leads = everybody.iter().any(|stat| stat.pid == leader.pid && stat.session == leader.pid);
    let mut pids = BTreeSet::from([leader.pid]);
    loop {
        let known = pids.len();
        let belongs =
            |stat: &&process::ProcStat| pids.contains(&stat.ppid) || (leads && stat.session == leader.pid);
        let more: Vec<u32> = everybody.iter().filter(belongs).map(|stat| stat.pid).collect();
        pids.extend(more);
        if pids.len() == known {
            break;
        }
    }
    pids.remove(&leader.pid);
    let boot_id = process::boot_id();
    let found = everybody.iter().filter(|stat| pids.contains(&stat.pid));
    found.map(|stat| ProcessRef { pid: stat.pid, pid_start: stat.start, boot_id: boot_id.clone() }).collect()
}

/// Signals through a pidfd whose identity was checked; a process that is gone needs none.
pub(super) fn signal(pidfd: &OwnedFd, number: i32) {
    let _ = process::signal(pidfd.as_fd(), number);
}

/// TERM to exactly this process, also if it is stopped. Whether it was there.
pub(super) fn terminate(process: &ProcessRef) -> bool {
    let Ok(Some(pidfd)) = process::open_pidfd(process) else { return false };
    signal(&pidfd, TERM);
    signal(&pidfd, CONT);
    true
}

/// `a, b, c`.
pub(super) fn join(ids: &[InstanceId]) -> String {
    ids.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(", ")
}
