//! What people ask for, and when they are answered.

use tachi::fleet::Action;

use super::scene::{Scene, check, id, settings};

#[test]
fn m07_restart_replaces_and_is_answered_when_the_new_one_is_ready() {
    let mut scene = Scene::running(2);
    scene.check(
        "1000 a asks restart 2 => TERM 2, CONT 2
         1001 exit 2#1 0       => kill 2#1
         1002 empty 2#1        => spawn 2#2, release 2#1
         1003 spawned 2#2      =>
         1004 ready 2#2        => reply a 0",
    );
    assert_eq!(scene.row(2).restarts, 1);
}

#[test]
fn m07_kill_sends_a_signal_and_wants_nothing_else() {
    check(
        2,
        "5000 a asks kill KILL 2   => KILL 2, reply a 0
         5001 killed 2#1 9         => kill 2#1
         5001 empty 2#1            => spawn 2#2, release 2#1, tell 2
         5001 b asks kill sigusr1 2 => reply b 1
         5001 c asks kill NONSENSE 2 => reply c 2
         5002 spawned 2#2          =>
         5002 d asks kill 15 all   => TERM 1, TERM 2, reply d 0",
    );
}

#[test]
fn m07_scale_adds_with_free_numbers_and_drains_the_highest() {
    let mut scene = Scene::running(4);
    scene.check(
        "1000 a asks scale builder 3 => spawn 5#1, spawn 6#1
         1001 spawned 5#1  =>
         1001 spawned 6#1  =>
         1002 ready 5#1    =>
         1003 ready 6#1    => reply a 0
         2000 b asks scale builder 2 => TERM 6, CONT 6
         2001 exit 6#1 0   => kill 6#1
         2001 empty 6#1    => release 6#1, reply b 0
         3000 c asks scale builder 3 => spawn 6#2",
    );
    assert_eq!(scene.row(5).role.as_str(), "builder");
    assert_eq!(scene.row(6).incarnation.0, 2, "a number of starts is never handed out twice");
}

#[test]
fn scale_to_nobody_and_of_strangers() {
    let mut scene = Scene::running(2);
    scene.check(
        "1000 a asks scale painter 1    => spawn 3#1
         1001 b asks scale ../x 1       => reply b 2
         1002 c asks scale builder 5000 => reply c 2
         1003 d asks scale builder 1    => reply d 0
         1004 e asks scale explorer 0   => TERM 1, CONT 1
         1005 exit 1#1 0                => kill 1#1
         1005 empty 1#1                 => release 1#1, reply e 0",
    );
    assert!(scene.fleet.get(&id(1)).is_none());
    assert_eq!(scene.row(3).role.as_str(), "painter");
}

#[test]
fn unknown_targets_are_refused_whole_and_named() {
    let mut scene = Scene::running(3);
    scene.check("1000 a asks stop 2 instance_9 => reply a 4");
    let Some(Action::Reply { message, .. }) =
        scene.actions.iter().find(|action| matches!(action, Action::Reply { .. }))
    else {
        panic!("no reply")
    };
    assert!(message.starts_with("there is no instance \"instance_9\" (known: instance_1, "), "{message}");
    scene.check("1000 ? 2 ready \n 1001 b asks stop => reply b 4");
}

#[test]
fn selectors_are_ids_roles_globs_and_all() {
    for (selector, signals) in [
        ("instance_2", "TERM 2"),
        ("builder", "TERM 2"),
        ("instance_*", "TERM 1, TERM 2, TERM 3"),
        ("*_3", "TERM 3"),
        ("all", "TERM 1, TERM 2, TERM 3"),
    ] {
        check(3, &format!("1000 a asks kill TERM {selector} => {signals}, reply a 0"));
    }
}

#[test]
fn starting_the_running_and_stopping_the_stopped_is_already_true() {
    check(
        1,
        "1000 a asks start 1 => reply a 0
         1001 b asks stop 1  => TERM 1, CONT 1
         1002 b asks stop 1  =>
         1002 exit 1#1 0     => kill 1#1
         1002 empty 1#1      => release 1#1, reply b 0
         1003 c asks stop 1  => reply c 0",
    );
}

#[test]
fn p33_a_start_by_a_person_clears_the_limit() {
    let mut scene = Scene::running(1);
    scene.check(
        "1000 exit 1#1 78   => kill 1#1
         1000 empty 1#1     => release 1#1, tell 1
         1001 a asks start 1 => spawn 1#2
         1002 spawned 1#2   =>
         1003 exit 1#2 78   => kill 1#2
         1003 empty 1#2     => release 1#2, tell 1, reply a 1",
    );
    assert_eq!(scene.row(1).backoff.level, 0);
}

#[test]
fn pause_is_true_when_the_worker_says_so_and_survives_its_death() {
    check(
        1,
        "1000 a asks pause 1  => ring 1
         1001 ready 1#1       =>
         1002 paused 1#1      => reply a 0
         1002 ? 1 paused
         5000 killed 1#1 9    => kill 1#1
         5000 empty 1#1       => spawn 1#2, release 1#1, tell 1
         5001 spawned 1#2     =>
         5002 ready 1#2       => ring 1
         5003 paused 1#2      =>
         6000 b asks resume 1 => ring 1
         6001 ready 1#2       => reply b 0
         6001 ? 1 ready",
    );
}

#[test]
fn a_command_that_is_no_worker_is_paused_by_signal() {
    let mut settings = settings(1);
    settings.specs[0].kind = tachi_shared::registry::Kind::Command;
    Scene::running_with(&settings).check(
        "1000 a asks pause 1  => STOP 1
         1001 frozen 1        => reply a 0
         1001 ? 1 paused
         2000 b asks resume 1 => CONT 1
         2001 thawed 1        => reply b 0",
    );
}

#[test]
fn desired_edited_by_hand_is_a_command_without_an_answer() {
    check(
        1,
        "1000 edited 1 running  =>
         1000 edited 1 stopped  => TERM 1, CONT 1
         1001 exit 1#1 0        => kill 1#1
         1001 empty 1#1         => release 1#1
         1002 ? 1 stopped
         2000 edited 1 running  => spawn 1#2
         2001 spawned 1#2       =>
         2002 ready 1#2         =>
         2003 edited 1 paused   => ring 1
         2004 edited 1 running  => ring 1",
    );
}

#[test]
fn replies_and_rings_follow_the_registry() {
    let mut scene = Scene::running(1);
    scene.check("1000 a asks pause 1 => ring 1");
    let save = scene.actions.iter().position(|action| *action == Action::SaveRegistry);
    let ring = scene.actions.iter().position(|action| matches!(action, Action::Ring { .. }));
    assert!(save.is_some() && save < ring, "{:?}", scene.actions);
}
