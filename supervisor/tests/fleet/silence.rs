//! The watchdog: who is stalled, who is killed, and who is spared.

use tachi::fleet::{Action, Event, next};

use super::scene::{Scene, at, check, parse, settings, shown};

#[test]
fn p36_silence_is_first_shown_and_then_ended() {
    let mut scene = Scene::running(1);
    scene.check(
        "30_009 tick        =>
         30_009 ? 1 ready
         30_010 tick        =>
         30_010 ? 1 stalled
         120_009 tick       =>
         120_010 tick       => kill 1#1
         120_011 killed 1#1 9 => kill 1#1
         120_012 empty 1#1  => spawn 1#2, release 1#1, tell 1",
    );
    assert_eq!(scene.row(1).last_death.unwrap().cause, "watchdog");
}

#[test]
fn p36_declared_silence_is_legal_and_progress_ends_a_stall() {
    check(
        1,
        "1000 busy 1#1 200_000 =>
         199_999 tick          =>
         199_999 ? 1 ready
         200_000 tick          =>
         200_000 ? 1 stalled
         200_100 ready 1#1     =>
         200_100 ? 1 ready
         229_000 tick          =>
         229_000 ? 1 ready",
    );
}

#[test]
fn p37_a_start_that_does_not_become_ready_is_shown_and_then_ended() {
    let mut scene = Scene::new(&settings(1));
    scene.check(
        "0 began          => spawn 1#1
         0 spawned 1#1    =>
         29_999 ? 1 starting
         30_000 tick      =>
         30_000 ? 1 stalled
         120_000 tick     => kill 1#1",
    );
}

#[test]
fn p36_the_frozen_are_not_judged() {
    let mut scene = Scene::running(1);
    scene.check("1000 frozen 1 => \n 1000 ? 1 frozen");
    for ms in (2000..600_000).step_by(1000) {
        scene.check(&format!("{ms} tick => \n {ms} ? 1 frozen"));
    }
    scene.check(
        "600_000 thawed 1 =>
         600_000 ? 1 ready
         629_000 tick     =>
         629_000 ? 1 ready",
    );
}

#[test]
fn p60_a_supervisor_that_was_stopped_for_a_minute_blames_nobody() {
    let mut scene = Scene::running(2);
    let late = next(&mut scene.fleet, Event::Tick, at(300_000));
    assert!(!late.iter().any(|action| matches!(action, Action::KillTree { .. })), "{late:?}");
    scene.now = at(300_000);
    assert_eq!(scene.row(1).status.word(), "ready");
    scene.check("329_000 tick => \n 329_000 ? 1 ready \n 330_000 tick => \n 330_000 ? 1 stalled");
}

#[test]
fn p24_a_stop_gets_time_again_after_a_late_loop() {
    let mut scene = Scene::running(1);
    scene.check("1000 a asks stop 1 => TERM 1, CONT 1");
    let late = next(&mut scene.fleet, Event::Tick, at(60_000));
    assert!(!late.iter().any(|action| matches!(action, Action::KillTree { .. })), "{late:?}");
    scene.now = at(60_000);
    scene.check("61_999 tick => \n 62_000 tick => kill 1#1");
}

#[test]
fn p24_time_is_given_again_only_once_or_a_slow_machine_never_ends() {
    let mut scene = Scene::running(1);
    scene.check("1000 a asks stop 1 => TERM 1, CONT 1");
    let late = next(&mut scene.fleet, Event::Tick, at(60_000));
    assert_eq!(shown(&late), [""; 0]);
    let late = next(&mut scene.fleet, Event::Tick, at(120_000));
    assert_eq!(shown(&late), ["kill 1#1"]);
}

/// A beat of the first start of `1` that tells something new.
fn does(ms: u64, what: &str) -> Event {
    match parse(&["ready", "1#1"], ms) {
        Event::Beat { id, incarnation, ready, progress_at, busy_until, paused, at, .. } => Event::Beat {
            id,
            incarnation,
            ready,
            progress_at,
            busy_until,
            paused,
            doing: what.to_owned(),
            at,
        },
        other => other,
    }
}

