//! Stops of every kind, and that they win.

use tachi::fleet::Action;

use super::scene::{Scene, check, parse, settings, shown};

#[test]
fn p25_a_stop_asks_waits_kills_and_is_true_only_when_the_tree_is_empty() {
    check(
        2,
        "1000 a asks stop 2  => TERM 2, CONT 2
         1000 ? 2 stopping
         10_999 tick         =>
         11_000 tick         => kill 2#1
         12_000 tick         => kill 2#1
         12_100 killed 2#1 9 => kill 2#1
         13_099 tick         =>
         13_100 tick         => kill 2#1
         13_150 tick         =>
         13_200 empty 2#1    => release 2#1, reply a 0
         13_200 ? 2 stopped
         90_000 tick         =>",
    );
}

#[test]
fn p25_the_wish_is_on_its_way_to_disk_before_the_signal() {
    for wish in ["a asks stop 1", "a asks restart 1", "edited 1 stopped", "terminate", "stop-file there"] {
        let mut scene = Scene::running(1);
        scene.check(&format!("1000 {wish} => TERM 1, CONT 1"));
        let save = scene.actions.iter().position(|action| *action == Action::SaveRegistry);
        let signal = scene.actions.iter().position(|action| matches!(action, Action::Signal { .. }));
        assert!(save < signal && save.is_some(), "{:?}", scene.actions);
        assert!(matches!(scene.actions.last(), Some(Action::WakeAt(_))));
    }
}

#[test]
fn p35_a_requested_stop_beats_the_restart_in_every_order() {
    for script in [
        "1000 killed 1#1 9 => kill 1#1
         1000 a asks stop 1 =>
         1000 empty 1#1    => release 1#1, tell 1, reply a 0",
        "1000 a asks stop 1 => TERM 1, CONT 1
         1000 killed 1#1 9 => kill 1#1
         1000 empty 1#1    => release 1#1, reply a 0",
        "1000 killed 1#1 9  => kill 1#1
         1000 empty 1#1     => spawn 1#2, release 1#1, tell 1
         1000 a asks stop 1 =>
         1001 spawned 1#2   => TERM 1, CONT 1
         1002 exit 1#2 0    => kill 1#2
         1002 empty 1#2     => release 1#2, reply a 0",
        "1000 exit 1#1 1   => kill 1#1
         1000 empty 1#1    => spawn 1#2, release 1#1, tell 1
         1001 spawned 1#2  =>
         1002 exit 1#2 1   => kill 1#2
         1002 empty 1#2    => release 1#2, tell 1
         1003 ? 1 backoff
         1003 a asks stop 1 => reply a 0",
    ] {
        let mut scene = Scene::running(1);
        scene.check(script);
        scene.check("5000 ? 1 stopped \n 600_000 tick =>");
        assert_eq!(scene.row(1).pid, None);
    }
}

#[test]
fn p29_a_start_that_overtakes_a_stop_waits_for_the_empty_tree() {
    check(
        1,
        "1000 a asks stop 1  => TERM 1, CONT 1
         1001 b asks start 1 => reply a 1
         1002 exit 1#1 0     => kill 1#1
         1003 empty 1#1      => spawn 1#2, release 1#1
         1004 spawned 1#2    =>
         1005 ready 1#2      => reply b 0
         2000 c asks stop 1  => TERM 1, CONT 1
         2001 exit 1#2 0     => kill 1#2
         2001 empty 1#2      => release 1#2, reply c 0",
    );
}

#[test]
fn p25_a_start_can_be_stopped_before_it_is_answered() {
    let mut scene = Scene::new(&settings(1));
    scene.check(
        "0 began             => spawn 1#1
         1 a asks stop 1     =>
         2 spawn-failed 1#1 broken => reply a 0
         2 ? 1 stopped",
    );
}

#[test]
fn p27_the_first_end_is_graceful_and_the_second_kills() {
    check(
        2,
        "1000 terminate     => TERM 1, CONT 1, TERM 2, CONT 2
         1001 a asks start 1 => reply a 1
         1100 exit 1#1 0    => kill 1#1
         1100 empty 1#1     => release 1#1
         1200 terminate     => kill 2#1
         1201 killed 2#1 9  => kill 2#1
         1202 empty 2#1     => release 2#1, exit 0",
    );
}

