//! M6, P6, P30: an instance dies, and the others do not notice.

use super::stage::{Stage, lives, parent, signal};

#[test]
fn m06_a_killed_instance_is_replaced_and_the_others_keep_their_pids() {
    let mut stage = Stage::sleepers(&["a", "b", "c", "d"]);
    stage.up_and_ready(4);
    let before: Vec<u32> = ["a", "b", "c", "d"].iter().map(|id| stage.pid(id)).collect();
    signal(before[1], "KILL");
    let row = stage.wait("b is back", |stage| {
        let row = stage.row("b");
        (row["status"] == "ready" && row["incarnation"] == 2).then_some(row)
    });
    assert_ne!(stage.pid("b"), before[1]);
    for (id, pid) in [("a", before[0]), ("c", before[2]), ("d", before[3])] {
        assert_eq!(stage.pid(id), pid, "{id} was touched");
        assert!(lives(pid));
    }
    assert_eq!(row["restarts"], 1);
    assert_eq!(row["last_death"]["kind"], "signal");
    assert_eq!(row["last_death"]["signal"], "SIGKILL");
    let deaths = stage.wait("the death is recorded", |stage| {
        let events = stage.events();
        let died: Vec<_> = events.into_iter().filter(|event| event["kind"] == "died").collect();
        (!died.is_empty()).then_some(died)
    });
    assert_eq!(deaths.len(), 1, "{deaths:?}");
    assert_eq!(deaths[0]["instance"], "b");
}

#[test]
fn a_killed_holder_takes_its_command_with_it_and_both_are_replaced() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    let command = stage.pid("a");
    signal(parent(command), "KILL");
    stage.wait("a is back", |stage| {
        let row = stage.row("a");
        (row["status"] == "ready" && row["incarnation"] == 2).then_some(())
    });
    assert!(!lives(command));
    assert_eq!(stage.processes_with(&stage.token).len(), 2, "one holder and one command");
}

#[test]
fn m07_ten_hand_kills_within_a_minute_come_back_at_once_each() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    stage.up_and_ready(2);
    for n in 1..=10_u32 {
        let pid = stage.pid("a");
        // A person's kill is told from a crash by how long the instance was ready.
        stage.wait("a has settled", |stage| {
            let row = stage.row("a");
            let started: String = serde_json::from_value(row["started_at"].clone()).unwrap();
            let age =
                tachi_shared::clock::Timestamp::parse(&started).unwrap().age(tachi_shared::clock::now().wall);
            (age.as_millis() > 1100).then_some(())
        });
        stage.ask(&["kill", "a"]);
        stage.wait("a is back", |stage| {
            let row = stage.row("a");
            (row["status"] == "ready" && row["incarnation"] == n + 1 && row["pid"] != pid).then_some(())
        });
    }
    assert_eq!(stage.row("a")["restarts"], 10);
    assert_eq!(stage.row("b")["restarts"], 0);
}

#[test]
fn p04_a_command_that_cannot_be_run_fails_with_the_reason() {
    let mut stage =
        Stage::new("[[instances]]\nid = \"x\"\ncommand = [\"/no/such/program\"]\nrestart = \"never\"\n");
    stage.up();
    let row = stage.wait("x is given up", |stage| {
        let row = stage.row("x");
        (row["status"] == "failed").then_some(row)
    });
    let words = row["last_death"]["last_line"].as_str().unwrap_or_default();
    assert!(words.contains("/no/such/program"), "{row}");
}

#[test]
fn p43_a_death_is_recorded_with_code_and_last_line() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"x\"\ncommand = [\"sh\", \"-c\", \"echo going down; exit 7\"]\nrestart = \"never\"\n",
    );
    stage.up();
    let row = stage.wait("x has ended", |stage| {
        let row = stage.row("x");
        (row["status"] == "failed").then_some(row)
    });
    assert_eq!(row["last_death"]["code"], 7, "{row}");
    assert_eq!(row["last_death"]["last_line"], "going down");
}
