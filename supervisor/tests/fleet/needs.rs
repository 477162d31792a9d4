//! P37: who needs whom decides who starts and who ends first. P53, P54: when one end is the end of others.

use std::time::Duration;

use tachi::fleet::why::{Supervisor, why};
use tachi::settings::{Limit, OnFailed, RestartPolicy, Settings, Until};

use super::scene::{Scene, began, settings};

/// 2 needs 1; 3 needs everybody of the role of 2 (builder).
fn chain() -> Settings {
    let mut settings = settings(3);
    settings.specs[1].needs = vec!["instance_1".to_owned()];
    settings.specs[2].needs = vec!["builder".to_owned()];
    settings.brake = false;
    settings
}

/// The same, all running.
fn running(settings: &Settings) -> Scene {
    let mut scene = Scene::new(settings);
    scene.give(0, began(Vec::new(), Vec::new()));
    scene.check(
        "1 spawned 1#1 =>
         2 ready 1#1   => spawn 2#1
         3 spawned 2#1 =>
         4 ready 2#1   => spawn 3#1
         5 spawned 3#1 =>
         6 ready 3#1   =>",
    );
    scene
}

/// A limit that one crash uses up.
fn fragile(settings: &mut Settings, k: usize) {
    settings.specs[k - 1].limit = Some(Limit { burst: 1, period: Duration::from_secs(600) });
    settings.specs[k - 1].restart = RestartPolicy::Never;
}

fn reason(scene: &Scene, k: u32) -> String {
    why(&scene.row(k), Supervisor::Alive, scene.now).sentence
}

#[test]
fn p37_a_start_waits_until_what_it_needs_is_ready_by_id_and_by_role() {
    let mut scene = Scene::new(&chain());
    scene.check(
        "0 began       => spawn 1#1
         0 ? 2 starting
         1 spawned 1#1 =>
         1 beat 1#1    =>",
    );
    assert_eq!(reason(&scene, 2), "instance_2 has not started: it waits for instance_1, which is starting.");
    assert_eq!(scene.row(2).pid, None);
    scene.check(
        "2 ready 1#1   => spawn 2#1
         3 spawned 2#1 =>
         3 ? 3 starting
         4 ready 2#1   => spawn 3#1",
    );
}

#[test]
fn p37_a_replacement_waits_as_well_and_counts_as_one() {
    let mut scene = running(&chain());
    scene.check(
        "1000 killed 1#1 9 => kill 1#1
         1000 killed 2#1 9 => kill 2#1
         1001 empty 2#1    => release 2#1, tell 2
         1002 ? 2 starting
         1003 empty 1#1    => spawn 1#2, release 1#1, tell 1
         1004 spawned 1#2  =>
         1005 ready 1#2    => spawn 2#2
         1005 ? 3 ready",
    );
    assert_eq!(scene.row(2).restarts, 1);
}

#[test]
fn p37_who_needs_something_given_up_says_so_and_starts_when_it_is_back() {
    let mut settings = chain();
    fragile(&mut settings, 1);
    let mut scene = Scene::new(&settings);
    scene.check(
        "0 began       => spawn 1#1
         1 spawned 1#1 =>
         2 exit 1#1 3  => kill 1#1
         3 empty 1#1   => release 1#1, tell 1
         3 ? 1 failed
         3 ? 2 stopped
         3 ? 3 stopped
         4 a asks start 3 => reply a 1",
    );
    let chain = "it waits for instance_2, which waits itself: it waits for instance_1, which was given up: exit code 3";
    assert!(reason(&scene, 3).contains(chain), "{}", reason(&scene, 3));
    let next = why(&scene.row(2), Supervisor::Alive, scene.now).next;
    assert_eq!(next, "tachi why instance_1");
    scene.check(
        "5 b asks start 1 => spawn 1#2
         6 ? 2 starting
         6 spawned 1#2    =>
         7 ready 1#2      => spawn 2#1, reply b 0",
    );
}

#[test]
fn p37_a_person_may_stop_the_wait_and_a_finished_job_serves() {
    let mut settings = chain();
    settings.specs[0].restart = RestartPolicy::Job;
    let mut scene = Scene::new(&settings);
    scene.check(
        "0 began          => spawn 1#1
         1 a asks stop 2  => reply a 0
         2 spawned 1#1    =>
         3 ready 1#1      =>
         4 exit 1#1 0     => kill 1#1
         5 empty 1#1      => release 1#1, tell 1
         5 ? 3 stopped
         6 b asks start 2 => spawn 2#1
         7 spawned 2#1    =>
         8 ready 2#1      => spawn 3#1, reply b 0",
    );
}

#[test]
fn p37_ending_goes_the_other_way_round() {
    for wish in ["terminate", "a asks stop all", "stop-file there", "a asks pause-all"] {
        let mut scene = running(&chain());
        let latch = if wish.contains("pause-all") { "latch, " } else { "" };
        scene.check(&format!(
            "1000 {wish}     => {latch}TERM 3, CONT 3
             1001 exit 3#1 0 => kill 3#1
             1001 ? 1 ready"
        ));
        let held = scene.row(2).reason.unwrap();
        assert_eq!(held, "it ends after instance_3, which needs it");
        scene.check(
            "1002 empty 3#1  => TERM 2, CONT 2, release 3#1
             1003 exit 2#1 0 => kill 2#1
             1004 empty 2#1  => TERM 1, CONT 1, release 2#1
             1005 exit 1#1 0 => kill 1#1",
        );
    }
}

