//! P59: a storm of signals on workers and supervisor; afterwards everything is as it should be.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use super::restarts::{open_files, zombies_of};
use super::stage::{Stage, signal};

/// xorshift: a storm is repeated by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

fn seed() -> u64 {
    let told = std::env::var("TACHI_SEED").ok().and_then(|text| text.parse().ok());
    told.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) | 1
    })
}

/// Everybody is ready, led by the process the registry names, once.
fn settled(stage: &Stage, count: usize) -> Option<()> {
    let rows = stage.rows();
    let ready: BTreeSet<u64> =
        rows.iter().filter(|row| row["status"] == "ready").filter_map(|row| row["pid"].as_u64()).collect();
    if rows.len() != count || ready.len() != count {
        return None;
    }
    let living: BTreeSet<u64> = stage.living_workers().iter().map(|(pid, _)| u64::from(*pid)).collect();
    (ready == living).then_some(())
}

/// Afterwards everything must be as wanted within this.
const SETTLES: Duration = Duration::from_secs(5);

/// Whether this machine has time for us: on a starved one nothing can be said about seconds.
fn is_starved() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split_whitespace().next().unwrap().parse().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    load > 3.0 * f64::from(u32::try_from(cores).unwrap())
}

fn storm(count: usize, signals: usize) {
    let starved = is_starved();
    let seed = seed();
    eprintln!("TACHI_SEED={seed} repeats this storm of {signals} signals on {count} workers");
    let mut dice = Dice(seed);
    let mut stage = Stage::workers(count);
    let mut supervisor = stage.up_and_ready(count);
    for n in 0..signals {
        // Now and then the supervisor; otherwise anybody, dead or alive.
        if dice.below(30) == 0 {
            signal(supervisor, "KILL");
            stage.ended();
            supervisor = stage.up();
            continue;
        }
        let living = stage.living_workers();
        if living.is_empty() {
            continue;
        }
        let (pid, _) = &living[dice.below(living.len())];
        signal(*pid, ["KILL", "KILL", "TERM", "STOP", "CONT"][dice.below(5)]);
        if n % 10 == 0 {
            let ids: Vec<_> = stage.living_workers().into_iter().map(|(_, id)| id).collect();
            let distinct: BTreeSet<_> = ids.iter().collect();
            assert_eq!(ids.len(), distinct.len(), "somebody is there twice: {ids:?}");
        }
    }
    let begin = Instant::now();
    for (pid, _) in stage.living_workers() {
        signal(pid, "CONT");
    }
    stage.wait("desired is actual", |stage| settled(stage, count));
    let settled_after = begin.elapsed();
    eprintln!("settled after {settled_after:?}");
    assert!(starved || settled_after < SETTLES, "settled after {settled_after:?}");
    stage.wait_for_quiet();
    let before = open_files(supervisor);
    for _ in 0..count {
        let living = stage.living_workers();
        if let Some((pid, _)) = living.get(dice.below(living.len().max(1))) {
            signal(*pid, "KILL");
        }
    }
    stage.wait("desired is actual again", |stage| settled(stage, count));
    stage.wait("no zombies, no descriptors more than before", |_| {
        (zombies_of(supervisor) == 0 && open_files(supervisor).len() <= before.len()).then_some(())
    });
    stage.ask(&["down"]);
    assert!(stage.ended().is_some());
    assert_eq!(stage.survivors(), [""; 0]);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn p59_after_a_storm_of_signals_everybody_of_4_is_there_once() {
    storm(4, 100);
}

#[test]
fn p59_after_a_storm_of_signals_everybody_of_32_is_there_once() {
    let signals = if std::env::var_os("TACHI_LONG").is_some() { 2_000 } else { 150 };
    storm(32, signals);
}

/// A long run only: 100 workers need more than two seconds to start where others test beside them.
#[test]
fn p59_after_a_long_storm_of_signals_everybody_of_100_is_there_once() {
    if std::env::var_os("TACHI_LONG").is_some() {
        storm(100, 2_000);
    }
}
