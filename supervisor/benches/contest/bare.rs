//! The bare limit: a loop of pidfd, poll and spawn, and nothing else.

use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::{Kept, STAMP, Stamps, kill, nanoseconds};

/// Environment variable that turns the benchmark into the loop; its value is the number of processes.
pub(crate) const KEEP: &str = "TACHI_BENCH_KEEP";

/// Keeps `count` processes alive for ever.
pub(crate) fn keep(count: usize) -> ! {
    let program = env::current_exe().expect("this program");
    let spawn = || -> (Child, OwnedFd) {
        let child = Command::new(&program).env_remove(KEEP).stdin(Stdio::null()).spawn().expect("spawned");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
        (child, pidfd_open(pid, PidfdFlags::empty()).expect("a pidfd"))
    };
    let mut kept: Vec<(Child, OwnedFd)> = (0..count).map(|_| spawn()).collect();
    loop {
        let mut ends: Vec<PollFd<'_>> =
            kept.iter().map(|(_, end)| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)).collect();
        poll(&mut ends, None).expect("polled");
        let gone: Vec<usize> = (0..count).filter(|n| ends[*n].revents().contains(PollFlags::IN)).collect();
        for n in gone {
            kept[n].0.wait().expect("reaped");
            kept[n] = spawn();
        }
    }
}

/// Starts the loop.
pub(crate) fn start(count: usize, stamps: &Stamps) -> Kept {
    let before = nanoseconds();
    let mut keeper = Command::new(env::current_exe().expect("this program"))
        .env(KEEP, count.to_string())
        .env(STAMP, &stamps.path)
        .stdin(Stdio::null())
        .spawn()
        .expect("the loop");
    let there = stamps.several(count);
    let boot = there.iter().map(|(_, began)| *began).max().unwrap_or_default() - before;
    let keeper_pid = i32::try_from(keeper.id()).expect("a pid");
    let end = move || {
        // Whoever is kept at the end is a child until the keeper is gone, and known by that.
        kill(keeper_pid, Signal::STOP);
        let left = super::children(keeper_pid);
        kill(keeper_pid, Signal::KILL);
        left.into_iter().for_each(|pid| kill(pid, Signal::KILL));
        keeper.wait().expect("ended");
    };
    Kept {
        keepers: vec![keeper_pid],
        pids: there.iter().map(|(pid, _)| *pid).collect(),
        boot,
        end: Box::new(end),
    }
}
