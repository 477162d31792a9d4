//! S29: a queue with little room, from the sender to the reader that holds everybody up.

use std::fs;

use serde_json::Value;

use super::stage::{Stage, signal};

const CAP: &str = "[store]\nmax_bytes = \"64KiB\"\nkeep_bytes = \"0B\"\n";

/// Sends to instance_2, which does not read, until not even a word fits any more; waits until the sender is told of it.
fn fill(stage: &Stage) -> String {
    let send = |text: &str| stage.tachi(&["send", "instance_2", text, "--type", "note"]);
    for text in ["x".repeat(6000), "x".repeat(600), String::from("x")] {
        let refused = (0..40).find(|_| !send(&text).status.success());
        assert!(refused.is_some(), "a queue without an end");
    }
    // Who has nothing to read is moved behind it every few seconds.
    stage.wait("the slowest is named", |_| {
        let refused = send("x");
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8(refused.stderr).unwrap();
        told.contains("instance_2 has read least").then_some(told)
    })
}

/// What instance_1 answered.
fn answers(stage: &Stage) -> usize {
    let inbox = stage.tachi(&["inbox", "--json"]);
    let inbox: Value = serde_json::from_slice(&inbox.stdout).unwrap();
    let messages = inbox["messages"].as_array().unwrap();
    messages.iter().filter(|message| message["from"] == "instance_1" && message["type"] == "reply").count()
}

fn log_of(stage: &Stage, id: &str) -> String {
    let file = fs::read(stage.state().join(format!("instances/{id}.json"))).unwrap();
    serde_json::from_slice::<Value>(&file).unwrap()["logs"].to_string()
}

/// The frozen one reads again, and everybody goes on; nothing that was accepted is missing.
fn thaw(stage: &Stage, frozen: u32) {
    signal(frozen, "CONT");
    stage.wait("there is room again", |stage| {
        stage.tachi(&["send", "instance_2", "at last", "--type", "note"]).status.success().then_some(())
    });
    stage.wait("the answer that had to wait arrives", |stage| (answers(stage) == 1).then_some(()));
}

#[test]
fn s29_a_full_queue_refuses_the_sender_takes_what_is_urgent_and_goes_on_when_the_slowest_has_read() {
    let fleet = format!("count = 2\nbrake = \"none\"\n{CAP}");
    let mut stage = Stage::at(tempfile::tempdir().unwrap(), None, &fleet);
    stage.up_and_ready(2);
    let frozen = stage.pid("instance_2");
    signal(frozen, "STOP");
    let told = fill(&stage);
    assert!(told.starts_with("tachi: messages is full, "), "{told}");
    assert!(told.contains("; next: see why with `tachi why instance_2`"), "{told}");
    stage.ask(&["send", "instance_1", "what did you find?", "--priority", "urgent"]);
    stage.wait("its answer has to wait", |stage| {
        log_of(stage, "instance_1").contains("is full").then_some(())
    });
    assert_eq!(answers(&stage), 0);
    thaw(&stage, frozen);
    assert_eq!(answers(&stage), 1);
    stage.ask(&["doctor"]);
}

#[test]
fn s29_adopted_workers_heed_the_limits_of_their_new_supervisor() {
    let mut stage = Stage::at(tempfile::tempdir().unwrap(), None, "count = 2\nbrake = \"none\"\n");
    let first = stage.up_and_ready(2);
    let pids = ["instance_1", "instance_2"].map(|id| stage.pid(id));
    signal(first, "KILL");
    stage.ended();
    let config = fs::read_to_string(stage.file("tachi.toml")).unwrap();
    fs::write(stage.file("tachi.toml"), config + CAP).unwrap();
    stage.up_and_ready(2);
    assert_eq!(pids, ["instance_1", "instance_2"].map(|id| stage.pid(id)), "adopted, not started");
    signal(pids[1], "STOP");
    fill(&stage);
    stage.ask(&["send", "instance_1", "what did you find?", "--priority", "urgent"]);
    stage.wait("its answer has to wait", |stage| {
        log_of(stage, "instance_1").contains("is full").then_some(())
    });
    assert_eq!(answers(&stage), 0);
    thaw(&stage, pids[1]);
}
