//! M9, P12, P27: ending is complete, graceful first, and never waits for anybody's lock.

use std::fs;

use super::stage::{Stage, lives, signal};

#[test]
fn m09_terminating_the_supervisor_leaves_nothing_and_a_later_up_is_clean() {
    let mut stage = Stage::sleepers(&["a", "b", "c", "d"]);
    let first = stage.up_and_ready(4);
    signal(first, "TERM");
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
    assert_eq!(stage.survivors(), [""; 0], "something respawned");
    assert!(stage.registry()["supervisor"]["pid"].is_null());
    assert!(stage.rows().iter().all(|row| row["pid"].is_null()), "{:#}", stage.registry());
    stage.up_and_ready(4);
    let mut ids: Vec<_> = stage.rows().iter().map(|row| row["instance_id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn m09_down_ends_everything() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    stage.up_and_ready(2);
    stage.ask(&["down"]);
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}

/// Ignores TERM for longer than any test waits.
const STUBBORN: &str = "[[instances]]\nid = \"a\"\ngrace = \"30s\"\n\
    command = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep TOKEN; done\"]\n";

#[test]
fn p27_the_second_signal_kills_at_once() {
    let mut stage = Stage::new(STUBBORN);
    let first = stage.up_and_ready(1);
    let a = stage.pid("a");
    signal(first, "INT");
    stage.wait("a is asked to end", |stage| (stage.row("a")["status"] == "stopping").then_some(()));
    assert!(lives(a));
    signal(first, "INT");
    stage.ended();
    assert_eq!(stage.survivors(), [""; 0]);
}

#[test]
fn p25_a_frozen_instance_is_continued_to_hear_that_it_is_to_end() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ngrace = \"15s\"\n\
         command = [\"sh\", \"-c\", \"trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done; : TOKEN\"]\n",
    );
    stage.up_and_ready(1);
    signal(stage.pid("a"), "STOP");
    stage.wait("it is seen as frozen", |stage| (stage.row("a")["status"] == "frozen").then_some(()));
    stage.ask(&["stop", "a"]);
    let row = stage.row("a");
    assert_eq!(row["status"], "stopped");
    assert_eq!(row["last_death"]["kind"], "exit", "it was killed instead of asked: {row}");
}

#[test]
fn m09_ending_works_while_a_stranger_holds_every_lock() {
    let mut stage = Stage::sleepers(&["a"]);
    let first = stage.up_and_ready(1);
    let locks = stage.state().join(".tachi/locks");
    let mut holder = std::process::Command::new("sh");
    // flock(1) takes them one inside the other and stays.
    let nested = "cd \"$0\"; exec flock registry.lock flock events.lock flock messages.lock flock tasks.lock sh -c ': > held; exec sleep 60'";
    let mut holder = holder.arg("-c").arg(nested).arg(&locks).spawn().unwrap();
    stage.wait("the locks are held", |_| locks.join("held").exists().then_some(()));
    signal(stage.pid("a"), "KILL");
    stage.wait("a was replaced although nothing can be written", |stage| {
        let state = fs::read(stage.state().join("instances/a.json")).ok()?;
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        (state["incarnation"] == 2 && state["running"] == true).then_some(())
    });
    signal(first, "TERM");
    assert!(stage.ended().is_some());
    assert_eq!(stage.survivors(), [""; 0]);
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn p03_a_command_gets_no_blocked_signal_no_descriptor_and_the_old_limits() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    let pid = stage.pid("a");
    let mask = |pid: &str, name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    let pid = pid.to_string();
    assert_eq!(mask(&pid, "SigBlk"), 0);
    // What whoever called us ignores (nohup) is to be ignored; SIGPIPE is ours. The two the C library keeps for itself are
    // nobody's business.
    let sigpipe = 1 << (nix::sys::signal::Signal::SIGPIPE as i32 - 1);
    let ours = mask("self", "SigIgn") & !sigpipe;
    assert_eq!(mask(&pid, "SigIgn") & 0x7fff_ffff & !ours, 0, "SIGPIPE must not stay ignored");
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().collect();
    let open: Vec<_> =
        open.iter().map(|entry| (entry.file_name(), fs::read_link(entry.path()).unwrap())).collect();
    assert_eq!(open.len(), 3, "{open:?}");
    let limit = |pid: &str| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        line.split_whitespace().nth(3).unwrap().to_owned()
    };
    assert_eq!(limit(&pid), limit("self"));
}

