//! A worker run by hand: comes, works, goes; wrong words; what it leaves behind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tachi_shared::id::TaskId;
use tachi_shared::layout::Topic;
use tachi_shared::log::Log;
use tachi_shared::os::Disk;
use tachi_shared::queue::MessageKind;
use tachi_shared::registry::{Desired, Status};
use tachi_shared::task::TaskStatus;

use super::team::{Team, end_of, name, program, wait_until};

#[test]
fn m11_a_worker_alone_registers_works_and_deregisters() {
    let mut team = Team::new(30);
    let worker = team.start("x", "explorer");
    wait_until("ready", || team.is_ready("x", 1) && team.has_row("x", 1));
    let row = team.registry().row(&name("x")).unwrap().clone();
    assert_eq!((row.status, row.pid), (Status::Ready, Some(team.workers[worker].id())));
    wait_until("the survey", || team.survey_is_done());
    wait_until("rest", || team.is_waiting("x"));
    team.signal(worker, Signal::SIGTERM);
    assert_eq!(team.wait(worker).code(), Some(0));
    let row = team.registry().row(&name("x")).unwrap().clone();
    assert_eq!((row.status, row.pid, row.desired), (Status::Stopped, None, Desired::Stopped));
    assert_eq!(row.last_death.unwrap().cause, "requested");
    let state = team.state_of("x").unwrap();
    assert!(!state.running && state.outbox.is_empty() && state.hook.is_none(), "{state:?}");
    let record = team.store().instance(&name("x")).exit_record().unwrap().unwrap();
    assert_eq!((record.code, record.reason.as_str()), (Some(0), "requested"));
    let presence: Vec<String> = team
        .messages()
        .iter()
        .filter(|message| message.draft.kind == MessageKind::Presence)
        .map(|message| message.draft.text().into_owned())
        .collect();
    assert_eq!(presence, ["x (explorer) started, incarnation 1", "x (explorer) stopped: requested"]);
}

#[test]
fn m11_ctrl_c_ends_a_worker_alone_and_the_next_start_counts_on() {
    let mut team = Team::new(1);
    let worker = team.start("x", "explorer");
    wait_until("ready", || team.is_ready("x", 1));
    team.signal(worker, Signal::SIGINT);
    assert_eq!(team.wait(worker).code(), Some(0));
    team.start("x", "explorer");
    wait_until("ready again", || team.has_row("x", 2));
    assert_eq!(team.registry().row(&name("x")).unwrap().restarts, 1);
}

#[test]
fn w03_the_first_steps_of_every_start_are_in_the_event_log_in_order() {
    let mut team = Team::new(3);
    for incarnation in 1..=2 {
        let worker = team.start("x", "reflector");
        wait_until("patrol", || {
            team.events().iter().any(|event| {
                event.text.starts_with("patrol") && event.incarnation.is_some_and(|i| i.0 == incarnation)
            })
        });
        let steps: Vec<String> = team
            .events()
            .iter()
            .filter(|event| event.kind == "step" && event.incarnation.is_some_and(|i| i.0 == incarnation))
            .map(|event| event.text.split(':').next().unwrap().to_owned())
            .collect();
        assert_eq!(steps, ["heartbeat", "outbox", "hook", "inbox", "patrol"]);
        team.signal(worker, Signal::SIGKILL);
        team.wait(worker);
    }
}

#[test]
fn an_instance_that_runs_already_is_not_started_twice() {
    let mut team = Team::new(1);
    team.start("x", "explorer");
    wait_until("ready", || team.is_ready("x", 1));
    let pid = team.workers[0].id().to_string();
    let mut second = team.command("x", "explorer").stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(end_of(&mut second).code(), Some(75));
    let mut line = String::new();
    second.stderr.take().unwrap().read_to_string(&mut line).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("already running") && line.contains(&pid), "{line}");
    assert!(team.is_ready("x", 1), "the first one is not disturbed");
}

