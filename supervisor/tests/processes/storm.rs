//! P59: a storm of signals on workers and supervisor; afterwards everything is as it should be.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

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

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn zombies_of(supervisor: u32) -> usize {
    let list =
        fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap_or_default();
    let dead = |pid: &&str| {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim().starts_with('Z')))
    };
    list.split_whitespace().filter(dead).count()
}

#[test]
fn p59_after_a_storm_of_signals_everybody_is_there_once() {
    let (count, signals) = if std::env::var_os("TACHI_LONG").is_some() { (100, 2_000) } else { (32, 150) };
    let seed = seed();
    println!("TACHI_SEED={seed} repeats this storm of {signals} signals on {count} workers");
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
    println!("settled after {:?}", begin.elapsed());
    let before = open_files(supervisor);
    for _ in 0..count {
        let living = stage.living_workers();
        if let Some((pid, _)) = living.get(dice.below(living.len().max(1))) {
            signal(*pid, "KILL");
        }
    }
    stage.wait("desired is actual again", |stage| settled(stage, count));
    stage.wait("no zombies, no descriptors more than before", |_| {
        (zombies_of(supervisor) == 0 && open_files(supervisor) <= before).then_some(())
    });
    stage.ask(&["down"]);
    assert!(stage.ended().is_some());
    assert_eq!(stage.survivors(), [""; 0]);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}