#[test]
fn p29_stop_returns_as_soon_as_it_is_true() {
    let mut stage = Stage::sleepers(&["a"]);
    stage.up_and_ready(1);
    let begin = std::time::Instant::now();
    stage.ask(&["stop", "a"]);
    assert!(begin.elapsed().as_secs() < 5, "a willing instance was waited for: {:?}", begin.elapsed());
    assert_eq!(stage.row("a")["last_death"]["signal"], "SIGTERM");
}

#[test]
fn p65b_a_frozen_member_of_the_fleet_that_holds_a_lock_is_continued() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"holder\"\ncommand = [\"sh\", \"-c\", \"while [ ! -e $TACHI_WORKSPACE/go ]; do sleep 0.05; done; exec flock \\\"$TACHI_STATE_DIR/.tachi/locks/registry.lock\\\" sh -c \': > $TACHI_WORKSPACE/held; exec sleep TOKEN\'\"]\n\
         [[instances]]\nid = \"other\"\ncommand = [\"sleep\", \"TOKEN\"]\n",
    );
    stage.up_and_ready(2);
    let holder = stage.pid("holder");
    fs::write(stage.file("work/go"), "").unwrap();
    stage.wait("the lock is taken", |stage| stage.file("work/held").exists().then_some(()));
    signal(holder, "STOP");
    signal(stage.pid("other"), "KILL");
    stage.wait("it is continued", |stage| {
        stage.events().into_iter().find(|event| event["kind"] == "lock-trouble")
    });
    let state = fs::read_to_string(format!("/proc/{holder}/stat")).unwrap();
    assert!(!state.rsplit_once(')').unwrap().1.trim().starts_with('T'), "{state}");
}

#[test]
fn p52_a_start_that_fails_at_once_for_ever_keeps_nobody_from_ending() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ncwd = \"gone\"\ncommand = [\"sleep\", \"TOKEN\"]\nlimit = \"none\"\n\
         backoff = { first = \"0s\", base = \"0s\", max = \"0s\" }\n",
    );
    fs::create_dir(stage.file("gone")).unwrap();
    let first = stage.up_and_ready(1);
    fs::remove_dir(stage.file("gone")).unwrap();
    signal(stage.pid("a"), "KILL");
    stage.wait("it cannot be started any more", |stage| {
        (stage.row("a")["last_death"]["kind"] == "spawn-error").then_some(())
    });
    signal(first, "TERM");
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}

#[test]
fn m09_rows_that_a_stranger_kept_from_being_written_are_put_right_by_the_next_down() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    stage.up_and_ready(2);
    stage.wait_for_quiet();
    let lock = fs::File::open(stage.state().join(".tachi/locks/registry.lock")).unwrap();
    lock.lock().unwrap();
    let down = stage.tachi(&["down"]);
    let said = String::from_utf8_lossy(&down.stderr).into_owned();
    assert!(down.status.success() && said.contains("registry.json could not say so"), "{down:?}");
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
    assert!(
        stage.rows().iter().all(|row| row["status"] == "ready"),
        "nobody could write: {:#}",
        stage.registry()
    );
    drop(lock);
    assert_eq!(stage.tachi(&["down"]).status.code(), Some(5), "there was nothing left to end");
    for row in stage.rows() {
        assert_eq!((&row["status"], &row["pid"]), (&"stopped".into(), &serde_json::Value::Null), "{row}");
    }
    assert!(stage.registry()["supervisor"]["pid"].is_null());
    stage.up_and_ready(2);
}
