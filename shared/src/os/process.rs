//! Processes: who they are, by pid *and* kernel start time *and* boot.
//!
//! A pid alone is handed out again; nothing here signals a process whose identity was not checked after the pidfd was
//! opened. Reads `/proc`; whatever cannot be read (gone, or another user's) is `None` or an empty list, never an error.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Error, Result};
use crate::id::ProcessRef;

/// One line of `/proc/PID/stat`, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcStat {
    /// Process id.
    pub pid: u32,
    /// Short name of the program; may hold anything, also `)`.
    pub comm: String,
    /// One letter: `R S D T t Z X I`.
    pub state: char,
    /// Parent.
    pub ppid: u32,
    /// Process group.
    pub pgrp: u32,
    /// Session.
    pub session: u32,
    /// Start time, clock ticks since boot.
    pub start: u64,
}

impl ProcStat {
    /// Whether it is dead, waiting to be reaped.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether it was stopped by a signal or a debugger.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// Where the kernel tells which boot this is.
pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// This kernel boot's id, read once.
///
/// # Errors
/// As `open(2)` and `read(2)`; a later call tries again.
pub fn read_boot_id() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if BOOT.get().is_none() {
        let text = fs::read_to_string(BOOT_ID)?;
        let _ = BOOT.set(text.trim().to_owned());
    }
    Ok(BOOT.get().map_or("", String::as_str))
}

/// This kernel boot's id. Whoever opens a store has read it already: an unknown one would be taken for another boot.
#[must_use]
pub fn boot_id() -> String {
    read_boot_id().unwrap_or_default().to_owned()
}

/// The calling process.
#[must_use]
pub fn current() -> ProcessRef {
    let pid = std::process::id();
    ProcessRef { pid, pid_start: stat(pid).map_or(0, |stat| stat.start), boot_id: boot_id() }
}

/// A process by pid, if it lives (zombies do not).
#[must_use]
pub fn find(pid: u32) -> Option<ProcessRef> {
    let stat = stat(pid).filter(|stat| !stat.is_zombie())?;
    Some(ProcessRef { pid, pid_start: stat.start, boot_id: boot_id() })
}

/// Whether exactly this process lives.
#[must_use]
pub fn is_alive(process: &ProcessRef) -> bool {
    find(process.pid).as_ref() == Some(process)
}

/// `/proc/PID/stat`, also of zombies.
#[must_use]
pub fn stat(pid: u32) -> Option<ProcStat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Takes one stat line apart. The name is between the first `(` and the **last** `)`.
fn parse_stat(line: &[u8]) -> Option<ProcStat> {
    let text = String::from_utf8_lossy(line);
    let (pid, rest) = text.split_once(" (")?;
    let (comm, rest) = rest.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let ppid = fields.next()?.parse().ok()?;
    let pgrp = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Fields 7 to 21 lie between the session and the start time, which is field 22.
    let start = fields.nth(15)?.parse().ok()?;
    Some(ProcStat { pid: pid.trim().parse().ok()?, comm: comm.to_owned(), state, ppid, pgrp, session, start })
}

/// Resident bytes of a process now.
#[must_use]
pub fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// One variable of a process's environment as it was at its start.
#[must_use]
pub fn environ(pid: u32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = bytes.split(|byte| *byte == 0).find_map(|pair| {
        let (key, value) = pair.split_at_checked(name.len())?;
        (key == name.as_bytes()).then(|| value.strip_prefix(b"=")).flatten()
    })?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Every process that can be seen.
#[must_use]
pub fn all() -> Vec<u32> {
    numbers_in(Path::new("/proc"))
}

/// Children of the calling process, also those adopted as a subreaper, also zombies.
#[must_use]
pub fn children() -> Vec<u32> {
    let mut found = BTreeSet::new();
    for task in numbers_in(Path::new("/proc/self/task")) {
        match fs::read_to_string(format!("/proc/self/task/{task}/children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            // A thread that just ended has no file; a kernel without the feature has none for any thread.
            Err(_) if !Path::new("/proc/self/task").join(task.to_string()).exists() => {}
            Err(_) => return children_by_scan(),
        }
    }
    found.into_iter().collect()
}

/// The slow way, for kernels without `/proc/PID/task/TID/children`.
fn children_by_scan() -> Vec<u32> {
    let own = std::process::id();
    all().into_iter().filter(|pid| stat(*pid).is_some_and(|stat| stat.ppid == own)).collect()
}

/// Names in a directory that are numbers.
pub(super) fn numbers_in(dir: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Opens a pidfd of exactly this process; `None` if it is gone.
///
/// # Errors
/// [`Error::Io`]: no descriptors left.
pub fn open_pidfd(process: &ProcessRef) -> Result<Option<OwnedFd>> {
    let failed = |error: rustix::io::Errno| {
        let path = format!("/proc/{}", process.pid);
        Error::io("open the process", Path::new(&path), io::Error::from(error))
    };
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let fd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The descriptor is pinned now: if the start time still matches, it is the process that was meant, not a successor.
    let same = stat(process.pid).is_some_and(|stat| stat.start == process.pid_start);
    Ok((same && process.boot_id == boot_id()).then_some(fd))
}

/// Sends a signal through a pidfd; `false` if the process is gone.
///
/// # Errors
/// As `pidfd_send_signal(2)`; `InvalidInput` for a number that is no standard signal.
pub fn signal(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<bool> {
    let Some(signal) = Signal::from_named_raw(number) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let line = b"77 (a) R (b) c) S 1 77 76 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1000 1 18446744073709551615";
        let stat = parse_stat(line).expect("parsed");
        assert_eq!(stat.comm, "a) R (b) c");
        assert_eq!((stat.pid, stat.state, stat.ppid, stat.pgrp, stat.session), (77, 'S', 1, 77, 76));
        assert_eq!(stat.start, 4242);
    }

    #[test]
    fn cut_or_foreign_stat_lines_are_nobody() {
        for line in
            [&b""[..], b"77 (x", b"77 (x) S 1 2", b"x (y) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5"]
        {
            assert_eq!(parse_stat(line), None);
        }
    }

    #[test]
    fn p_identity_is_pid_and_start_time_and_boot() {
        let me = current();
        assert!(is_alive(&me));
        assert!(open_pidfd(&me).expect("opened").is_some());
        let later = ProcessRef { pid_start: me.pid_start + 1, ..me.clone() };
        assert!(!is_alive(&later));
        assert!(open_pidfd(&later).expect("opened").is_none());
        assert!(!is_alive(&ProcessRef { boot_id: "another".to_owned(), ..me }));
    }
}
