//! Deaths nobody asked for.

use std::time::Duration;

use tachi::fleet::Action;
use tachi::fleet::event::How;
use tachi::settings::RestartPolicy;
use tachi_shared::registry::DeathKind;

use super::scene::{Scene, check, died, parse, settings, shown};

#[test]
fn m06_a_killed_instance_is_replaced_at_once_and_its_tasks_are_freed() {
    let mut scene = Scene::running(4);
    scene.check(
        "5000 killed 2#1 9   => kill 2#1
         5000 empty 2#1      => spawn 2#2, release 2#1, tell 2
         5001 spawned 2#2    =>
         5001 ? 2 starting
         5005 ready 2#2      =>
         5005 ? 2 ready",
    );
    let row = scene.row(2);
    let death = row.last_death.unwrap();
    assert_eq!((death.kind, death.signal.as_deref()), (DeathKind::Signal, Some("SIGKILL")));
    assert_eq!((death.cause.as_str(), row.restarts, row.pid), ("external", 1, Some(2002)));
    assert!((death.uptime_s - 4.995).abs() < 0.001, "{}", death.uptime_s);
}

#[test]
fn m07_ten_hand_kills_within_a_minute_come_back_at_once_each_time() {
    let mut scene = Scene::running(4);
    for k in 1..=10_u64 {
        let (t, i) = (k * 5000, k);
        scene.check(&format!(
            "{t} killed 2#{i} 9 => kill 2#{i}
             {t} empty 2#{i}    => spawn 2#{0}, release 2#{i}, tell 2
             {t} spawned 2#{0}  =>
             {t} ready 2#{0}    =>",
            i + 1
        ));
    }
    assert_eq!(scene.row(2).backoff.crashes, []);
}

#[test]
fn p31_the_thirty_first_outside_kill_in_a_minute_gives_up() {
    let mut scene = Scene::running(4);
    for i in 1..=30_u64 {
        let t = i * 1500;
        scene.check(&format!(
            "{t} killed 2#{i} 9 => kill 2#{i}
             {t} empty 2#{i}    => spawn 2#{0}, release 2#{i}, tell 2
             {t} spawned 2#{0}  =>
             {t} ready 2#{0}    =>",
            i + 1
        ));
    }
    scene.check(
        "46500 killed 2#31 9 => kill 2#31
         46500 empty 2#31    => release 2#31, tell 2
         46500 ? 2 failed",
    );
}

#[test]
fn a_second_kill_before_it_has_settled_counts_but_is_back_within_two_seconds() {
    let mut scene = Scene::running(4);
    scene.check(
        "5000 killed 2#1 9 => kill 2#1
         5000 empty 2#1    => spawn 2#2, release 2#1, tell 2
         5000 spawned 2#2  =>
         5010 ready 2#2    =>
         5500 killed 2#2 9 => kill 2#2
         5500 empty 2#2    => spawn 2#3, release 2#2, tell 2
         5500 spawned 2#3  =>
         5510 ready 2#3    =>
         5600 killed 2#3 9 => kill 2#3
         5600 empty 2#3    => release 2#3, tell 2
         5600 ? 2 backoff
         5600 tick         =>
         6300 tick         => spawn 2#4",
    );
}