#[test]
fn doing_reaches_the_registry_at_most_every_five_seconds_and_only_when_it_changed() {
    let mut scene = Scene::running(1);
    let saves = |actions: &[Action]| actions.contains(&Action::SaveRegistry);
    assert!(!saves(scene.give(1000, does(1000, "reading"))));
    assert!(!saves(scene.give(4000, does(4000, "writing"))));
    assert!(saves(scene.give(5010, parse(&["tick"], 0))));
    assert!(!saves(scene.give(9000, parse(&["tick"], 0))));
    assert!(!saves(scene.give(12_000, parse(&["tick"], 0))));
}

#[test]
fn p62_that_somebody_idle_still_lives_reaches_the_registry_once_a_minute() {
    let mut scene = Scene::running(1);
    let saves = |actions: &[Action]| actions.contains(&Action::SaveRegistry);
    for ms in [1000, 20_000, 40_000, 59_000] {
        assert!(!saves(scene.give(ms, parse(&["ready", "1#1"], ms))), "at {ms}");
    }
    assert!(saves(scene.give(60_010, parse(&["tick"], 0))));
    assert!(!saves(scene.give(61_000, parse(&["ready", "1#1"], 61_000))));
    assert!(!saves(scene.give(62_000, does(62_000, "reading"))));
    assert!(saves(scene.give(65_010, parse(&["tick"], 0))), "news does not wait that long");
}

#[test]
fn every_list_ends_with_the_nearest_deadline() {
    let mut scene = Scene::running(1);
    let actions = scene.give(1000, does(1000, "reading")).to_vec();
    assert_eq!(actions.last(), Some(&Action::WakeAt(at(5010).mono)), "the refresh comes first");
    let actions = scene.give(5010, parse(&["tick"], 0)).to_vec();
    assert_eq!(actions.last(), Some(&Action::WakeAt(at(31_000).mono)), "then silence");
}

#[test]
fn p37_the_time_to_become_ready_is_apart_from_every_rule_about_silence() {
    let mut settings = settings(1);
    settings.specs[0].kind = tachi_shared::registry::Kind::Command;
    settings.specs[0].ready = Some(tachi::settings::Probe {
        sign: tachi::settings::Sign::Log("up".to_owned()),
        every: std::time::Duration::from_millis(200),
        within: std::time::Duration::from_secs(3),
    });
    let mut scene = Scene::new(&settings);
    scene.check(
        "0 began       => spawn 1#1
         100 spawned 1#1 =>
         100 beat 1#1  =>
         3099 tick     =>
         3100 tick     => kill 1#1
         3101 killed 1#1 9 => kill 1#1
         3102 empty 1#1 => spawn 1#2, release 1#1, tell 1
         3200 spawned 1#2 =>
         4000 frozen 1 =>
         9000 tick     =>
         9500 thawed 1 =>
         12_000 ready 1#2 =>
         900_000 tick  =>
         900_000 ? 1 ready",
    );
    assert_eq!(scene.row(1).last_death.unwrap().cause, "watchdog");
}

#[test]
fn p41_who_uses_more_memory_than_it_may_is_asked_to_end_and_restarted_like_after_a_crash() {
    let mut settings = settings(2);
    settings.specs[0].max_rss = Some(100 << 20);
    let mut scene = Scene::running_with(&settings);
    let grown = |k: u32, incarnation: u32, bytes: u64| Event::Grown {
        id: super::scene::id(k),
        incarnation: tachi_shared::id::Incarnation(incarnation),
        bytes,
    };
    assert_eq!(shown(scene.give(1000, grown(1, 1, 100 << 20))), [""; 0], "as much as it may");
    assert_eq!(shown(scene.give(1001, grown(2, 1, 900 << 20))), [""; 0], "it has no limit");
    assert_eq!(shown(scene.give(1002, grown(1, 7, 900 << 20))), [""; 0], "another start");
    assert_eq!(shown(scene.give(1003, grown(1, 1, 101 << 20))), ["TERM 1", "CONT 1"]);
    assert_eq!(shown(scene.give(1004, grown(1, 1, 101 << 20))), [""; 0], "once");
    scene.check(
        "1005 exit 1#1 0 => kill 1#1
         1006 empty 1#1  => spawn 1#2, release 1#1, tell 1",
    );
    let row = scene.row(1);
    assert_eq!((row.last_death.unwrap().cause.as_str(), row.backoff.level), ("memory", 1));
}