#[test]
fn m09_nothing_starts_while_everything_ends() {
    check(
        3,
        "1000 killed 1#1 9  => kill 1#1
         1000 a asks down   => TERM 2, CONT 2, TERM 3, CONT 3, reply a 0
         1000 empty 1#1     => release 1#1, tell 1
         1000 ? 1 stopped
         1001 exit 2#1 0    => kill 2#1
         1001 empty 2#1     => release 2#1
         11_000 tick        => kill 3#1
         11_001 killed 3#1 9 => kill 3#1
         11_002 b asks down => reply b 0
         11_002 empty 3#1   => release 3#1, exit 0",
    );
}

#[test]
fn an_end_with_a_failed_instance_says_so() {
    check(
        1,
        "1000 exit 1#1 78 => kill 1#1
         1000 empty 1#1   => release 1#1, tell 1
         2000 terminate   => exit 1",
    );
}

#[test]
fn leaving_touches_nobody_and_answers_who_waits() {
    check(
        2,
        "1000 a asks stop 1 => TERM 1, CONT 1
         1001 leave         => reply a 1, exit 0",
    );
}

#[test]
fn m10_the_latch_ends_everything_and_holds_until_cleared() {
    check(
        2,
        "1000 s asks stop 2     => TERM 2, CONT 2
         1001 exit 2#1 0        => kill 2#1
         1001 empty 2#1         => release 2#1, reply s 0
         2000 a asks pause-all  => latch, TERM 1, CONT 1
         2001 stop-file there   =>
         2002 exit 1#1 0        => kill 1#1
         2002 empty 1#1         => release 1#1, reply a 0
         3000 b asks start 1    => reply b 1
         3001 c asks resume 1   => reply c 1
         60_000 tick            =>
         60_001 d asks resume all => spawn 1#2, clear
         60_002 spawned 1#2     =>
         60_003 ready 1#2       => reply d 0
         60_003 ? 2 stopped",
    );
}

#[test]
fn m10_a_stop_file_by_hand_does_the_same() {
    check(
        1,
        "1000 stop-file there   => TERM 1, CONT 1
         1001 stop-file gone    =>
         1002 exit 1#1 0        => kill 1#1
         1002 empty 1#1         => spawn 1#2, release 1#1
         2000 spawned 1#2       =>
         2000 stop-file there   => TERM 1, CONT 1
         2001 exit 1#2 0        => kill 1#2
         2001 empty 1#2         => release 1#2
         9000 tick              =>
         9001 stop-file gone    => spawn 1#3",
    );
}

#[test]
fn a_stop_file_that_is_touched_again_is_no_news() {
    let mut scene = Scene::running(1);
    scene.check("1000 stop-file there => TERM 1, CONT 1");
    assert_eq!(scene.recorded(), ["stop-latched"]);
    scene.check("1001 stop-file there =>");
    assert_eq!(scene.recorded(), [""; 0]);
}

#[test]
fn m10_a_latched_beginning_starts_nobody() {
    let mut scene = Scene::new(&settings(3));
    let event = tachi::fleet::Event::Began {
        rows: Vec::new(),
        alive: Vec::new(),
        words: Vec::new(),
        boot_id: "boot".to_owned(),
        latched: true,
    };
    assert_eq!(shown(scene.give(0, event)), [""; 0]);
    scene.check("60_000 tick => \n 60_000 stop-file gone => spawn 1#1, spawn 2#1, spawn 3#1");
}

#[test]
fn after_a_stop_command_the_death_says_requested() {
    for (verb, cause) in [("stop", "requested"), ("restart", "restart")] {
        let mut scene = Scene::running(1);
        scene.give(1000, parse(&["a", "asks", verb, "1"], 1000));
        scene.give(1001, parse(&["killed", "1#1", "9"], 1001));
        assert_eq!(scene.row(1).last_death.unwrap().cause, cause);
    }
}
