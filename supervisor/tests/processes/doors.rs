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

/// Keeps the supervisor writing its registry: an instance that dies and comes back all the time.
const RESTLESS: &str = "[[instances]]\nid = \"restless\"\ncommand = [\"sleep\", \"0.02\"]\nlimit = \"none\"\n\
                        backoff = { first = \"0s\", base = \"10ms\", max = \"20ms\" }\n";

/// As `jq … > new; mv new …` does it, from a copy that was read before.
fn put(stage: &Stage, name: &str, value: &serde_json::Value) {
    let temporary = stage.file("edited.json");
    fs::write(&temporary, serde_json::to_vec_pretty(value).unwrap()).unwrap();
    fs::rename(&temporary, stage.state().join(name)).unwrap();
}

#[test]
fn s14_a_wish_from_an_old_copy_of_the_registry_is_obeyed_on_a_busy_fleet() {
    let sleeper = |id: &str| format!("[[instances]]\nid = \"{id}\"\ncommand = [\"sleep\", \"TOKEN\"]\n");
    let mut stage = Stage::new(&format!("{}{}{RESTLESS}", sleeper("a"), sleeper("b")));
    stage.up();
    stage.wait("a and b are ready", |stage| {
        ["a", "b"].iter().all(|id| stage.row(id)["status"] == "ready").then_some(())
    });
    for (round, (id, wish)) in [("a", "stopped"), ("b", "stopped"), ("a", "running")].iter().enumerate() {
        let mut edited = stage.registry();
        let read = edited["rev"].as_u64().unwrap();
        stage.wait("others write meanwhile", |stage| {
            (stage.registry()["rev"].as_u64()? > read + 3).then_some(())
        });
        let rows = edited["instances"].as_array_mut().unwrap();
        rows.iter_mut().find(|row| row["instance_id"] == *id).unwrap()["desired"] = (*wish).into();
        put(&stage, "registry.json", &edited);
        let status = if *wish == "stopped" { "stopped" } else { "ready" };
        stage.wait("the wish is obeyed", |stage| (stage.row(id)["status"] == status).then_some(()));
        assert_eq!(stage.row(id)["desired"], *wish, "round {round}");
    }
    assert_eq!(stage.row("b")["desired"], "stopped", "an old copy revived what was stopped");
}

#[test]
fn s14_memory_edited_by_hand_is_merged_on_a_fleet_that_writes_it() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    stage.ask(&["memory", "set", "theirs", "1"]);
    let memory = stage.state().join("memory.json");
    let read = || -> serde_json::Value { serde_json::from_slice(&fs::read(&memory).unwrap()).unwrap() };
    // Vim's way: a new file by rename, out of a copy that is old by now.
    let mut edited = read();
    stage.ask(&["memory", "set", "theirs", "2"]);
    edited["facts"]["mine"] = "by rename".into();
    put(&stage, "memory.json", &edited);
    stage.wait("both are there", |_| {
        (read()["facts"] == serde_json::json!({ "mine": "by rename", "theirs": 2 })).then_some(())
    });
    // And in place: emptied, then written.
    let mut edited = read();
    stage.ask(&["memory", "set", "theirs", "3"]);
    edited["facts"]["mine"] = "in place".into();
    fs::write(&memory, serde_json::to_vec_pretty(&edited).unwrap()).unwrap();
    stage.wait("both are there again", |_| {
        let value: serde_json::Value = serde_json::from_slice(&fs::read(&memory).unwrap()).ok()?;
        (value["facts"] == serde_json::json!({ "mine": "in place", "theirs": 3 })).then_some(())
    });
    assert_eq!(fs::read_dir(stage.state().join("rejected")).unwrap().count(), 0);
}

#[test]
fn s13_a_memory_and_a_view_broken_by_hand_are_told_and_nothing_is_lost() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    stage.ask(&["memory", "set", "kept", "1"]);
    stage.wait("there is a view", |stage| stage.state().join("tasks.json").exists().then_some(()));
    fs::write(stage.state().join("memory.json"), "{\n  oops").unwrap();
    fs::write(stage.state().join("tasks.json"), "{\n  oops").unwrap();
    let told = |stage: &Stage, what: &str| {
        stage.events().iter().any(|event| event["text"].as_str().is_some_and(|text| text.contains(what)))
    };
    stage.wait("both are told", |stage| {
        (told(stage, "memory.json:2:") && told(stage, "tasks.json: ")).then_some(())
    });
    let text = fs::read(stage.state().join("tasks.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap();
    let output = stage.tachi(&["memory", "get", "kept"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
    stage.ask(&["memory", "set", "more", "2"]);
    let memory: serde_json::Value =
        serde_json::from_slice(&fs::read(stage.state().join("memory.json")).unwrap()).unwrap();
    assert_eq!(memory["facts"], serde_json::json!({ "kept": 1, "more": 2 }));
    let kept = fs::read_dir(stage.state().join("rejected")).unwrap().count();
    assert_eq!(kept, 4, "two files with a reason each");
}