#[test]
fn p31_crashes_are_answered_at_once_then_after_growing_jittered_delays_then_given_up() {
    let mut scene = Scene::running(1);
    let mut delays = Vec::new();
    let mut ms = 1000;
    for i in 1..=6_u32 {
        scene.give(ms, died(1, i, How::Exit(1)));
        let actions = scene.give(ms, parse(&["empty", &format!("1#{i}")], ms)).to_vec();
        if i == 6 {
            break;
        }
        let spawned = |actions: &[Action]| actions.iter().any(|a| matches!(a, Action::Spawn { .. }));
        let died_at = ms;
        if !spawned(&actions) {
            let due = scene.row(1).next_restart_at.unwrap();
            let wait = scene.now.wall.age(due);
            let wait = u64::try_from(wait.as_micros()).unwrap().div_ceil(1000);
            assert!(!spawned(scene.give(ms + wait - 2, parse(&["tick"], 0))), "started before its time");
            ms += wait;
            assert!(spawned(scene.give(ms, parse(&["tick"], 0))), "not started at its time");
        }
        delays.push(Duration::from_millis(ms - died_at).as_secs_f64());
        scene.give(ms, parse(&["spawned", &format!("1#{}", i + 1)], ms));
    }
    assert_eq!(scene.row(1).status.word(), "failed");
    assert!(scene.row(1).reason.unwrap().contains("5 automatic restarts within 60 s are used up"));
    for (delay, nominal) in delays.iter().zip([0.0, 0.5, 1.0, 2.0, 4.0]) {
        assert!((nominal * 0.75 - 0.01..=nominal * 1.25 + 0.01).contains(delay), "{delays:?}");
    }
    scene.check("60_000 tick => \n 600_000 tick => \n 600_000 ? 1 failed");
}

#[test]
fn p32_a_level_is_paid_back_by_health_one_at_a_time() {
    let mut scene = Scene::running(1);
    scene.check(
        "1000 exit 1#1 1    => kill 1#1
         1000 empty 1#1     => spawn 1#2, release 1#1, tell 1
         1000 spawned 1#2   =>
         1010 ready 1#2     =>",
    );
    assert_eq!(scene.row(1).backoff.level, 1);
    for ms in (4000..=62_000).step_by(4000) {
        scene.give(ms, parse(&["ready", "1#2"], ms));
    }
    scene.check(
        "62_000 exit 1#2 1  => kill 1#2
         62_000 empty 1#2   => spawn 1#3, release 1#2, tell 1",
    );
    assert_eq!(scene.row(1).backoff.level, 1, "one healthy minute pays for one level, the crash costs one");
}

#[test]
fn p30_deaths_are_classified_by_intent() {
    for (event, cause) in [
        ("killed 1#1 9", "external"),
        ("killed 1#1 15", "external"),
        ("killed 1#1 11", "crash"),
        ("killed 1#1 6", "crash"),
        ("exit 1#1 1", "crash"),
        ("exit 1#1 0", "self"),
        ("oom 1#1", "oom"),
        ("lost 1#1", "lost"),
    ] {
        let mut scene = Scene::running(4);
        scene.give(5000, parse(&event.split(' ').collect::<Vec<_>>(), 5000));
        assert_eq!(scene.row(1).last_death.unwrap().cause, cause, "{event}");
        assert_eq!(scene.recorded(), ["died"], "{event}");
        scene.give(5000, parse(&["empty", "1#1"], 5000));
        assert_eq!(scene.row(1).status.word(), "starting", "{event}");
    }
}

#[test]
fn p30_policies_decide_who_comes_back() {
    use RestartPolicy::{Always, Job, Never, OnFailure};
    for (policy, event, status) in [
        (Always, "exit 1#1 0", "starting"),
        (OnFailure, "exit 1#1 0", "stopped"),
        (OnFailure, "exit 1#1 3", "starting"),
        (OnFailure, "killed 1#1 15", "starting"),
        (Never, "exit 1#1 0", "stopped"),
        (Never, "killed 1#1 9", "failed"),
        (Job, "exit 1#1 0", "stopped"),
        (Job, "exit 1#1 1", "starting"),
        (Always, "exit 1#1 78", "failed"),
    ] {
        let mut settings = settings(1);
        settings.specs[0].restart = policy;
        let mut scene = Scene::running_with(&settings);
        scene.give(5000, parse(&event.split(' ').collect::<Vec<_>>(), 5000));
        scene.give(5000, parse(&["empty", "1#1"], 5000));
        assert_eq!(scene.row(1).status.word(), status, "{policy:?} after {event}");
    }
}

