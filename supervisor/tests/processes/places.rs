//! P23: the state directory is taken away under a running fleet.

use std::fs;

use super::stage::{Stage, lives, signal};

#[test]
fn p23_a_fleet_whose_directory_was_removed_goes_on_and_can_be_ended() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    let supervisor = stage.up_and_ready(2);
    let pids = [stage.pid("a"), stage.pid("b")];
    fs::remove_dir_all(stage.state()).unwrap();
    stage.wait("it is noticed", |stage| {
        let said = fs::read_to_string(stage.file("up.log")).unwrap();
        said.contains("the state directory was removed; the instances go on").then_some(())
    });
    assert!(pids.iter().all(|pid| lives(*pid)));
    signal(supervisor, "TERM");
    assert!(stage.ended().is_some());
    assert!(!pids.iter().any(|pid| lives(*pid)));
}

#[test]
fn p23_a_supervisor_whose_directory_another_one_has_made_again_ends_and_touches_nothing() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    stage.up_and_ready(2);
    fs::remove_dir_all(stage.state()).unwrap();
    let mut second = stage.up_command().stdout(std::process::Stdio::null()).spawn().unwrap();
    assert_eq!(stage.ended(), Some(1), "the first supervisor does not give up");
    stage.wait("the second one's instances are ready", |stage| {
        let rows = stage.rows();
        (rows.len() == 2 && rows.iter().all(|row| row["status"] == "ready")).then_some(())
    });
    assert_eq!(stage.registry()["supervisor"]["pid"], second.id());
    assert_eq!(
        stage.processes_with(&stage.token).iter().filter(|pid| lives(**pid)).count(),
        4,
        "two, and their holders"
    );
    stage.ask(&["down"]);
    assert!(second.wait().unwrap().success());
    assert_eq!(stage.survivors(), [""; 0]);
}

/// Names in a directory, sorted.
fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn s23_21_when_the_inner_directory_is_moved_away_that_is_told_and_nothing_is_made_anew() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    let supervisor = stage.up_and_ready(2);
    let pids = [stage.pid("a"), stage.pid("b")];
    let (inner, away) = (stage.state().join(".tachi"), stage.file("away"));
    fs::rename(&inner, &away).unwrap();
    let beside = names(&stage.file("work"));
    stage.wait("it is noticed", |stage| {
        let said = fs::read_to_string(stage.file("up.log")).unwrap();
        said.contains("the state directory was removed; the instances go on").then_some(())
    });
    assert!(pids.iter().all(|pid| lives(*pid)));
    let refused = stage.tachi(&["send", "a", "hello"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("no state directory at"), "{said}");
    signal(supervisor, "TERM");
    assert!(stage.ended().is_some());
    assert!(!pids.iter().any(|pid| lives(*pid)));
    assert!(!inner.exists(), "{:?}", names(&inner));
    assert_eq!(names(&stage.file("work")), beside);
    // Put back, everything is as it was.
    fs::rename(&away, &inner).unwrap();
    stage.up_and_ready(2);
    stage.ask(&["send", "a", "hello"]);
}