#[test]
fn p37_a_second_request_to_leave_kills_without_any_order_and_one_stop_needs_none() {
    running(&chain()).check(
        "1000 terminate => TERM 3, CONT 3
         1001 terminate => kill 1#1, kill 2#1, kill 3#1",
    );
    running(&chain()).check(
        "1000 a asks stop 1 => TERM 1, CONT 1
         1001 exit 1#1 0    => kill 1#1
         1002 empty 1#1     => release 1#1, reply a 0
         1003 ? 2 ready",
    );
}

#[test]
fn p37_a_stop_that_was_put_off_is_forgotten_when_it_is_taken_back() {
    let mut scene = running(&chain());
    scene.check(
        "1000 a asks stop 2 3 => TERM 3, CONT 3
         1001 b asks start 2  => reply b 0
         1002 exit 3#1 0      => kill 3#1
         1003 empty 3#1       => release 3#1, reply a 1
         1004 ? 2 ready",
    );
}

#[test]
fn p54_a_failure_may_end_those_who_need_it_until_it_is_back() {
    let mut settings = chain();
    fragile(&mut settings, 1);
    settings.specs[0].on_failed = OnFailed::StopDependents;
    let mut scene = running(&settings);
    scene.check(
        "1000 exit 1#1 1  => kill 1#1
         1001 empty 1#1   => TERM 2, CONT 2, TERM 3, CONT 3, release 1#1, tell 1
         1002 exit 2#1 0  => kill 2#1
         1003 exit 3#1 0  => kill 3#1
         1004 empty 2#1   => release 2#1
         1005 empty 3#1   => release 3#1
         1005 ? 3 stopped
         2000 a asks start 1 => spawn 1#2
         2001 spawned 1#2 =>
         2002 ready 1#2   => spawn 2#2, reply a 0
         2003 spawned 2#2 =>
         2004 ready 2#2   => spawn 3#2",
    );
    assert_eq!(scene.row(2).last_death.unwrap().cause, "needs");
}

#[test]
fn p54_by_default_a_failure_touches_nobody_else() {
    let mut settings = chain();
    fragile(&mut settings, 1);
    running(&settings).check(
        "1000 exit 1#1 1 => kill 1#1
         1001 empty 1#1  => release 1#1, tell 1
         1002 ? 2 ready",
    );
}

#[test]
fn p54_a_failure_may_end_the_run() {
    let mut one = settings(2);
    fragile(&mut one, 1);
    one.specs[0].on_failed = OnFailed::StopRun;
    let mut any = settings(2);
    fragile(&mut any, 1);
    any.until = Until::AnyFailed;
    for settings in [one, any] {
        Scene::running_with(&settings).check(
            "1000 exit 1#1 1 => kill 1#1
             1001 empty 1#1  => TERM 2, CONT 2, release 1#1, tell 1
             1002 exit 2#1 0 => kill 2#1
             1003 empty 2#1  => release 2#1, exit 1",
        );
    }
}

#[test]
fn p53_the_run_is_over_when_all_jobs_are_done_and_its_code_says_how() {
    for (code, exit) in [(0, 0), (3, 1)] {
        let mut settings = settings(3);
        settings.until = Until::AllJobsDone;
        for job in &mut settings.specs[..2] {
            job.restart = RestartPolicy::Job;
            job.limit = Some(Limit { burst: 1, period: Duration::from_secs(600) });
            job.backoff.first = Duration::ZERO;
        }
        let mut scene = Scene::running_with(&settings);
        scene.check(
            "1000 exit 1#1 0 => kill 1#1
             1001 empty 1#1  => release 1#1, tell 1
             1002 ? 3 ready",
        );
        if code == 0 {
            scene.check("1003 exit 2#1 0 => kill 2#1");
        } else {
            scene.check(
                "1003 exit 2#1 3  => kill 2#1
                 1004 empty 2#1   => spawn 2#2, release 2#1, tell 2
                 1005 spawned 2#2 =>
                 1006 exit 2#2 3  => kill 2#2",
            );
        }
        let start = if code == 0 { "2#1" } else { "2#2" };
        scene.check(&format!(
            "1010 empty {start} => TERM 3, CONT 3, release {start}, tell 2
             1011 exit 3#1 0    => kill 3#1
             1012 empty 3#1     => release 3#1, exit {exit}"
        ));
    }
}

#[test]
fn p37_who_asked_for_an_end_that_was_put_off_hears_when_it_is_called_off() {
    running(&chain()).check(
        "1000 a asks pause-all => latch, TERM 3, CONT 3
         1001 stop-file gone   =>
         1002 exit 3#1 0       => kill 3#1, reply a 1
         1003 empty 3#1        => spawn 3#2, release 3#1
         1003 ? 1 ready",
    );
}
