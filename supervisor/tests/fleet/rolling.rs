//! Rolling restarts, and forgetting what failures cost.

use tachi::fleet::Action;

use super::scene::{Scene, check, settings};

fn reply(scene: &Scene) -> (String, serde_json::Map<String, serde_json::Value>) {
    let reply = scene.actions.iter().find_map(|action| match action {
        Action::Reply { message, details, .. } => Some((message.clone(), details.clone())),
        _ => None,
    });
    reply.unwrap()
}

#[test]
fn p45_a_rolling_restart_replaces_one_after_the_other_and_waits_for_each_to_be_ready() {
    let mut scene = Scene::running(3);
    scene.check(
        "1000 a asks rolling all => TERM 1, CONT 1
         1001 exit 1#1 0         => kill 1#1
         1002 empty 1#1          => spawn 1#2, release 1#1
         1003 spawned 1#2        =>
         1003 beat 1#2           =>
         1004 ready 1#2          => TERM 2, CONT 2
         1005 exit 2#1 0         => kill 2#1
         1006 empty 2#1          => spawn 2#2, release 2#1
         1007 spawned 2#2        =>
         1008 ready 2#2          => TERM 3, CONT 3
         1009 exit 3#1 0         => kill 3#1
         1010 empty 3#1          => spawn 3#2, release 3#1
         1011 spawned 3#2        =>
         1012 ready 3#2          => reply a 0",
    );
    let (message, details) = reply(&scene);
    assert_eq!(message, "replaced 3 instances, one after the other");
    assert_eq!(details["instance_2"], "ready as start 2");
}

#[test]
fn p45_it_ends_at_the_first_that_dies_before_it_is_ready_and_touches_nobody_else() {
    let mut scene = Scene::running(3);
    scene.check(
        "1000 a asks rolling all => TERM 1, CONT 1
         1001 exit 1#1 0         => kill 1#1
         1002 empty 1#1          => spawn 1#2, release 1#1
         1003 spawned 1#2        =>
         1004 exit 1#2 1         => kill 1#2, reply a 1
         1005 empty 1#2          => spawn 1#3, release 1#2, tell 1
         1006 spawned 1#3        =>
         1007 ready 1#3          =>
         1008 ? 2 ready",
    );
    check(
        2,
        "1000 a asks rolling 1 => TERM 1, CONT 1
         1001 exit 1#1 0       => kill 1#1
         1002 empty 1#1        => spawn 1#2, release 1#1
         1003 spawn-failed 1#2 role => spawn 1#3, tell 1, reply a 1",
    );
}

#[test]
fn p45_its_report_names_who_failed_and_who_was_not_touched() {
    let mut scene = Scene::running(3);
    scene.check(
        "1000 a asks rolling 2 3 => TERM 2, CONT 2
         1001 exit 2#1 0         => kill 2#1
         1002 empty 2#1          => spawn 2#2, release 2#1
         1003 spawned 2#2        =>
         1004 exit 2#2 1         => kill 2#2, reply a 1",
    );
    let (message, details) = reply(&scene);
    assert_eq!(
        message,
        "the rolling restart ended at instance_2, which did not come back: exit code 1 (crash); 1 not touched"
    );
    assert_eq!(details["instance_3"], "not touched");
    assert!(!details.contains_key("instance_1"));
}

#[test]
fn p45_who_is_stopped_stays_stopped_and_a_stop_meanwhile_wins() {
    check(
        3,
        "1000 a asks stop 1      => TERM 1, CONT 1
         1001 exit 1#1 0         => kill 1#1
         1002 empty 1#1          => release 1#1, reply a 0
         2000 b asks rolling all => TERM 2, CONT 2
         2000 c asks rolling 3   => reply c 1
         2001 d asks stop 2      =>
         2002 exit 2#1 0         => kill 2#1
         2003 empty 2#1          => release 2#1, reply b 1, reply d 0
         2004 ? 3 ready",
    );
}

#[test]
fn p45_a_leaving_supervisor_says_how_far_it_came() {
    let mut scene = Scene::running(2);
    scene.check(
        "1000 a asks rolling all => TERM 1, CONT 1
         1001 leave              => reply a 1, exit 0",
    );
}

#[test]
fn p32_reset_forgets_failures_and_starts_who_was_given_up() {
    let mut settings = settings(2);
    settings.specs[0].limit =
        Some(tachi::settings::Limit { burst: 1, period: std::time::Duration::from_secs(60) });
    let mut scene = Scene::running_with(&settings);
    scene.check(
        "1000 exit 1#1 1    => kill 1#1
         1001 empty 1#1     => spawn 1#2, release 1#1, tell 1
         1002 spawned 1#2   =>
         1003 exit 1#2 1    => kill 1#2
         1004 empty 1#2     => release 1#2, tell 1
         1005 ? 1 failed
         1006 a asks reset all => spawn 1#3
         1007 spawned 1#3   =>
         1008 ready 1#3     => reply a 0
         1009 exit 1#3 1    => kill 1#3
         1010 empty 1#3     => spawn 1#4, release 1#3, tell 1",
    );
    assert_eq!(scene.row(1).backoff.level, 1, "the count began anew");
}

#[test]
fn p32_reset_touches_neither_the_running_nor_the_stopped() {
    check(
        2,
        "1000 a asks stop 1  => TERM 1, CONT 1
         1001 exit 1#1 0     => kill 1#1
         1002 empty 1#1      => release 1#1, reply a 0
         1003 b asks reset all => reply b 0
         1003 ? 1 stopped
         1003 ? 2 ready
         1004 stop-file there => TERM 2, CONT 2
         1005 c asks reset 2  => reply c 0",
    );
}

#[test]
fn p32_reset_clears_the_count_of_one_that_runs() {
    let mut scene = Scene::running(1);
    scene.check(
        "1000 exit 1#1 1    => kill 1#1
         1001 empty 1#1     => spawn 1#2, release 1#1, tell 1
         1002 spawned 1#2   =>
         1003 ready 1#2     =>",
    );
    assert_eq!((scene.row(1).backoff.level, scene.row(1).backoff.crashes.len()), (1, 1));
    scene.check("1004 a asks reset 1 => reply a 0");
    assert_eq!((scene.row(1).backoff.level, scene.row(1).backoff.crashes.len()), (0, 0));
}

#[test]
fn p45_who_waits_for_all_that_are_rolled_starts_when_the_last_is_ready() {
    let mut settings = settings(3);
    for spec in &mut settings.specs[..2] {
        spec.role = tachi_shared::id::Role::new("base").unwrap();
    }
    settings.specs[2].needs = vec!["base".to_owned()];
    let mut scene = Scene::new(&settings);
    scene.check(
        "0 began         => spawn 1#1, spawn 2#1
         1 spawned 1#1   =>
         1 spawned 2#1   =>
         2 ready 2#1     =>
         3 a asks rolling 1 2 => TERM 1, CONT 1
         4 exit 1#1 0    => kill 1#1
         5 empty 1#1     => spawn 1#2, release 1#1
         6 spawned 1#2   =>
         7 ready 1#2     => TERM 2, CONT 2
         8 exit 2#1 0    => kill 2#1
         9 empty 2#1     => spawn 2#2, release 2#1
         10 spawned 2#2  =>
         11 ready 2#2    => spawn 3#1, reply a 0",
    );
}
