//! P15, P57, P58: supervisors come and go, instances stay, and there is one of each.

use std::fs;
use std::process::Stdio;

use super::stage::{Stage, lives, parent, signal};

#[test]
fn p15_instances_survive_a_killed_supervisor_and_are_adopted() {
    let mut stage = Stage::sleepers(&["a", "b", "c"]);
    let first = stage.up_and_ready(3);
    let pids: Vec<u32> = ["a", "b", "c"].iter().map(|id| stage.pid(id)).collect();
    signal(first, "KILL");
    stage.ended();
    assert!(pids.iter().all(|pid| lives(*pid)));
    stage.up_and_ready(3);
    let again: Vec<u32> = ["a", "b", "c"].iter().map(|id| stage.pid(id)).collect();
    assert_eq!(again, pids);
    assert_eq!(stage.processes_with(&stage.token).len(), 6, "three holders, three commands, nobody twice");
    let adopted = stage.wait("adoption is recorded", |stage| {
        let count = stage.events().iter().filter(|event| event["kind"] == "adopted").count();
        (count > 0).then_some(count)
    });
    assert_eq!(adopted, 3);
}

#[test]
fn p57_an_adopted_instance_that_dies_is_replaced_and_its_death_is_known() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    let first = stage.up_and_ready(2);
    signal(first, "KILL");
    stage.ended();
    stage.up_and_ready(2);
    let (a, b) = (stage.pid("a"), stage.pid("b"));
    signal(a, "KILL");
    let row = stage.wait("a is back", |stage| {
        let row = stage.row("a");
        (row["status"] == "ready" && row["pid"] != a && row["pid"].is_u64()).then_some(row)
    });
    assert_eq!(row["last_death"]["signal"], "SIGKILL", "{row}");
    assert_eq!(stage.pid("b"), b);
}

#[test]
fn p57_who_died_while_nobody_watched_is_replaced_once() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    let first = stage.up_and_ready(2);
    let (a, b) = (stage.pid("a"), stage.pid("b"));
    let holder = parent(a);
    signal(first, "KILL");
    stage.ended();
    signal(a, "KILL");
    stage.wait("a and its holder are gone", |_| (!lives(a) && !lives(holder)).then_some(()));
    stage.up_and_ready(2);
    assert_ne!(stage.pid("a"), a);
    assert_eq!(stage.pid("b"), b);
    assert_eq!(stage.processes_with(&stage.token).len(), 4);
}

#[test]
fn p57_without_a_registry_the_living_are_found_by_their_locks() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    let first = stage.up_and_ready(2);
    let (a, b) = (stage.pid("a"), stage.pid("b"));
    signal(first, "KILL");
    stage.ended();
    fs::remove_file(stage.state().join("registry.json")).unwrap();
    let _ = fs::remove_dir_all(stage.state().join(".tachi/backup"));
    fs::create_dir_all(stage.state().join(".tachi/backup")).unwrap();
    stage.up_and_ready(2);
    assert_eq!((stage.pid("a"), stage.pid("b")), (a, b));
}

#[test]
fn p57_a_pid_that_belongs_to_a_stranger_now_is_never_signalled() {
    let mut stage = Stage::sleepers(&["a"]);
    let first = stage.up_and_ready(1);
    let a = stage.pid("a");
    signal(first, "KILL");
    stage.ended();
    signal(a, "KILL");
    stage.wait("a is gone", |stage| stage.processes_with(&stage.token).is_empty().then_some(()));
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let path = stage.state().join("registry.json");
    let mut registry = stage.registry();
    registry["instances"][0]["pid"] = stranger.id().into();
    fs::write(&path, serde_json::to_vec(&registry).unwrap()).unwrap();
    stage.up_and_ready(1);
    stage.ask(&["stop", "a"]);
    assert!(lives(stranger.id()), "a stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn quit_leaves_the_instances_and_a_later_up_adopts_them() {
    let mut stage = Stage::sleepers(&["a"]);
    let first = stage.up_and_ready(1);
    let a = stage.pid("a");
    signal(first, "QUIT");
    assert_eq!(stage.ended(), Some(0));
    assert!(lives(a));
    stage.up_and_ready(1);
    assert_eq!(stage.pid("a"), a);
}

#[test]
fn p65b_a_commands_log_goes_on_without_a_supervisor() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ncommand = [\"sh\", \"-c\", \"i=0; while :; do i=$((i+1)); echo $i TOKEN; sleep 0.05; done\"]\n",
    );
    let first = stage.up_and_ready(1);
    signal(first, "KILL");
    stage.ended();
    let lines = |stage: &Stage| fs::read_to_string(stage.state().join("logs/a.log")).unwrap().lines().count();
    let before = lines(&stage);
    stage.wait("the log grows", |stage| (lines(stage) > before + 5).then_some(()));
}

