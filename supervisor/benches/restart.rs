//! restart: from `kill -9` of a process to the first instruction of its replacement.
//!
//! All contenders keep the same four processes alive: this very program, which stamps the monotonic clock as its first
//! action and then waits. The bare limit is a loop of pidfd, poll and spawn. Tachi is measured twice: with the program
//! in the place of `tachi-worker`, and as a command under a holder. supervisord takes part when
//! `TACHI_BENCH_SUPERVISORD` names it. A last row takes the real worker, from the kill to `ready`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark starts, kills and times real processes")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, clock_gettime};

/// Processes kept alive.
const N: usize = 4;
/// Environment variable that turns this program into the stamping process.
const STAMP: &str = "TACHI_BENCH_STAMP";
/// A contender that is slower than this has lost.
const PATIENCE: Duration = Duration::from_secs(20);

fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// Says when it began, and waits to be killed.
fn stamp(began: u64, fifo: &Path) -> ! {
    let line = format!("{} {began}\n", std::process::id());
    File::options().write(true).open(fifo).expect("the pipe").write_all(line.as_bytes()).expect("said");
    loop {
        thread::park();
    }
}

/// The pipe all stamps arrive in.
struct Stamps {
    path: PathBuf,
    arrivals: Receiver<(i32, u64)>,
}

impl Stamps {
    fn new(dir: &Path) -> Self {
        let path = dir.join("stamps");
        let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
        nix::unistd::mkfifo(&path, mode).expect("a pipe");
        // Read and write: it never ends, whoever comes and goes.
        let fifo = File::options().read(true).write(true).open(&path).expect("the pipe");
        let (tell, arrivals) = channel();
        thread::spawn(move || {
            for line in BufReader::new(fifo).lines() {
                let line = line.expect("a stamp");
                let (pid, at) = line.split_once(' ').expect("pid and time");
                if tell.send((pid.parse().expect("a pid"), at.parse().expect("a time"))).is_err() {
                    return;
                }
            }
        });
        Self { path, arrivals }
    }

    fn next(&self) -> (i32, u64) {
        self.arrivals.recv_timeout(PATIENCE).expect("a process that starts in time")
    }
}

fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), signal);
}

/// Kills one process after the other and returns how long each replacement took, in nanoseconds.
fn storm(stamps: &Stamps, kills: usize, pause: Duration) -> Vec<u64> {
    let mut pids: Vec<i32> = (0..N).map(|_| stamps.next().0).collect();
    let mut took = Vec::new();
    for n in 0..kills {
        thread::sleep(pause);
        let before = nanoseconds();
        kill(pids[n % N], Signal::KILL);
        let (pid, began) = stamps.next();
        took.push(began - before);
        pids[n % N] = pid;
    }
    took
}

/// The bare limit: nothing but the kernel's own means.
fn bare(kills: usize, pause: Duration) -> Vec<u64> {
    let dir = tempfile::tempdir().expect("a folder");
    let stamps = Stamps::new(dir.path());
    let fifo = stamps.path.clone();
    let (stop, stopped) = channel::<()>();
    let keeper = thread::spawn(move || {
        let spawn = || -> (Child, OwnedFd) {
            let program = env::current_exe().expect("this program");
            let child =
                Command::new(program).env(STAMP, &fifo).stdin(Stdio::null()).spawn().expect("spawned");
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
            (child, pidfd_open(pid, PidfdFlags::empty()).expect("a pidfd"))
        };
        let mut kept: Vec<(Child, OwnedFd)> = (0..N).map(|_| spawn()).collect();
        while stopped.try_recv().is_err() {
            let mut ends: Vec<PollFd<'_>> =
                kept.iter().map(|(_, end)| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)).collect();
            let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            poll(&mut ends, Some(&limit)).expect("polled");
            let gone: Vec<usize> = (0..N).filter(|n| ends[*n].revents().contains(PollFlags::IN)).collect();
            for n in gone {
                kept[n].0.wait().expect("reaped");
                kept[n] = spawn();
            }
        }
        for (child, _) in &mut kept {
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }
    });
    let took = storm(&stamps, kills, pause);
    stop.send(()).expect("stopped");
    keeper.join().expect("ended");
    took
}

/// A state directory of its own with `tachi` in it, and whatever `worker` is beside it as `tachi-worker`.
struct Fleet {
    dir: tempfile::TempDir,
}

impl Fleet {
    fn new(worker: &Path, config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::copy(env!("CARGO_BIN_EXE_tachi"), dir.path().join("tachi")).expect("copied");
        fs::copy(worker, dir.path().join("tachi-worker")).expect("copied");
        fs::write(dir.path().join("tachi.toml"), config).expect("written");
        fs::create_dir(dir.path().join("work")).expect("made");
        Self { dir }
    }