#[test]
fn an_id_held_by_another_process_is_tried_again_later_and_never_given_up() {
    let mut scene = Scene::new(&settings(1));
    scene.check("0 began => spawn 1#1 \n 5 spawned 1#1 =>");
    for (i, ms) in (1_u64..=8).zip([10, 20_000, 40_000, 60_000, 100_000, 200_000, 300_000, 400_000]) {
        scene.check(&format!(
            "{ms} exit 1#{i} 75 => kill 1#{i}
             {ms} empty 1#{i}   => release 1#{i}, tell 1
             {ms} ? 1 backoff"
        ));
        assert!(scene.row(1).reason.unwrap().contains("another process holds the id instance_1"));
        let due = scene.row(1).next_restart_at.unwrap();
        let later = ms + u64::try_from(scene.now.wall.age(due).as_millis()).unwrap() + 1;
        scene.check(&format!("{later} tick => spawn 1#{0} \n {later} spawned 1#{0} =>", i + 1));
    }
}

#[test]
fn p04_a_failed_spawn_counts_unless_the_machine_is_full() {
    for (full, counted) in [("full", 0), ("broken", 1)] {
        let mut scene = Scene::new(&settings(1));
        scene.give(0, parse(&["began"], 0));
        scene.give(1, parse(&["spawn-failed", "1#1", full], 1));
        assert_eq!(scene.row(1).backoff.crashes.len(), counted, "{full}");
        assert_eq!(scene.row(1).last_death.unwrap().kind, DeathKind::SpawnError);
        let expected = if full == "full" { "backoff" } else { "starting" };
        assert_eq!(scene.row(1).status.word(), expected);
    }
}

#[test]
fn without_a_limit_crashes_never_end_in_failure() {
    let mut settings = settings(1);
    settings.specs[0].limit = None;
    settings.specs[0].backoff.base = Duration::ZERO;
    let mut scene = Scene::running_with(&settings);
    for i in 1..=200_u64 {
        scene.check(&format!(
            "{0} exit 1#{i} 1   => kill 1#{i}
             {0} empty 1#{i}    => spawn 1#{1}, release 1#{i}, tell 1
             {0} spawned 1#{1}  =>",
            10 + i,
            i + 1
        ));
    }
}

#[test]
fn p65_many_that_die_alike_wait_together_and_one_probes() {
    let mut scene = Scene::new(&settings(4));
    scene.check("0 began => spawn 1#1, spawn 2#1, spawn 3#1, spawn 4#1");
    scene.check("1 spawned 1#1 \n 1 spawned 2#1 \n 1 spawned 3#1 \n 1 spawned 4#1");
    scene.check(
        "100 exit 1#1 1  => kill 1#1
         100 empty 1#1   => spawn 1#2, release 1#1, tell 1
         100 exit 2#1 1  => kill 2#1
         100 empty 2#1   => spawn 2#2, release 2#1, tell 2
         100 exit 3#1 1  => kill 3#1",
    );
    assert_eq!(scene.recorded(), ["brake", "died"]);
    scene.check(
        "100 empty 3#1    => release 3#1
         100 ? 3 backoff
         101 spawned 1#2  =>
         101 spawned 2#2  =>
         200 exit 1#2 1   => kill 1#2
         200 empty 1#2    => release 1#2
         200 exit 2#2 1   => kill 2#2
         200 empty 2#2    => release 2#2
         200 exit 4#1 1   => kill 4#1
         200 empty 4#1    => release 4#1
         10_099 tick      =>
         10_100 tick      => spawn 1#3
         10_101 spawned 1#3 =>
         10_200 exit 1#3 1 => kill 1#3
         10_200 empty 1#3  => release 1#3
         30_199 tick       =>
         30_200 tick       => spawn 1#4
         30_201 spawned 1#4 =>
         30_300 ready 1#4  => spawn 2#3, spawn 3#2, spawn 4#2",
    );
}

