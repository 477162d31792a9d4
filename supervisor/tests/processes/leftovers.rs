//! M9, P12: `down` without a supervisor ends whole trees, not only who leads them.

use super::stage::{Stage, signal};

/// Ignores TERM, and so does a child in a session of its own.
const STUBBORN: &str = "[[instances]]\nid = \"a\"\ngrace = \"1s\"\n\
    command = [\"sh\", \"-c\", \"trap '' TERM; setsid sleep TOKEN & setsid env -i sleep TOKEN & while :; do sleep TOKEN; done\"]\n";

#[test]
fn p12_down_without_a_supervisor_ends_stubborn_orphans_with_everything_they_started() {
    let mut stage = Stage::new(STUBBORN);
    let supervisor = stage.up_and_ready(1);
    stage.wait("all have started", |stage| (stage.processes_with(&stage.token).len() >= 4).then_some(()));
    signal(supervisor, "KILL");
    stage.ended();
    stage.ask(&["down", "--timeout", "1s"]);
    assert_eq!(stage.survivors(), [""; 0]);
}

#[test]
fn p12_down_ends_what_dead_instances_of_a_dead_supervisor_left() {
    let mut stage = Stage::new(STUBBORN);
    let supervisor = stage.up_and_ready(1);
    stage.wait("all have started", |stage| (stage.processes_with(&stage.token).len() >= 4).then_some(()));
    let a = stage.pid("a");
    let holder = super::stage::parent(a);
    signal(supervisor, "KILL");
    stage.ended();
    signal(holder, "KILL");
    signal(a, "KILL");
    let gone = |pid| move |_: &Stage| (!super::stage::lives(pid)).then_some(());
    stage.wait("the holder is gone", gone(holder));
    stage.wait("the command is gone", gone(a));
    let out = stage.tachi(&["down"]);
    assert!(out.status.success(), "{out:?}");
    assert!(stage.survivors().iter().all(|line| !line.contains("tachi")), "{:?}", stage.survivors());
    assert_eq!(stage.tachi(&["down"]).status.code(), Some(5));
}
