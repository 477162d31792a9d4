//! A running fleet of plain commands, from `up --detach` to `down`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::folder::{Folder, said};

const CONFIG: &str = "[fleet]\ncount = 0\n[roles.sleeper]\ncommand = [\"sleep\", \"1000\"]\ngrace = \"2s\"\n\
                      [[instances]]\nnames = [\"a\", \"b\"]\nrole = \"sleeper\"\n";

fn started() -> Folder {
    let folder = Folder::new();
    folder.write("tachi.toml", CONFIG);
    folder.ok(&["up", "--detach"]);
    folder
}

fn row(folder: &Folder, id: &str) -> Value {
    let status = folder.json(&["status"]);
    let rows = status["instances"].as_array().unwrap();
    rows.iter().find(|row| row["instance_id"] == id).cloned().unwrap_or_default()
}

fn pid(folder: &Folder, id: &str) -> u64 {
    row(folder, id)["pid"].as_u64().unwrap_or(0)
}

fn wait_until(what: &str, mut cond: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !cond() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn lives(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn m03_up_detach_returns_when_all_are_ready_and_shows_them() {
    let folder = Folder::new();
    folder.write("tachi.toml", CONFIG);
    let out = folder.ok(&["up", "--detach"]);
    assert!(out.starts_with("supervisor ") && out.contains("a   sleeper  ready"), "{out}");
    folder.ok(&["status", "--check"]);
    folder.refused(&["up", "--detach"], 7, "is held by ");
    folder.refused(&["up"], 7, "is held by ");
    let supervisor = folder.json(&["status"])["supervisor"]["pid"].as_u64().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{supervisor}/stat")).unwrap();
    let session: u64 = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(session, supervisor, "it leads its own session");
}

#[test]
fn m03_a_detached_fleet_holds_none_of_the_callers_descriptors() {
    let folder = Folder::new();
    folder.write("tachi.toml", CONFIG);
    let script = format!("exec 9>held; exec {} up --detach", env!("CARGO_BIN_EXE_tachi"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder.path()).env("TACHI_STATE_DIR", folder.state());
    assert!(shell.output().unwrap().status.success());
    let supervisor = folder.json(&["status"])["supervisor"]["pid"].as_u64().unwrap();
    for pid in [supervisor, pid(&folder, "a")] {
        let held = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|entry| {
            let target = std::fs::read_link(entry.unwrap().path()).ok()?;
            target.ends_with("held").then_some(target)
        });
        assert_eq!(held.count(), 0, "{pid} holds the caller's file");
    }
}

#[test]
fn m07_kill_brings_back_stop_keeps_down_restart_replaces() {
    let folder = started();
    let (a, b) = (pid(&folder, "a"), pid(&folder, "b"));
    folder.ok(&["kill", "a"]);
    wait_until("a is back", || {
        ![0, a].contains(&pid(&folder, "a")) && row(&folder, "a")["status"] == "ready"
    });
    assert_eq!(row(&folder, "a")["last_death"]["signal"], "SIGKILL");
    folder.ok(&["stop", "b"]);
    assert_eq!((&row(&folder, "b")["status"], lives(b)), (&Value::from("stopped"), false));
    folder.ok(&["status", "--check"]);
    folder.ok(&["start", "b"]);
    wait_until("b is back", || row(&folder, "b")["status"] == "ready");
    let before = pid(&folder, "b");
    folder.ok(&["restart", "sleeper"]);
    assert!(!lives(before) && pid(&folder, "b") != before);
    folder.refused(&["stop", "nobody"], 4, "nobody");
    assert!(folder.ok(&["history", "a"]).contains("died"));
    assert!(folder.ok(&["why", "a"]).contains("\nnext: "));
}

#[test]
fn m09_down_ends_everything_and_a_later_up_starts_clean() {
    let folder = started();
    let pids = [pid(&folder, "a"), pid(&folder, "b")];
    folder.ok(&["memory", "set", "kept", "1"]);
    let out = folder.ok(&["down"]);
    assert_eq!(out, "down: nothing is left running\n");
    assert!(pids.iter().all(|pid| !lives(*pid)));
    folder.refused(&["down"], 5, "no supervisor for ");
    folder.ok(&["up", "--detach"]);
    assert_eq!(folder.json(&["status"])["instances"].as_array().map(Vec::len), Some(2));
    assert_eq!(folder.ok(&["memory", "get", "kept"]), "1\n");
}

#[test]
fn m09_down_ends_a_frozen_supervisor_and_orphans_too() {
    let folder = started();
    let (a, supervisor) =
        (pid(&folder, "a"), folder.json(&["status"])["supervisor"]["pid"].as_u64().unwrap());
    let signal = |name: &str, pid: u64| {
        std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    };
    signal("STOP", supervisor);
    assert!(folder.ok(&["down"]).contains("nothing is left running"));
    assert!(!lives(a) && !lives(supervisor));

    folder.ok(&["up", "--detach"]);
    let (a, supervisor) =
        (pid(&folder, "a"), folder.json(&["status"])["supervisor"]["pid"].as_u64().unwrap());
    signal("KILL", supervisor);
    // Its lock goes with its last thread, a moment after its first.
    wait_until("the supervisor is gone", || {
        folder.ok(&["status"]).starts_with("no supervisor; last one (pid ")
    });
    let out = folder.ok(&["status"]);
    assert!(out.contains("ready (unsupervised)"), "{out}");
    assert!(lives(a));
    let out = folder.ok(&["kill", "-s", "CONT", "a"]);
    assert!(out.contains("a: SIGCONT sent (unsupervised)"), "{out}");
    let out = folder.ok(&["down"]);
    assert!(out.contains("ended without a supervisor: a, b"), "{out}");
    assert!(!lives(a));
}

#[test]
fn m10_pause_all_latches_and_resume_all_clears() {
    let folder = started();
    folder.ok(&["pause", "--all"]);
    wait_until("all ended", || pid(&folder, "a") == 0 && pid(&folder, "b") == 0);
    assert!(folder.ok(&["status"]).contains("stop is latched"));
    folder.ok(&["resume", "--all"]);
    wait_until("all are back", || folder.run(&["status", "--check"]).code == 0);
}

#[test]
fn m10_up_after_a_pause_waits_until_all_are_ready_again_and_shows_no_latch() {
    let folder = started();
    folder.ok(&["pause", "--all"]);
    folder.ok(&["down"]);
    let out = folder.ok(&["up", "--detach"]);
    assert!(!out.contains("latched") && out.matches("ready").count() == 2, "{out}");
}

#[test]
fn m07_scale_adds_and_drains() {
    let folder = started();
    let a = pid(&folder, "a");
    folder.ok(&["scale", "sleeper=3"]);
    wait_until("three live", || {
        folder.json(&["status"])["instances"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["status"] == "ready")
            .count()
            == 3
    });
    folder.ok(&["scale", "sleeper=2"]);
    assert_eq!(pid(&folder, "a"), a);
}

#[test]
fn c01_a_start_that_fails_says_why_and_with_which_code() {
    let folder = Folder::new();
    folder.write(
        "tachi.toml",
        "[fleet]\ncount = 0\n[[instances]]\nid = \"a\"\ncommand = [\"/no/such/program\"]\n",
    );
    let said = said(&folder.command(&["up", "--detach"]).output().unwrap());
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.err.starts_with("tachi: not ready: a is failed"), "{}", said.err);
    assert!(said.out.contains("! a failed"), "{}", said.out);
}

#[test]
fn c01_a_directory_that_is_not_ours_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.state()).unwrap();
    folder.write("st/precious.txt", "x");
    folder.refused(&["up", "1", "--detach"], 2, "cannot be a state directory");
    folder.refused(&["up", "1"], 2, "cannot be a state directory");
    assert_eq!(std::fs::read_dir(folder.state()).unwrap().count(), 1);
}
