//! restart: from `kill -9` of a process to the first instruction of its replacement.
//!
//! All contenders keep the same four processes alive: this very program, which stamps the monotonic clock as its first
//! action and then waits. The bare limit is a loop of pidfd, poll and spawn. Tachi is measured twice: with the program
//! in the place of `tachi-worker`, and as a command under a holder. supervisord takes part when
//! `TACHI_BENCH_SUPERVISORD` names it, runit when `TACHI_BENCH_RUNSVDIR` does. A last row takes the real worker, from the
//! kill to `ready`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark starts, kills and times real processes")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod contest;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use contest::fleet::{self, Cast, Fleet};
use contest::{Kept, Stamps, bare, kill, nanoseconds, peers, play_a_part, until};
use rustix::process::Signal;

/// Processes kept alive.
const N: usize = 4;

/// Starts a contender, kills for a while, ends it.
fn contest(kills: usize, pause: Duration, start: impl Fn(&Stamps) -> Option<Kept>) -> Option<Vec<u64>> {
    let dir = tempfile::tempdir().expect("a folder");
    let stamps = Stamps::new(dir.path());
    let mut kept = start(&stamps)?;
    let took = kept.storm(&stamps, kills, pause);
    (kept.end)();
    Some(took)
}

/// The real worker: from the kill to `ready` in its own file.
fn tachi_ready(kills: usize, pause: Duration) -> Vec<u64> {
    let fleet = Fleet::new(Cast::Real, N);
    let up = fleet.up(None);
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

/// Waits until instance `n` is ready in an incarnation above `above`.
fn wait_ready(fleet: &Fleet, n: usize, above: u64, seen: &mut BTreeMap<usize, (i32, u64)>) {
    let file = fleet.state().join(format!("instances/instance_{}.json", n + 1));
    let found = until("an instance that is ready", || {
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        let incarnation = state["incarnation"].as_u64().filter(|incarnation| *incarnation > above)?;
        let pid = state["pid"].as_i64().filter(|_| state["ready_at"].is_string())?;
        Some((i32::try_from(pid).ok()?, incarnation))
    });
    seen.insert(n, found);
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
    play_a_part();
    let brisk = Duration::from_millis(50);
    // Their defaults call a start successful after one second; killed sooner it would count a failure.
    let slow = Duration::from_millis(1500);
    println!("restart: kill -9 to the replacement's first instruction, {N} processes");
    println!("(x = ratio to the bare loop of pidfd, poll and spawn)");
    let mut limit = None;
    let mut show = |name: &str, took: Option<Vec<u64>>| match took {
        Some(took) => {
            let p50 = row(name, took, limit);
            limit.get_or_insert(p50);
        }
        None => println!("  {name:<34} not installed"),
    };
    show("bare pidfd + spawn loop", contest(60, brisk, |stamps| Some(bare::start(N, stamps))));
    let tachi = |cast| contest(60, brisk, move |stamps| Some(fleet::start(cast, N, stamps)));
    show("tachi, worker", tachi(Cast::Workers));
    show("tachi, command under a holder", tachi(Cast::Commands));
    show("runit, its defaults", contest(8, slow, |stamps| peers::runit(N, stamps)));
    show("supervisord, its defaults", contest(8, slow, |stamps| peers::supervisord(N, stamps)));
    // Kept apart so that each death is one by hand after a second of readiness, and not a crash loop.
    show("tachi, real worker, until ready", Some(tachi_ready(12, Duration::from_millis(1200))));
}