#[test]
fn p65_signals_from_outside_never_trip_the_brake() {
    let mut scene = Scene::running(4);
    for k in 1..=4 {
        scene.check(&format!("5000 killed {k}#1 9 => kill {k}#1"));
        assert_eq!(scene.recorded(), ["died"]);
        scene.check(&format!("5000 empty {k}#1 => spawn {k}#2, release {k}#1, tell {k}"));
    }
}

#[test]
fn m05_kills_of_those_that_have_just_become_ready_do_not_stop_the_others() {
    let mut scene = Scene::new(&settings(4));
    scene.check("0 began => spawn 1#1, spawn 2#1, spawn 3#1, spawn 4#1");
    for k in 1..=4 {
        scene.check(&format!("1 spawned {k}#1 \n 20 ready {k}#1"));
    }
    scene.recorded();
    for k in 1..=4 {
        scene.check(&format!("200 killed {k}#1 9 => kill {k}#1"));
        assert_eq!(scene.recorded(), ["died"], "no brake");
        scene.check(&format!("200 empty {k}#1 => spawn {k}#2, release {k}#1, tell {k}"));
        scene.recorded();
    }
}

#[test]
fn p65_a_brake_switched_off_never_holds() {
    let mut settings = settings(4);
    settings.brake = false;
    let mut scene = Scene::running_with(&settings);
    for k in 1..=4 {
        scene.check(&format!(
            "5000 exit {k}#1 1 => kill {k}#1
             5000 empty {k}#1  => spawn {k}#2, release {k}#1, tell {k}"
        ));
    }
}

#[test]
fn p65_a_probe_that_is_stopped_makes_room_for_the_next() {
    let mut scene = Scene::running(3);
    for k in 1..=3 {
        scene.give(5000, died(k, 1, How::Exit(1)));
    }
    scene.check(
        "5000 empty 1#1 => release 1#1
         5000 empty 2#1 => release 2#1
         5000 empty 3#1 => release 3#1
         15_000 tick    => spawn 1#2
         15_001 spawned 1#2 =>
         15_002 a asks stop 1 => TERM 1, CONT 1
         15_003 exit 1#2 0  => kill 1#2
         15_003 empty 1#2   => spawn 2#2, release 1#2, reply a 0",
    );
}

#[test]
fn p65_a_tree_that_is_empty_only_after_the_release_starts_at_once() {
    let mut scene = Scene::running(3);
    for k in 1..=3 {
        scene.give(5000, died(k, 1, How::Exit(1)));
    }
    scene.check(
        "5000 empty 1#1     => release 1#1
         5000 empty 2#1     => release 2#1",
    );
    let mut spawned = Vec::new();
    for ms in (6000..=26_000).step_by(1000) {
        let brought = shown(scene.give(ms, parse(&["tick"], ms)));
        spawned.extend(brought.into_iter().filter(|word| word.starts_with("spawn")));
        if ms == 15_000 {
            scene.check("15_000 spawned 1#2 => \n 15_000 ready 1#2 =>");
        }
    }
    assert_eq!(spawned, ["spawn 1#2", "spawn 2#2"]);
    scene.check("26_001 empty 3#1 => spawn 3#2, release 3#1, tell 3");
}

#[test]
fn old_news_changes_nothing() {
    check(
        2,
        "5000 killed 2#1 9 => kill 2#1
         5000 killed 2#1 9 =>
         5000 empty 2#1    => spawn 2#2, release 2#1, tell 2
         5000 empty 2#1    =>
         5000 killed 2#1 9 =>
         5001 spawned 2#2  =>
         5001 spawned 2#2  =>
         5002 killed 2#1 9 =>
         5002 spawned 7#1  =>
         5003 ready 2#1    =>
         5003 ? 2 starting",
    );
}

#[test]
fn announcements_say_what_follows() {
    let mut scene = Scene::running(2);
    scene.give(5000, died(2, 1, How::Signal(9)));
    let actions = scene.give(5000, parse(&["empty", "2#1"], 5000));
    let told = actions.iter().find_map(|action| match action {
        Action::Announce { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(told, Some("instance_2 crashed: SIGKILL (external), restarting now"));
}
