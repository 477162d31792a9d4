//! Who holds a flock, as the kernel tells it in `/proc/locks`.
//!
//! The text a holder leaves in a lock file is a hint that may be stale; the kernel's word is the truth, as far as our pid
//! namespace can see. Reading the list stops every taker of a lock on the machine until all processors have noticed, which
//! takes 5 to 20 ms: who is named by the hint is asked for first, by its own descriptors.

use std::fs;
use std::path::Path;

use super::disk::from_stat;
use super::process;
use super::storage::Stat;

/// One line of `/proc/locks` that tells of a held flock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    pid: u32,
    dev: (u64, u64),
    ino: u64,
}

/// Pid of the exclusive holder of the lock file at `path`; `None` if nobody does or it cannot be seen.
pub(super) fn holder(path: &Path) -> Option<u32> {
    let stat = from_stat(&rustix::fs::stat(path).ok()?);
    let hinted = hint(path).map(|(pid, _)| pid).filter(|pid| holds(*pid, &stat).unwrap_or(false));
    hinted.or_else(|| listed(&stat))
}

/// Whether this process has the file open and the kernel says that it is locked there; `None` if that cannot be seen.
fn holds(pid: u32, lock: &Stat) -> Option<bool> {
    let mut descriptors = process::numbers_in(Path::new(&format!("/proc/{pid}/fd")));
    // A lock held for life was taken early.
    descriptors.sort_unstable();
    let locked = descriptors.into_iter().find(|number| {
        rustix::fs::stat(format!("/proc/{pid}/fd/{number}"))
            .is_ok_and(|stat| (from_stat(&stat).dev, from_stat(&stat).ino) == (lock.dev, lock.ino))
    })?;
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{locked}")).ok()?;
    Some(info.lines().filter_map(|line| line.strip_prefix("lock:")).any(|line| parse(line.trim()).is_some()))
}

fn listed(stat: &Stat) -> Option<u32> {
    let list = fs::read_to_string("/proc/locks").ok()?;
    let dev = (u64::from(rustix::fs::major(stat.dev)), u64::from(rustix::fs::minor(stat.dev)));
    let held: Vec<Held> = list.lines().filter_map(parse).filter(|held| held.ino == stat.ino).collect();
    // Some file systems show another device number here than in stat(2); a single match by inode is then good enough.
    let exact = held.iter().find(|held| held.dev == dev);
    exact.or(if held.len() == 1 { held.first() } else { None }).map(|held| held.pid)
}

/// The holder in words for an error message: pid, program, state, and its own hint if that is really its own.
pub(super) fn describe(path: &Path) -> String {
    let hint = hint(path);
    let Some(pid) = holder(path) else {
        return match hint {
            Some((_, text)) => format!("a process that cannot be seen (the lock file says {text})"),
            None => "a process that cannot be seen".to_owned(),
        };
    };
    let mut words = describe_process(pid);
    if let Some((_, text)) = hint.filter(|(hinted, _)| *hinted == pid) {
        words.push_str(&format!(", {text}"));
    }
    words
}

/// Pid, program and state in words.
fn describe_process(pid: u32) -> String {
    match process::stat(pid) {
        Some(stat) if stat.is_stopped() => format!("pid {pid} ({}, stopped by a signal)", stat.comm),
        Some(stat) => format!("pid {pid} ({})", stat.comm),
        None => format!("pid {pid}"),
    }
}

/// What the last process to write into the lock file said: its pid and the whole line.
fn hint(path: &Path) -> Option<(u32, String)> {
    let line = fs::read_to_string(path).ok()?;
    let line = line.lines().next()?.trim().to_owned();
    let value: serde_json::Value = serde_json::from_str(&line).ok()?;
    Some((u32::try_from(value.get("pid")?.as_u64()?).ok()?, line))
}

/// `1: FLOCK  ADVISORY  WRITE 708 fd:01:1451 0 EOF`; lines with `->` are waiters.
fn parse(line: &str) -> Option<Held> {
    let mut words = line.split_ascii_whitespace().skip(1);
    if (words.next()?, words.nth(1)?) != ("FLOCK", "WRITE") {
        return None;
    }
    let pid = words.next()?.parse().ok().filter(|pid| *pid > 0)?;
    let mut place = words.next()?.split(':');
    let major = u64::from_str_radix(place.next()?, 16).ok()?;
    let minor = u64::from_str_radix(place.next()?, 16).ok()?;
    Some(Held { pid, dev: (major, minor), ino: place.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::AliveLock;

    #[test]
    fn the_hint_counts_only_while_its_process_really_holds_the_lock() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.alive");
        let own = std::process::id();
        let lock = AliveLock::take(&path).expect("taken");
        let stat = from_stat(&rustix::fs::stat(&path).expect("there"));
        assert_eq!((holds(own, &stat), listed(&stat)), (Some(true), Some(own)));
        fs::write(&path, "{\"pid\":1}\n").expect("a hint that lies");
        assert_eq!(holder(&path), Some(own));
        let open = fs::File::open(&path).expect("opened");
        drop(lock);
        assert_ne!(holds(own, &stat), Some(true), "an open file is no held lock");
        fs::write(&path, format!("{{\"pid\":{own}}}\n")).expect("a hint out of date");
        assert_eq!(holder(&path), None);
        drop(open);
    }

    #[test]
    fn only_exclusive_holders_of_flocks_count_not_waiters_or_other_locks() {
        let held = parse("2: FLOCK  ADVISORY  WRITE 708 fd:01:1451 0 EOF");
        assert_eq!(held, Some(Held { pid: 708, dev: (0xfd, 1), ino: 1451 }));
        for line in [
            "2: -> FLOCK  ADVISORY  WRITE 709 fd:01:1451 0 EOF",
            "1: FLOCK  ADVISORY  READ 708 fd:01:1451 0 EOF",
            "1: POSIX  ADVISORY  WRITE 708 fd:01:1451 0 EOF",
            "1: FLOCK  ADVISORY  WRITE -1 fd:01:1451 0 EOF",
            "1: FLOCK",
            "",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
