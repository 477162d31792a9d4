//! P66: random histories with their invariants. `TACHI_LONG=1` for a million; `TACHI_SEED=n` replays one, told aloud.

use std::time::Duration;

use tachi::fleet::Event;
use tachi::fleet::event::How;
use tachi::settings::{OnFailed, RestartPolicy, Settings, Until};
use tachi_shared::command::Verb;
use tachi_shared::registry::Desired;

use super::scene::settings;
use super::world::{Dice, World};

const HISTORIES: u64 = 20_000;
const HISTORIES_LONG: u64 = 1_000_000;
const THREADS: u64 = 2;

fn fleet_of(dice: &mut Dice) -> Settings {
    let mut settings = settings(3);
    settings.brake = dice.chance(70);
    if dice.chance(25) {
        settings.specs[1].needs = vec!["instance_1".to_owned()];
        // By role: those added later are needed, too.
        settings.specs[2].needs = vec!["builder".to_owned()];
        settings.roles[2].needs = vec!["builder".to_owned()];
    }
    if dice.chance(3) {
        settings.until = Until::AnyFailed;
    }
    for spec in &mut settings.specs {
        spec.grace = Duration::from_millis(1 + dice.below(4000));
        if dice.chance(20) {
            spec.limit = None;
        }
        if dice.chance(15) {
            let run_ends = dice.chance(10);
            spec.on_failed = if run_ends { OnFailed::StopRun } else { OnFailed::StopDependents };
        }
        let policies = [RestartPolicy::OnFailure, RestartPolicy::Never, RestartPolicy::Job];
        if dice.chance(30) {
            spec.restart = *dice.pick(&policies).unwrap();
        }
    }
    settings
}

fn verb(world: &mut World) -> Verb {
    let target = if world.dice.chance(20) { "all".to_owned() } else { world.some_id().to_string() };
    let targets = vec![target];
    match world.dice.below(14) {
        12 => Verb::Rolling { targets },
        13 => Verb::Reset { targets },
        0..3 => Verb::Start { targets },
        3..6 => Verb::Stop { targets },
        6..8 => Verb::Restart { targets },
        8 => Verb::Pause { targets },
        9 => Verb::Resume { targets },
        10 => {
            let signals = ["KILL", "TERM", "STOP", "CONT"];
            Verb::Kill { targets, signal: (*world.dice.pick(&signals).unwrap()).to_owned() }
        }
        _ => {
            let count = u32::try_from(world.dice.below(4)).unwrap();
            Verb::Scale { role: "builder".to_owned(), count }
        }
    }
}

fn step(world: &mut World) {
    let id = world.some_id();
    match world.dice.below(100) {
        0..45 => {
            if !world.deliver() {
                world.pass(100);
            }
        }
        45..60 => {
            if world.dice.chance(10) {
                world.freeze(60_000);
            } else {
                let ms = world.dice.below(3000);
                world.pass(ms);
            }
        }
        60..68 => {
            let paused = world.dice.chance(20);
            world.beat(&id, true, paused);
        }
        68..80 => {
            let ends = [
                How::Signal(9),
                How::Signal(15),
                How::Signal(11),
                How::Exit(1),
                How::Exit(1),
                How::Exit(0),
                How::Exit(75),
                How::Exit(78),
                How::Lost,
            ];
            let how = world.dice.pick(&ends).cloned().unwrap();
            let oom = world.dice.chance(10);
            world.end_leader(&id, how, oom);
        }
        80..90 => {
            let verb = verb(world);
            world.ask(verb);
        }
        90..92 => {
            let desired = [Desired::Running, Desired::Stopped, Desired::Paused];
            let desired = *world.dice.pick(&desired).unwrap();
            world.give(Event::Edited { id, desired });
        }
        92 => world.apply(),
        93 => {
            let present = world.dice.chance(50);
            world.touch_stop_file(present);
        }
        94 => world.ask(Verb::PauseAll),
        95 => world.ask(Verb::Resume { targets: vec!["all".to_owned()] }),
        96..98 => world.old_news(&id),
        98 => world.take_over(),
        _ => {
            let ends = [Event::Terminate { why: "TERM".to_owned() }, Event::Tick, Event::Tick];
            let event = world.dice.pick(&ends).cloned().unwrap();
            world.give(event);
        }
    }
}

fn history(seed: u64, trace: bool) -> u64 {
    let mut dice = Dice::new(seed ^ 0x00c0_ffee);
    let mut world = World::new(seed, fleet_of(&mut dice), trace);
    for _ in 0..dice.below(55) {
        if world.exited {
            break;
        }
        step(&mut world);
    }
    world.calm(400_000);
    if !world.exited {
        world.judge_calm();
    }
    world.spawns
}

#[test]
fn p66_random_histories_keep_the_invariants() {
    #[expect(clippy::disallowed_methods, reason = "how long to run is the caller's choice")]
    let (seed, long) = (std::env::var("TACHI_SEED"), std::env::var("TACHI_LONG").is_ok());
    if let Ok(seed) = seed {
        history(seed.parse().unwrap(), true);
        return;
    }
    let count = if long { HISTORIES_LONG } else { HISTORIES };
    let part = |first: u64| {
        let one = |seed| {
            std::panic::catch_unwind(|| history(seed, false)).unwrap_or_else(|_| {
                panic!("history {seed} broke an invariant: replay with TACHI_SEED={seed}")
            })
        };
        (first..count).step_by(usize::try_from(THREADS).unwrap()).map(one).sum::<u64>()
    };
    let spawns: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || part(first))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(spawns > count * 4, "{spawns} starts in {count} histories: the dice test nothing");
}