#[test]
fn bad_words_are_one_clear_line_and_exit_code_2() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "x").unwrap();
    let full = place.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("other"), "x").unwrap();
    let (file, full) = (file.to_str().unwrap(), full.to_str().unwrap());
    let cases: &[(&[&str], &str)] = &[
        (&["--role", "explorer"], "--id is missing"),
        (&["--id", "x"], "--role is missing"),
        (&["--id", "../x", "--role", "explorer"], "--id"),
        (&["--id", "operator", "--role", "explorer"], "reserved"),
        (&["--id", "x", "--role", "a/b"], "--role"),
        (&["--id", "x", "--role", "r", "--workspace", "/no/such/place"], "workspace"),
        (&["--id", "x", "--role", "r", "--workspace", file], "not a directory"),
        (&["--id", "x", "--role", "r", "--state", file], "file"),
        (&["--id", "x", "--role", "r", "--state", full], "state directory"),
        (&["--id", "x", "--role", "r", "--backend", "gpt"], "TACHI_LLM_BASE_URL"),
    ];
    for (arguments, expected) in cases {
        let mut command = program();
        command.args(*arguments).current_dir(place.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut worker = command.spawn().unwrap();
        let code = end_of(&mut worker).code();
        let mut line = String::new();
        worker.stderr.take().unwrap().read_to_string(&mut line).unwrap();
        assert_eq!(code, Some(2), "{arguments:?}: {line}");
        assert!(line.contains(expected) && line.lines().count() == 1, "{arguments:?}: {line}");
    }
    assert!(!place.path().join("state").exists(), "nothing is made for a call that cannot work");
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}

#[test]
fn m09_a_stop_in_the_middle_of_the_survey_takes_less_than_two_seconds_and_frees_the_task() {
    let mut team = Team::plain(1_500);
    let worker = team.start("x", "explorer");
    wait_until("work", || team.state_of("x").is_some_and(|state| state.hook.is_some()));
    let asked = Instant::now();
    team.signal(worker, Signal::SIGTERM);
    assert_eq!(team.wait(worker).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let board = team.board();
    assert!(
        board.tasks.values().all(|task| task.status != TaskStatus::Claimed),
        "somebody else goes on at once"
    );
}

#[test]
fn a_git_that_hangs_neither_delays_the_stop_nor_outlives_it() {
    let mut team = Team::new(3);
    let bin = team.place.path().join("bin");
    let pids = team.place.path().join("pids");
    fs::create_dir(&bin).unwrap();
    // It even has a child in a session of its own.
    let script = format!("#!/bin/sh\nsetsid sleep 300 &\necho $! $$ >> {}\nexec sleep 300\n", pids.display());
    fs::write(bin.join("git"), script).unwrap();
    assert!(Command::new("chmod").arg("755").arg(bin.join("git")).status().unwrap().success());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = team.command("x", "explorer");
    team.workers.push(command.env("PATH", path).spawn().unwrap());
    wait_until("git", || fs::read_to_string(&pids).is_ok_and(|text| text.ends_with('\n')));
    let asked = Instant::now();
    team.signal(0, Signal::SIGTERM);
    assert_eq!(team.wait(0).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    for pid in fs::read_to_string(&pids).unwrap().split_whitespace() {
        assert!(!Path::new("/proc").join(pid).exists(), "git {pid} lives on");
    }
}

#[test]
fn what_a_dead_worker_held_is_freed_by_another_once_the_lease_is_out() {
    let mut team = Team::new(1);
    let store = team.store();
    let task = TaskId::new("left").unwrap();
    let line = |text: &str| text.to_owned();
    // A claim of a process that is gone, under a boot that is over: what a power cut leaves.
    let added = line(
        r#"{"kind":"added","task":"left","title":"left","needs":[],"payload":null,"by":"y","at":"2026-01-01T00:00:00Z"}"#,
    );
    let claimed = line(
        r#"{"kind":"claimed","task":"left","by":"y","incarnation":1,"expires":1,"boot_id":"old","at":"2026-01-01T00:00:00Z"}"#,
    );
    let mut log = Log::new(Disk, store.dir(), Topic::Tasks);
    log.append(&[added, claimed], Duration::from_secs(5)).unwrap();
    assert!(team.board().tasks[&task].owner.is_some());
    team.start("x", "explorer");
    wait_until("release", || {
        team.board().tasks[&task].owner.as_ref().is_none_or(|owner| owner.instance != name("y"))
    });
}

#[test]
fn a_full_log_file_is_put_aside_and_a_new_one_begun() {
    let mut team = Team::new(1);
    let store = team.store();
    let path = store.dir().log_file(&name("x"));
    let mut log = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
    log.write_all(&vec![b'x'; 10 * 1024 * 1024]).unwrap();
    let mut command = team.command("x", "explorer");
    command.stdout(log.try_clone().unwrap()).stderr(log);
    team.workers.push(command.spawn().unwrap());
    let aside = PathBuf::from(format!("{}.1", path.display()));
    wait_until("rotation", || {
        aside.exists() && fs::read_to_string(&path).is_ok_and(|text| text.contains("patrol"))
    });
    assert!(fs::metadata(&aside).unwrap().len() >= 10 * 1024 * 1024);
}
