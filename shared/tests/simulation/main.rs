//! The store on a simulated machine: processes, kills, power losses, full disks and time by seed.
//!
//! A run starts some senders, readers, writers of the memory or claimers of tasks on the shipped `log`, `queue`, `snapshot`
//! and `task` code, lets the seed decide who goes on, who dies in the middle of which call and when the power fails, and
//! then recovers and judges: with the checkers of `tachi doctor`, and with a ledger of what everybody was promised.
//!
//! `TACHI_SEED=n` replays one seed (with a planted mistake: `TACHI_MUTANT=NoLock`) and tells its story; `TACHI_LONG=1` runs a million or as many as fit into its time.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, reads its environment and says what it did"
)]

mod disk;
mod judge;
mod ledger;
mod plan;
mod process;
mod random;
mod storage;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tachi_shared::layout::StateDir;

use judge::Judge;
use plan::{Mutant, Plan};
use process::Start;
use storage::Machine;
use world::{GaveUp, Killed, World};

/// The judge is no process of the machine.
const NOBODY: usize = usize::MAX;

/// So many seeds are run whatever the time.
const LEAST: u64 = 200;

/// One run: what was violated, and the story if wanted.
fn run(seed: u64, mutant: Option<Mutant>, wants_story: bool) -> (Vec<String>, Vec<String>) {
    let plan = Plan::new(seed, mutant);
    let processes = usize::try_from(plan.processes()).unwrap();
    let world = World::new(plan.clone(), processes);
    let dir = StateDir::new("/simulated");
    {
        let mut inside = world.inside();
        dir.directories().iter().for_each(|path| inside.files.make_dir(path));
        inside.files.settle();
        inside.ledger.durable = plan.durable;
        inside.ledger.story = wants_story.then(|| vec![format!("{plan:?}")]);
    }
    std::thread::scope(|scope| {
        for me in 0..processes {
            let machine = Machine { world: world.clone(), me };
            let (plan, dir) = (&plan, &dir);
            let thread = std::thread::Builder::new().stack_size(256 * 1024);
            thread.spawn_scoped(scope, move || live(&machine, dir, plan)).unwrap();
        }
    });
    let machine = Machine { world: world.clone(), me: NOBODY };
    world.inside().calm = true;
    Judge { machine: &machine, dir: &dir, plan: &plan }.judge();
    let mut inside = world.inside();
    let story = inside.ledger.story.take().unwrap_or_default();
    (std::mem::take(&mut inside.ledger.violations), story)
}

/// One process with all its starts.
fn live(machine: &Machine, dir: &StateDir, plan: &Plan) {
    let me = machine.me as u64;
    let mut incarnation = 0;
    loop {
        incarnation += 1;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let from_readers = me.wrapping_sub(plan.senders);
            let from_rememberers = from_readers.wrapping_sub(plan.readers);
            let from_claimers = from_rememberers.wrapping_sub(plan.rememberers);
            let start =
                |name: &str, act: fn(&Start<'_>)| act(&Start { machine, dir, plan, name, incarnation });
            if me < plan.senders {
                start(&format!("sender_{me}"), |start| start.send());
            } else if from_readers < plan.readers {
                start(&format!("reader_{from_readers}"), |start| start.read());
            } else if from_rememberers < plan.rememberers {
                start(&format!("rememberer_{from_rememberers}"), |start| start.remember());
            } else {
                start(&format!("claimer_{from_claimers}"), |start| start.work());
            }
        }));
        match ended {
            Err(why) if why.is::<Killed>() => {}
            ended => {
                if ended.is_err_and(|why| !why.is::<GaveUp>()) {
                    machine.world.inside().ledger.blame(format!("process {me} panicked"));
                }
                return machine.world.leave(machine.me);
            }
        }
    }
}

/// Runs seeds from `first` on until one is violated, `count` are done or time is up; how many were run, and what was found.
fn search(
    first: u64,
    count: u64,
    time: Duration,
    mutant: Option<Mutant>,
) -> (u64, Option<(u64, Vec<String>)>) {
    let (next, done, stop) = (AtomicU64::new(first), AtomicU64::new(0), AtomicBool::new(false));
    let found = std::sync::Mutex::new(None);
    let end = Instant::now() + time;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // A slow machine runs fewer, but not none.
                let enough = || Instant::now() >= end && done.load(Ordering::Relaxed) >= LEAST;
                while !stop.load(Ordering::Relaxed) && !enough() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let (violations, _) = run(seed, mutant, false);
                    done.fetch_add(1, Ordering::Relaxed);
                    if !violations.is_empty() {
                        stop.store(true, Ordering::Relaxed);
                        found.lock().unwrap().get_or_insert((seed, violations));
                    }
                }
            });
        }
    });
    (done.into_inner(), found.into_inner().unwrap())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn whatever_dies_whenever_nothing_acknowledged_is_lost_and_nothing_comes_twice() {
    if let Some(seed) = number("TACHI_SEED") {
        let name = std::env::var("TACHI_MUTANT").unwrap_or_default();
        let mutant = Mutant::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name);
        let (violations, story) = run(seed, mutant, true);
        story.iter().for_each(|line| eprintln!("{line}"));
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
        return;
    }
    let long = std::env::var_os("TACHI_LONG").is_some();
    let (count, time) = if long { (1_000_000, 1200) } else { (10_000, 9) };
    let began = Instant::now();
    let (done, found) =
        search(number("TACHI_FIRST_SEED").unwrap_or(0), count, Duration::from_secs(time), None);
    eprintln!("{done} seeds in {:.1} s", began.elapsed().as_secs_f64());
    if let Some((seed, violations)) = found {
        panic!("TACHI_SEED={seed} replays it: {violations:#?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn every_planted_mistake_is_caught() {
    for mutant in Mutant::ALL {
        let (done, found) = search(0, 2000, Duration::from_secs(20), Some(mutant));
        let (seed, violations) = found.unwrap_or_else(|| panic!("{mutant:?} survived {done} seeds"));
        eprintln!("{mutant:?}: seed {seed} after {done}: {}", violations[0]);
    }
}
