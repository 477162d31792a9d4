//! Commands that cross: every ordered pair of verbs, with more or less of what the first one brings done before the second
//! one comes. The invariants are those of the random histories: one answer each, one life each, a requested stop wins,
//! and in the end what is wanted is what is.

use tachi_shared::command::Verb;

use super::scene::settings;
use super::world::World;

/// Interleavings of each pair; `TACHI_LONG=1` for a thousand.
const EACH: u64 = 40;
const EACH_LONG: u64 = 1_000;

fn verbs() -> Vec<Verb> {
    let one = || vec!["instance_1".to_owned()];
    let all = || vec!["all".to_owned()];
    let kill = |signal: &str| Verb::Kill { targets: one(), signal: signal.to_owned() };
    let scale = |count| Verb::Scale { role: "builder".to_owned(), count };
    vec![
        Verb::Start { targets: one() },
        Verb::Stop { targets: one() },
        Verb::Restart { targets: one() },
        Verb::Rolling { targets: all() },
        Verb::Reset { targets: one() },
        Verb::Pause { targets: one() },
        Verb::Resume { targets: one() },
        Verb::PauseAll,
        Verb::Resume { targets: all() },
        kill("KILL"),
        kill("TERM"),
        kill("STOP"),
        kill("CONT"),
        scale(0),
        scale(3),
        Verb::Down,
    ]
}

fn cross(first: &Verb, second: &Verb, seed: u64) {
    let mut world = World::new(seed, settings(3), false);
    if !world.dice.chance(10) {
        world.calm(400_000);
    }
    world.ask(first.clone());
    for _ in 0..world.dice.below(8) {
        if !world.exited && !world.deliver() {
            let ms = world.dice.below(1_500);
            world.pass(ms);
        }
    }
    if !world.exited {
        world.ask(second.clone());
    }
    world.calm(400_000);
    if !world.exited {
        world.judge_calm();
    }
}

#[test]
fn p35_every_pair_of_commands_may_cross_in_every_way() {
    #[expect(clippy::disallowed_methods, reason = "how long to run is the caller's choice")]
    let each = if std::env::var_os("TACHI_LONG").is_some() { EACH_LONG } else { EACH };
    for first in verbs() {
        for second in verbs() {
            for seed in 0..each {
                let done = std::panic::catch_unwind(|| cross(&first, &second, seed));
                assert!(done.is_ok(), "{first:?}, then {second:?}, broke an invariant with seed {seed}");
            }
        }
    }
}
