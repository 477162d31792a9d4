//! What the benchmarks of the supervisor have in common: stamping processes, and contenders that keep them alive.
//!
//! All contenders keep the same processes: the benchmark's own program, which stamps the monotonic clock as its first action
//! and then waits. They stamp into one pipe. Everything happens in temporary directories.

pub(crate) mod bare;
pub(crate) mod fleet;
pub(crate) mod peers;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// Environment variable that turns the benchmark into the stamping process; its value is the pipe.
pub(crate) const STAMP: &str = "TACHI_BENCH_STAMP";
/// A contender that is slower than this has lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The monotonic clock.
pub(crate) fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// To be called first of all: says when it began and waits to be killed, or keeps others alive, if it is told to.
pub(crate) fn play_a_part() {
    let began = nanoseconds();
    if let Some(count) = std::env::var_os(bare::KEEP) {
        bare::keep(count.to_str().and_then(|count| count.parse().ok()).expect("a number"));
    }
    if let Some(fifo) = std::env::var_os(STAMP) {
        stamp(began, Path::new(&fifo));
    }
}

fn stamp(began: u64, fifo: &Path) -> ! {
    let line = format!("{} {began}\n", std::process::id());
    File::options().write(true).open(fifo).expect("the pipe").write_all(line.as_bytes()).expect("said");
    loop {
        thread::park();
    }
}

/// The pipe all stamps arrive in.
pub(crate) struct Stamps {
    /// Where it is.
    pub(crate) path: PathBuf,
    arrivals: Receiver<(i32, u64)>,
}

impl Stamps {
    /// A pipe in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
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

    /// The next process: its pid and its first instruction.
    pub(crate) fn next(&self) -> (i32, u64) {
        self.arrivals.recv_timeout(PATIENCE).expect("a process that starts in time")
    }

    /// The next so many.
    pub(crate) fn several(&self, count: usize) -> Vec<(i32, u64)> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Processes being kept alive by somebody.
pub(crate) struct Kept {
    /// Whoever keeps them: every process that exists for that alone.
    pub(crate) keepers: Vec<i32>,
    /// Those that are kept.
    pub(crate) pids: Vec<i32>,
    /// From the start of the keeper to the last first instruction.
    pub(crate) boot: u64,
    /// Ends everything.
    pub(crate) end: Box<dyn FnOnce()>,
}

impl Kept {
    /// Kills one after the other; how long each replacement took, in nanoseconds.
    pub(crate) fn storm(&mut self, stamps: &Stamps, kills: usize, pause: Duration) -> Vec<u64> {
        let mut took = Vec::new();
        for n in 0..kills {
            thread::sleep(pause);
            took.push(self.replace(stamps, n));
        }
        took
    }

    /// Kills one; how long its replacement took.
    pub(crate) fn replace(&mut self, stamps: &Stamps, n: usize) -> u64 {
        let place = n % self.pids.len();
        let before = nanoseconds();
        kill(self.pids[place], Signal::KILL);
        let (pid, began) = stamps.next();
        self.pids[place] = pid;
        began - before
    }

    /// Kills all at once; how long until the last is back.
    pub(crate) fn replace_all(&mut self, stamps: &Stamps) -> u64 {
        let before = nanoseconds();
        self.pids.iter().for_each(|pid| kill(*pid, Signal::KILL));
        let back = stamps.several(self.pids.len());
        self.pids = back.iter().map(|(pid, _)| *pid).collect();
        back.iter().map(|(_, began)| *began).max().unwrap_or_default() - before
    }
}

/// Signals a process of ours.
pub(crate) fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), signal);
}

/// The middle of some times.
pub(crate) fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Looks every 100 µs until there is something.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_micros(100));
    }
}

/// Proportional memory of some processes together, in bytes.
pub(crate) fn memory(pids: &[i32]) -> u64 {
    let of = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|size| size.parse::<u64>().ok()).unwrap_or_default() * 1024
    };
    pids.iter().map(of).sum()
}

/// How often all threads of some processes were woken, and how many ticks they ran, since they began.
pub(crate) fn work(pids: &[i32]) -> (u64, u64) {
    let mut sum = (0, 0);
    for pid in pids {
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let switches = status.lines().filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum.0 += switches.filter_map(|count| count.trim().parse::<u64>().ok()).sum::<u64>();
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
            let ticks = fields.split_whitespace().skip(11).take(2);
            sum.1 += ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>();
        }
    }
    sum
}

/// Children of a process that run the program named so.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