#[test]
fn p58_fifty_supervisors_race_for_one_directory_and_one_wins() {
    let stage = Stage::sleepers(&["a"]);
    let start = || stage.up_command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut racers: Vec<_> = (0..50).map(|_| start()).collect();
    let mut codes = Vec::new();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while codes.len() < 49 {
        assert!(std::time::Instant::now() < end, "only {} have given up", codes.len());
        let mut still = Vec::new();
        for mut racer in racers {
            if racer.try_wait().unwrap().is_some() {
                let output = racer.wait_with_output().unwrap();
                codes.push((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()));
            } else {
                still.push(racer);
            }
        }
        racers = still;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut last = racers.pop().unwrap();
    for (code, words) in &codes {
        assert_eq!(*code, Some(7), "{words}");
        assert!(words.contains("held by"), "{words}");
    }
    stage.wait("a runs", |stage| (stage.row("a")["status"] == "ready").then_some(()));
    assert_eq!(stage.processes_with(&stage.token).len(), 2, "one holder, one command");
    signal(last.id(), "TERM");
    assert_eq!(last.wait().unwrap().code(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}

#[test]
fn p57_who_was_frozen_under_the_last_supervisor_and_runs_now_is_not_called_frozen() {
    let mut stage = Stage::sleepers(&["a"]);
    let first = stage.up_and_ready(1);
    let a = stage.pid("a");
    signal(a, "STOP");
    stage.wait("it is seen as frozen", |stage| (stage.row("a")["status"] == "frozen").then_some(()));
    signal(first, "KILL");
    stage.ended();
    signal(a, "CONT");
    stage.up_and_ready(1);
    assert_eq!(stage.pid("a"), a);
}

#[test]
fn p15_who_ended_while_nobody_watched_is_known_by_its_holders_record() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ncommand = [\"sh\", \"-c\", \"until test -e go; do sleep 0.02; done; echo the end; exit 3\"]\n\
         [[instances]]\nid = \"j\"\nrestart = \"job\"\ncommand = [\"sh\", \"-c\", \"until test -e go; do sleep 0.02; done\"]\n",
    );
    let first = stage.up_and_ready(2);
    let holders = [parent(stage.pid("a")), parent(stage.pid("j"))];
    signal(first, "KILL");
    stage.ended();
    fs::write(stage.file("work/go"), "").unwrap();
    stage.wait("both and their holders are gone", |_| holders.iter().all(|pid| !lives(*pid)).then_some(()));
    fs::remove_file(stage.file("work/go")).unwrap();
    stage.up();
    let row = stage.wait("a is back", |stage| {
        let row = stage.row("a");
        (row["status"] == "ready" && row["incarnation"] == 2).then_some(row)
    });
    let death = &row["last_death"];
    assert_eq!(
        (&death["code"], &death["cause"], &death["last_line"]),
        (&3.into(), &"crash".into(), &"the end".into())
    );
    let job = stage.row("j");
    assert_eq!(
        (&job["status"], &job["incarnation"]),
        (&"stopped".into(), &1.into()),
        "its work is done: {job}"
    );
    stage.ask(&["status", "--check"]);
}
