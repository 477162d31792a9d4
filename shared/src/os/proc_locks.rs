//! Who holds a flock, as the kernel tells it in `/proc/locks`.
//!
//! The text a holder leaves in a lock file is a hint that may be stale; this list is the truth, as far as our pid
//! namespace can see.

use std::fs;
use std::path::Path;

use super::disk::from_stat;
use super::process;

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
