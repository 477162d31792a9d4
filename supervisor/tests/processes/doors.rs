//! M10, S18, P21: what hands do in the state directory.

use std::fs;

use super::stage::{Stage, lives, signal};

#[test]
fn m10_the_stop_file_ends_the_instances_and_holds_until_it_is_cleared() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    let supervisor = stage.up_and_ready(2);
    fs::write(stage.state().join("stop"), "by hand\n").unwrap();
    stage.wait("both are down", |stage| {
        stage.rows().iter().all(|row| row["status"] == "stopped" && row["pid"].is_null()).then_some(())
    });
    assert!(lives(supervisor));
    assert!(stage.state().join("stop").exists(), "its reader consumed it");
    assert_eq!(stage.processes_with(&stage.token), [0; 0]);
    stage.ask(&["resume", "all"]);
    stage
        .wait("both are back", |stage| stage.rows().iter().all(|row| row["status"] == "ready").then_some(()));
    assert!(!stage.state().join("stop").exists());
}

#[test]
fn m10_a_stop_file_outlives_a_supervisor_that_keeps_it_and_not_an_interactive_one() {
    let mut stage = Stage::sleepers(&["a"]);
    let first = stage.up_and_ready(1);
    fs::write(stage.state().join("stop"), "by hand\n").unwrap();
    stage.wait("a is down", |stage| (stage.row("a")["status"] == "stopped").then_some(()));
    signal(first, "TERM");
    stage.ended();
    let mut kept = stage.up_command().arg("--keep-stop").spawn().unwrap();
    stage.wait("the second has the directory", |stage| {
        (stage.registry()["supervisor"]["pid"] == kept.id()).then_some(())
    });
    stage.wait("it says that it holds", |stage| (stage.row("a")["status"] == "stopped").then_some(()));
    assert!(stage.state().join("stop").exists());
    signal(kept.id(), "TERM");
    kept.wait().unwrap();
    stage.up_and_ready(1);
    assert!(!stage.state().join("stop").exists());
}

#[test]
fn a_desired_state_edited_by_hand_is_obeyed() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    stage.up_and_ready(2);
    let b = stage.pid("b");
    stage.wait_for_quiet();
    let mut registry = stage.registry();
    registry["instances"][0]["desired"] = "stopped".into();
    registry["instances"][0]["note"] = "mine".into();
    // As an editor does it: a new file, moved over the old one.
    let temporary = stage.file("edited.json");
    fs::write(&temporary, serde_json::to_vec_pretty(&registry).unwrap()).unwrap();
    fs::rename(&temporary, stage.state().join("registry.json")).unwrap();
    let row = stage.wait("a is stopped", |stage| {
        let row = stage.row("a");
        (row["status"] == "stopped" && row["pid"].is_null()).then_some(row)
    });
    assert_eq!(row["note"], "mine", "an unknown field was lost");
    assert_eq!(stage.pid("b"), b);
}

#[test]
fn a_registry_broken_by_hand_is_reported_and_put_right_and_nobody_dies() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    let a = stage.pid("a");
    stage.wait_for_quiet();
    fs::write(stage.state().join("registry.json"), "{ \"schema\": 1,\n  oops").unwrap();
    let rejected = stage
        .wait("it is reported", |stage| stage.events().into_iter().find(|event| event["kind"] == "rejected"));
    assert!(rejected["text"].as_str().unwrap().contains("registry.json:2:"), "{rejected}");
    stage.wait("it is whole again", |stage| {
        let bytes = fs::read(stage.state().join("registry.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()
    });
    assert_eq!(stage.pid("a"), a);
    let kept = fs::read_dir(stage.state().join("rejected")).unwrap().count();
    assert!(kept >= 1, "the bytes were thrown away");
}

#[test]
fn a_command_placed_by_hand_is_carried_out_once_and_answered() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    let temporary = stage.file("c.json");
    fs::write(&temporary, r#"{"verb":"stop","targets":["a"]}"#).unwrap();
    fs::rename(&temporary, stage.state().join("commands/by-hand.json")).unwrap();
    let reply = stage.wait("there is an answer", |stage| {
        let bytes = fs::read(stage.state().join("commands/by-hand.reply.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()
    });
    assert_eq!(reply["ok"], true, "{reply}");
    assert!(!stage.state().join("commands/by-hand.json").exists());
    assert_eq!(stage.row("a")["status"], "stopped");
}
