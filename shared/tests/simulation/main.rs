//! The store on a simulated machine: processes, kills, power losses, full disks and time by seed.
//!
//! A run starts a cast of processes on the shipped `log`, `queue`, `snapshot` and `task` code: senders, readers, hands with
//! the keeper of the view, a warden that removes old segments, writers of memory and registry, or claimers of tasks. The
//! seed decides who goes on, who dies in the middle of which call, what fails and when the power is lost. Then it recovers
//! and judges: with the checkers of `tachi doctor`, and with a ledger of what everybody was promised.
//!
//! `TACHI_SEEDS=n` runs so many seeds (default 1,000; `TACHI_LONG=1` makes it a million), `TACHI_FIRST_SEED=n` begins there;
//! `TACHI_SEED=n` replays one (with a planted mistake: `TACHI_MUTANT=NoLock`) and tells its story.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, reads its environment and says what it did"
)]

mod disk;
mod documents;
mod hands;
mod judge;
mod ledger;
mod messages;
mod plan;
mod process;
mod random;
mod reading;
mod storage;
mod tasks;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tachi_shared::layout::StateDir;

use judge::Judge;
use plan::{Mutant, Part, Plan};
use process::Start;
use storage::Machine;
use world::{GaveUp, Killed, World};

/// The judge is no process of the machine.
const NOBODY: usize = usize::MAX;

/// One run: what was violated, and the story if wanted.
fn run(seed: u64, mutant: Option<Mutant>, wants_story: bool) -> (Vec<String>, Vec<String>) {
    let plan = Plan::new(seed, mutant);
    let processes = plan.cast.len();
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
    let (part, k) = plan.cast[machine.me];
    let name = format!("{part:?}_{k}").to_lowercase();
    let mut incarnation = 0;
    loop {
        incarnation += 1;
        let start = Start { machine, dir, plan, name: &name, incarnation };
        let ended = catch_unwind(AssertUnwindSafe(|| match part {
            Part::Sender => start.send(),
            Part::Scribe => start.write_by_hand(),
            Part::Keeper => start.keep(),
            Part::Warden => start.guard(),
            Part::Reader => start.read(),
            Part::Rememberer => start.remember(),
            Part::Registrar => start.register(),
            Part::Claimer => start.work(),
        }));
        match ended {
            Err(why) if why.is::<Killed>() => {}
            ended => {
                if ended.is_err_and(|why| !why.is::<GaveUp>()) {
                    machine.world.inside().ledger.blame(format!("{name} panicked"));
                }
                return machine.world.leave(machine.me);
            }
        }
    }
}

/// Runs seeds from `first` on until one is violated or `count` are done; how many were run, and what was found.
fn search(first: u64, count: u64, mutant: Option<Mutant>) -> (u64, Option<(u64, Vec<String>)>) {
    let (next, done, stop) = (AtomicU64::new(first), AtomicU64::new(0), AtomicBool::new(false));
    let found = std::sync::Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let (violations, _) = run(seed, mutant, false);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(50_000) {
                        eprintln!("{done} seeds up to {seed}");
                    }
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
    let usual = if std::env::var_os("TACHI_LONG").is_some() { 1_000_000 } else { 1_000 };
    let count = number("TACHI_SEEDS").unwrap_or(usual);
    let first = number("TACHI_FIRST_SEED").unwrap_or(0);
    let began = Instant::now();
    let (done, found) = search(first, count, None);
    eprintln!("{done} seeds from {first} on in {:.1} s", began.elapsed().as_secs_f64());
    if let Some((seed, violations)) = found {
        panic!("TACHI_SEED={seed} replays it: {violations:#?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..60 {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn every_planted_mistake_is_caught() {
    for mutant in Mutant::ALL {
        let (done, found) = search(0, 5_000, Some(mutant));
        let (seed, violations) = found.unwrap_or_else(|| panic!("{mutant:?} survived {done} seeds"));
        eprintln!("{mutant:?}: seed {seed} after {done}: {}", violations[0]);
    }
}
