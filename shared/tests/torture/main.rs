//! The torture: real processes on one store, killed at random moments, and a checker over what they acknowledged, what the
//! files hold and what the readers made of it.
//!
//! A share of 500 kills runs always; `TACHI_LONG=1` makes it 10,000. The seed is printed; `TACHI_TORTURE_SEED` repeats the
//! choices of a run (never its exact timing: the kernel schedules).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may; it also plays programs that touch files from outside"
)]

mod actors;
mod checker;
mod dice;
mod edit;
mod killer;
mod ledger;
mod readers;
mod words;

use std::time::{Duration, Instant};

use tachi_shared::clock::now;
use tachi_shared::store::Store;

use crate::dice::Dice;
use crate::killer::{Killer, SLOTS};
use crate::words::Scene;

/// Not a test of its own: one process under torture, doing what its environment says.
#[test]
fn process_under_torture() {
    let Some(scene) = Scene::from_environment() else { return };
    match &scene.slot[..1] {
        "w" => actors::write(&scene),
        "r" => readers::run(&scene),
        "c" => actors::claim(&scene),
        "m" => actors::count(&scene),
        "h" => edit::hand(&scene),
        _ => edit::keep(&scene),
    }
}

#[test]
fn s25_nothing_acknowledged_is_lost_or_repeated_when_writers_readers_and_claimers_are_killed_at_random() {
    let long = std::env::var_os("TACHI_LONG").is_some();
    let kills = if long { 10_000 } else { 500 };
    let given = std::env::var("TACHI_TORTURE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| now().mono.as_millis() ^ (u64::from(std::process::id()) << 32));
    println!("torture: seed {seed}, {kills} kills wanted");

    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("state");
    let store = Store::create(&root).unwrap();
    let ledgers = temp.path().join("ledgers");
    std::fs::create_dir(&ledgers).unwrap();

    let begun = Instant::now();
    let mut killer = Killer::new(&root, &ledgers, Dice::new(seed));
    let patience = Duration::from_secs(if long { 1_800 } else { 240 });
    let told = killer.run(kills, begun + patience);
    let lasted = begun.elapsed();
    // From here on nobody but this process is at work.
    let incarnations = killer.end();
    let failed = told.and_then(|()| checker::check(&store, &ledgers, &incarnations));
    let spread: Vec<String> = SLOTS.iter().map(|slot| format!("{slot} {}", incarnations[*slot])).collect();
    println!("torture: starts by process: {}", spread.join(", "));
    match failed {
        Ok(totals) => println!(
            "torture: {} kills in {:.1} s; {totals}; seed {seed}",
            killer.kills(),
            lasted.as_secs_f64()
        ),
        Err(why) => {
            let kept = temp.keep();
            panic!("seed {seed}, {} kills: {why}\nkept in {}", killer.kills(), kept.display());
        }
    }
}
