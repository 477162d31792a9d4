//! Noticing death: a pidfd became readable, so exactly that process is gone.
//!
//! One reaper: nothing else in this process waits. Our children are reaped by pidfd; processes that became our children
//! because their parent died (strays) are reaped by pid, and only those that are nobody's leader. An adopted process is
//! not our child: how it ended is known from its own last words or not at all.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tachi_shared::id::InstanceId;
use tachi_shared::instance::ExitRecord;
use tachi_shared::os::{process, signal};
use tachi_shared::registry::Kind;
use tachi_shared::store::Store;

use super::table::{KILL, Leader, Table};
use crate::fleet::event::{Event, How};

/// Bytes looked at for the last line of output.
const TAIL: u64 = 4096;
/// Longest last line kept, in characters.
const LINE: usize = 300;

/// Counts the kernel's OOM kills since it was last asked.
#[derive(Debug)]
pub(super) struct OomCounter {
    file: Option<File>,
    seen: u64,
}

impl OomCounter {
    /// Starts counting now.
    pub(super) fn new() -> Self {
        let mut counter = Self { file: File::open("/proc/vmstat").ok(), seen: 0 };
        counter.moved();
        counter
    }

    /// Whether it moved since the last call.
    fn moved(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let Some(read) = self.file.as_ref().and_then(|file| file.read_at(&mut buffer, 0).ok()) else {
            return false;
        };
        let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        let count = line.and_then(|count| count.trim().parse().ok()).unwrap_or(self.seen);
        std::mem::replace(&mut self.seen, count) < count
    }
}

/// How a leader ended; `None` if it lives after all.
pub(super) fn how(leader: &Leader) -> Option<How> {
    if leader.adopted {
        return Some(if leader.killed { How::Signal(KILL) } else { How::Lost });
    }
    match waitid(WaitId::PidFd(leader.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(None) => None,
        Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => How::Exit(code),
            (None, Some(number)) => How::Signal(number),
            (None, None) => How::Lost,
        }),
        Err(_) => Some(How::Lost),
    }
}

/// The event of a death: what the kernel said, made complete by last words and the last line of output.
pub(super) fn died(id: InstanceId, leader: &Leader, seen: How, store: &Store, oom: &mut OomCounter) -> Event {
    let words = last_words(&id, leader, store);
    let how = match &words {
        // A holder returns a code for its command; its record knows better. An adopted process has only the record.
        Some(record) if leader.adopted || leader.kind == Kind::Command => told(record, leader, seen),
        _ => seen,
    };
    let oom = how == How::Signal(KILL) && !leader.killed && oom.moved();
    let last_line = words
        .and_then(|record| record.last_line)
        .or_else(|| last_line(&store.dir().log_file(&id)))
        .filter(|line| !line.is_empty());
    Event::Died { id, incarnation: leader.incarnation, how, oom, last_line }
}

/// The exit record, if this start wrote one.
fn last_words(id: &InstanceId, leader: &Leader, store: &Store) -> Option<ExitRecord> {
    if !leader.adopted && leader.kind == Kind::Worker {
        return None;
    }
    store.instance(id).exit_record().ok().flatten().filter(|record| record.incarnation == leader.incarnation)
}

fn told(record: &ExitRecord, leader: &Leader, seen: How) -> How {
    if leader.killed {
        return seen;
    }
    match (record.code, record.signal.as_deref().and_then(signal::parse)) {
        (_, Some(number)) => How::Signal(number),
        (Some(code), None) => How::Exit(code),
        (None, None) => seen,
    }
}

/// The last line with anything in it.
pub(super) fn last_line(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let start = size.saturating_sub(TAIL);
    let mut bytes = vec![0; usize::try_from(size - start).ok()?];
    file.read_exact_at(&mut bytes, start).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(LINE).collect())
}

/// Reaps whatever became our child and died, except leaders; returns the children that live and are nobody's leader.
pub(super) fn strays(table: &Table) -> Vec<u32> {
    process::children().into_iter().filter(|pid| !table.leads(*pid) && !is_reaped(*pid)).collect()
}

fn is_reaped(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    !matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_last_with_words_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        for (text, line) in [
            ("", None),
            ("\n\n", None),
            ("one\ntwo\n\n  \n", Some("two".to_owned())),
            ("no newline", Some("no newline".to_owned())),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(last_line(&path), line, "{text:?}");
        }
        std::fs::write(&path, format!("{}\nend", "x".repeat(10_000))).unwrap();
        assert_eq!(last_line(&path).as_deref(), Some("end"));
    }
}