    fn tachi(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.dir.path().join("tachi"));
        command.args(arguments).arg("--state").arg(self.state()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn up(&self, count: &[&str], stamps: Option<&Stamps>) -> Child {
        let work = self.dir.path().join("work").display().to_string();
        let mut command = self.tachi(&[&["up"], count, &["--workspace", &work]].concat());
        if let Some(stamps) = stamps {
            command.env(STAMP, &stamps.path);
        }
        command.spawn().expect("tachi")
    }

    fn down(&self, mut up: Child) {
        let done = self.tachi(&["down"]).status().expect("tachi down");
        assert!(done.success(), "tachi down: {done}");
        up.wait().expect("ended");
    }
}

/// Restarts as fast as they come, however many: what is measured is the way, not a delay of the policy.
const POLICY: &str = r#"
limit = "none"
backoff = { first = "0s", base = "0s", max = "0s" }
"#;

fn tachi_worker(kills: usize, pause: Duration) -> Vec<u64> {
    let mut config = "[fleet]\nbrake = \"none\"\n".to_owned();
    for role in ["explorer", "builder", "reflector", "coordinator"] {
        config += &format!("[roles.{role}]{POLICY}");
    }
    let fleet = Fleet::new(&env::current_exe().expect("this program"), &config);
    let stamps = Stamps::new(fleet.dir.path());
    let up = fleet.up(&["4"], Some(&stamps));
    let took = storm(&stamps, kills, pause);
    fleet.down(up);
    took
}

fn tachi_command(kills: usize, pause: Duration) -> Vec<u64> {
    let program = env::current_exe().expect("this program");
    let mut config = "[fleet]\ncount = 0\nbrake = \"none\"\n".to_owned();
    for n in 1..=N {
        config += &format!(
            "[[instances]]\nid = \"c_{n}\"\ncommand = [{:?}]{POLICY}",
            program.display().to_string()
        );
    }
    let fleet = Fleet::new(Path::new("/bin/true"), &config);
    let stamps = Stamps::new(fleet.dir.path());
    let up = fleet.up(&[], Some(&stamps));
    let took = storm(&stamps, kills, pause);
    fleet.down(up);
    took
}

fn supervisord(program: &Path, kills: usize, pause: Duration) -> Vec<u64> {
    let dir = tempfile::tempdir().expect("a folder");
    let stamps = Stamps::new(dir.path());
    let mut config =
        format!("[supervisord]\nnodaemon=true\ndirectory={}\nlogfile=/dev/null\n", dir.path().display());
    config += &format!("logfile_maxbytes=0\npidfile={}/pid\n", dir.path().display());
    for n in 1..=N {
        let this = env::current_exe().expect("this program");
        config += &format!("[program:p{n}]\ncommand={}\nautorestart=true\n", this.display());
        config += &format!("environment={STAMP}=\"{}\"\n", stamps.path.display());
    }
    fs::write(dir.path().join("supervisord.conf"), config).expect("written");
    let mut peer = Command::new(program)
        .arg("-c")
        .arg(dir.path().join("supervisord.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("supervisord");
    let took = storm(&stamps, kills, pause);
    kill(i32::try_from(peer.id()).expect("a pid"), Signal::TERM);
    peer.wait().expect("ended");
    took
}

/// The real worker: from the kill to `ready` in its own file.
fn tachi_ready(kills: usize, pause: Duration) -> Vec<u64> {
    let worker = Path::new(env!("CARGO_BIN_EXE_tachi")).with_file_name("tachi-worker");
    let fleet = Fleet::new(&worker, "");
    let up = fleet.up(&["4"], None);
    let mut seen = BTreeMap::new();
    let mut took = Vec::new();
    for n in 0..N {
        wait_ready(&fleet, n, 0, &mut seen);
    }
    for n in 0..kills {
        thread::sleep(pause);
        let (pid, incarnation) = seen[&(n % N)];
        let before = nanoseconds();
        kill(pid, Signal::KILL);
        wait_ready(&fleet, n % N, incarnation, &mut seen);
        took.push(nanoseconds() - before);
    }
    fleet.down(up);
    took
}

/// Looks every 100 µs until instance `n` is ready in an incarnation above `above`.
fn wait_ready(fleet: &Fleet, n: usize, above: u64, seen: &mut BTreeMap<usize, (i32, u64)>) {
    let file = fleet.state().join(format!("instances/instance_{}.json", n + 1));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state: serde_json::Value =
            fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let incarnation = state["incarnation"].as_u64().unwrap_or_default();
        if incarnation > above && state["ready_at"].is_string() {
            let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
            seen.insert(n, (pid, incarnation));
            return;
        }
        assert!(Instant::now() < deadline, "instance_{} is not ready in time", n + 1);
        thread::sleep(Duration::from_micros(100));
    }
}

fn row(name: &str, mut took: Vec<u64>, limit: Option<u64>) -> u64 {
    took.sort_unstable();
    let p50 = took[took.len() / 2];
    let last = took[took.len() - 1];
    let ratio = p50 as f64 / limit.unwrap_or(p50) as f64;
    println!(
        "  {name:<34} p50 {:>9.2} ms   max {:>9.2} ms   x{ratio:<8.2} ({} kills)",
        p50 as f64 / 1e6,
        last as f64 / 1e6,
        took.len()
    );
    p50
}

fn main() {
    let began = nanoseconds();
    if let Some(fifo) = env::var_os(STAMP) {
        stamp(began, Path::new(&fifo));
    }
    let brisk = Duration::from_millis(50);
    println!("restart: kill -9 to the replacement's first instruction, {N} processes");
    println!("(x = ratio to the bare loop of pidfd, poll and spawn)");
    let limit = row("bare pidfd + spawn loop", bare(60, brisk), None);
    row("tachi, worker", tachi_worker(60, brisk), Some(limit));
    row("tachi, command under a holder", tachi_command(60, brisk), Some(limit));
    match env::var_os("TACHI_BENCH_SUPERVISORD") {
        // Its defaults call a start successful after one second; killed sooner it would count a failure.
        Some(program) => {
            row(
                "supervisord, its defaults",
                supervisord(Path::new(&program), 12, Duration::from_millis(1500)),
                Some(limit),
            );
        }
        None => println!("  supervisord left out: not installed"),
    }
    // Kept apart so that each death is one by hand after a second of readiness, and not a crash loop.
    row("tachi, real worker, until ready", tachi_ready(12, Duration::from_millis(1200)), Some(limit));
}
