//! The peers, where they are installed: runit as Debian has it, supervisord as PyPI has it, each with its own defaults.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Kept, STAMP, Stamps, children, kill, nanoseconds};

/// runit's `runsvdir`, if `TACHI_BENCH_RUNSVDIR` names it; `runsv` lies beside it.
pub(crate) fn runit(count: usize, stamps: &Stamps) -> Option<Kept> {
    let program = env::var_os("TACHI_BENCH_RUNSVDIR")?;
    let dir = tempfile::tempdir().expect("a folder");
    for n in 1..=count {
        let service = dir.path().join(format!("services/p{n}"));
        fs::create_dir_all(&service).expect("made");
        symlink(env::current_exe().expect("this program"), service.join("run")).expect("linked");
    }
    let tools = Path::new(&program).parent().expect("a folder").to_owned();
    let mut command = Command::new(&program);
    command.arg("-P").arg(dir.path().join("services")).env("PATH", tools);
    Some(start(command, count, stamps, Signal::HUP, dir))
}

/// supervisord, if `TACHI_BENCH_SUPERVISORD` names it.
pub(crate) fn supervisord(count: usize, stamps: &Stamps) -> Option<Kept> {
    let program = env::var_os("TACHI_BENCH_SUPERVISORD")?;
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().display();
    let mut config =
        format!("[supervisord]\nnodaemon=true\ndirectory={place}\nlogfile=/dev/null\nlogfile_maxbytes=0\n");
    config += &format!("pidfile={place}/pid\nchildlogdir={place}\n");
    for n in 1..=count {
        let this = env::current_exe().expect("this program");
        config += &format!("[program:p{n}]\ncommand={}\nautorestart=true\n", this.display());
    }
    let file = dir.path().join("supervisord.conf");
    fs::write(&file, config).expect("written");
    let mut command = Command::new(&program);
    command.arg("-c").arg(file);
    Some(start(command, count, stamps, Signal::TERM, dir))
}

fn start(mut command: Command, count: usize, stamps: &Stamps, end: Signal, dir: tempfile::TempDir) -> Kept {
    let before = nanoseconds();
    let quiet = command.env(STAMP, &stamps.path).stdin(Stdio::null()).stdout(Stdio::null());
    let peer = quiet.stderr(Stdio::null()).spawn().expect("the peer");
    let there = stamps.several(count);
    let boot = there.iter().map(|(_, began)| *began).max().unwrap_or_default() - before;
    let keeper = i32::try_from(peer.id()).expect("a pid");
    let pids: Vec<i32> = there.iter().map(|(pid, _)| *pid).collect();
    let mut keepers = vec![keeper];
    keepers.extend(children(keeper).into_iter().filter(|pid| !pids.contains(pid)));
    Kept { keepers, pids, boot, end: Box::new(move || finish(peer, keeper, end, &dir)) }
}

fn finish(mut peer: Child, keeper: i32, end: Signal, _dir: &tempfile::TempDir) {
    let below = children(keeper).into_iter().flat_map(|pid| [vec![pid], children(pid)].concat());
    let below: Vec<_> =
        below.filter_map(|pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()).collect();
    kill(keeper, end);
    peer.wait().expect("ended");
    // Whatever it left running.
    for process in below {
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
}
