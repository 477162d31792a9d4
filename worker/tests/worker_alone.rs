//! The real worker program, run by hand and as a supervisor would run it.
#![expect(clippy::disallowed_methods, reason = "tests start processes, wait and make files")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tachi_shared::clock;
use tachi_shared::event::Event;
use tachi_shared::id::{InstanceId, Recipient};
use tachi_shared::instance::InstanceState;
use tachi_shared::log::Cursor;
use tachi_shared::os::AliveLock;
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::queue::{Draft, Message, MessageKind};
use tachi_shared::registry::{Desired, Registry, Status};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;
use tachi_shared::task::{Board, Owner, TaskStatus};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A workspace, a state directory, and the workers started on them.
struct Team {
    place: TempDir,
    workers: Vec<Child>,
}

impl Drop for Team {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ended = worker.kill();
            let _buried = worker.wait();
        }
    }
}

impl Team {
    /// A workspace with `files` small files under git.
    fn new(files: usize) -> Self {
        let place = tempfile::tempdir().unwrap();
        let team = Self { place, workers: Vec::new() };
        for number in 0..files {
            let folder = team.workspace().join(format!("d{}", number / 50));
            fs::create_dir_all(&folder).unwrap();
            fs::write(
                folder.join(format!("f{number}.rs")),
                format!("fn f{number}() {{}}\n// TODO: {number}\n"),
            )
            .unwrap();
        }
        fs::create_dir_all(team.workspace()).unwrap();
        for arguments in [
            &["init", "-q"][..],
            &["add", "-A"],
            &[
                "-c",
                "user.name=T",
                "-c",
                "user.email=t@example.com",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "all",
            ],
        ] {
            let done = Command::new("git").args(arguments).current_dir(team.workspace()).status().unwrap();
            assert!(done.success());
        }
        team
    }

    fn workspace(&self) -> PathBuf {
        self.place.path().join("work")
    }

    fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    fn store(&self) -> Store {
        Store::create(&self.state()).unwrap()
    }

    fn command(&self, id: &str, role: &str) -> Command {
        let mut command = program();
        command.args(["--id", id, "--role", role]).arg("--state").arg(self.state());
        command.arg("--workspace").arg(self.workspace()).current_dir(self.place.path());
        let log =
            fs::OpenOptions::new().append(true).create(true).open(self.place.path().join("out")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    fn start(&mut self, id: &str, role: &str) -> usize {
        let worker = self.command(id, role).spawn().unwrap();
        self.workers.push(worker);
        self.workers.len() - 1
    }

    /// Starts a worker as a supervisor would, whose lock the caller holds.
    fn start_supervised(&mut self, id: &str, incarnation: u32, extra: &[(&str, &str)]) -> usize {
        let mut command = self.command(id, "explorer");
        command.env("TACHI_INCARNATION", incarnation.to_string()).envs(extra.iter().copied());
        self.workers.push(command.spawn().unwrap());
        self.workers.len() - 1
    }

    fn signal(&self, worker: usize, signal: Signal) {
        kill(Pid::from_raw(self.workers[worker].id().cast_signed()), signal).unwrap();
    }

    fn wait(&mut self, worker: usize) -> ExitStatus {
        let mut status = None;
        let child = &mut self.workers[worker];
        wait_until("the worker to end", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn state_of(&self, id: &str) -> Option<InstanceState> {
        if !self.state().exists() {
            return None;
        }
        match self.store().instance(&name(id)).load().unwrap() {
            Loaded::Good(state) => Some(state),
            Loaded::Missing => None,
            Loaded::Fallback(_, why) => panic!("{why}"),
        }
    }

    fn registry(&self) -> Registry {
        match self.store().registry().load().unwrap() {
            Loaded::Good(registry) => registry,
            other => panic!("{other:?}"),
        }
    }

    fn board(&self) -> Board {
        self.store().tasks().board().unwrap().clone()
    }

    fn messages(&self) -> Vec<Message> {
        self.store().queue().messages(Cursor::default(), 100_000).unwrap().0
    }

    fn events(&self) -> Vec<Event> {
        self.store().events().read(Cursor::default(), 100_000).unwrap().0
    }

    fn send(&self, to: &str, kind: MessageKind, id: &str) {
        let to: Recipient = to.parse().unwrap();
        let draft =
            Draft::new(to, "operator", kind, id.to_owned(), clock::now().wall, "how many files are there?");
        self.store().queue().post(&[draft], Duration::from_secs(5)).unwrap();
    }

    fn replies_to(&self, id: &str) -> usize {
        self.messages().iter().filter(|message| message.draft.reply_to.as_deref() == Some(id)).count()
    }

    fn is_ready(&self, id: &str, incarnation: u32) -> bool {
        self.state_of(id).is_some_and(|state| {
            state.incarnation.0 == incarnation && state.running && state.ready_at.is_some()
        })
    }

    fn is_waiting(&self, id: &str) -> bool {
        self.state_of(id).is_some_and(|state| state.running && state.current_task == "Waiting")
    }

    fn survey_is_done(&self) -> bool {
        self.state().join("artifacts/survey.json").exists()
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tachi-worker"));
    command.stdin(Stdio::null());
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("TACHI_")) {
        command.env_remove(key);
    }
    command
}

fn name(id: &str) -> InstanceId {
    InstanceId::new(id).unwrap()
}

#[test]
fn m11_a_worker_alone_registers_works_and_deregisters() {
    let mut team = Team::new(30);
    let worker = team.start("x", "explorer");
    wait_until("ready", || team.is_ready("x", 1));
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
    wait_until("ready again", || team.is_ready("x", 2));
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
    let second = team.command("x", "explorer").stderr(Stdio::piped()).output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    let line = String::from_utf8(second.stderr).unwrap();
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
        let output = program().args(*arguments).current_dir(place.path()).output().unwrap();
        let line = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(line.contains(expected) && line.lines().count() == 1, "{arguments:?}: {line}");
    }
    assert!(!place.path().join("state").exists(), "nothing is made for a call that cannot work");
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}

#[test]
fn m09_a_stop_in_the_middle_of_the_survey_takes_less_than_two_seconds_and_frees_the_task() {
    let mut team = Team::new(3_000);
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
    let script = format!("#!/bin/sh\necho $$ >> {}\nexec sleep 300\n", pids.display());
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
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "git {pid} lives on");
    }
}

#[test]
fn m06_killed_again_and_again_the_work_is_done_once_and_every_message_answered_once() {
    let mut team = Team::new(400);
    let mut asked = Vec::new();
    for round in 0..12_u64 {
        let worker = team.start("x", "explorer");
        let incarnation = u32::try_from(round).unwrap() + 1;
        wait_until("ready", || team.is_ready("x", incarnation));
        for number in 0..3 {
            let id = format!("operator.{round}.{number}");
            team.send("x", MessageKind::Human, &id);
            asked.push(id);
        }
        std::thread::sleep(Duration::from_millis((round * 37) % 120));
        team.signal(worker, Signal::SIGKILL);
        team.wait(worker);
    }
    let worker = team.start("x", "explorer");
    wait_until("the survey", || team.survey_is_done() && team.is_waiting("x"));
    wait_until("all answers", || asked.iter().all(|id| team.replies_to(id) >= 1));
    team.signal(worker, Signal::SIGTERM);
    team.wait(worker);
    for id in &asked {
        assert_eq!(team.replies_to(id), 1, "{id}");
    }
    let mut ids = BTreeMap::new();
    for message in team.messages() {
        *ids.entry(message.draft.id).or_insert(0) += 1;
    }
    assert!(ids.values().all(|count| *count == 1), "{ids:?}");
    let board = team.board();
    assert!(board.tasks.values().all(|task| task.status == TaskStatus::Done), "{:#?}", board.tasks);
}

#[test]
fn w03_the_hook_of_the_killed_is_what_the_successor_goes_on_with_first() {
    let mut team = Team::new(3_000);
    let mut hook = None;
    let worker = team.start("x", "explorer");
    wait_until("a hook", || {
        hook = team.state_of("x").and_then(|state| state.hook);
        if hook.is_some() {
            team.signal(worker, Signal::SIGKILL);
        }
        hook.is_some()
    });
    team.wait(worker);
    let left = team.state_of("x").unwrap().hook;
    team.start("x", "explorer");
    wait_until("patrol", || {
        team.events()
            .iter()
            .any(|event| event.text.starts_with("patrol") && event.incarnation.is_some_and(|i| i.0 == 2))
    });
    if let Some(hook) = left {
        let task = team.board().tasks[&hook.task].clone();
        assert_eq!((task.status, task.finished_by), (TaskStatus::Done, Some(name("x"))));
    }
}

#[test]
fn b07b_presence_makes_nobody_think_and_one_message_only_the_one_it_is_for() {
    let mut team = Team::new(1);
    team.start("a", "explorer");
    team.start("b", "builder");
    wait_until("rest", || team.survey_is_done() && team.is_waiting("a") && team.is_waiting("b"));
    for number in 0..20 {
        let kind = [MessageKind::Presence, MessageKind::Memory, MessageKind::Vote][number % 3].clone();
        team.send("broadcast", kind, &format!("noise.1.{number}"));
    }
    team.send("b", MessageKind::Human, "operator.1.1");
    wait_until("the answer", || team.replies_to("operator.1.1") == 1);
    wait_until("all read", || {
        let read = |id| {
            team.state_of(id).is_some_and(|state| state.logs.iter().any(|line| line.contains("vote from")))
        };
        read("a") && read("b")
    });
    let answers = |id: &str| {
        team.state_of(id).unwrap().usage.get("answers").and_then(serde_json::Value::as_u64).unwrap_or(0)
    };
    assert_eq!((answers("a"), answers("b")), (0, 1));
    let replies = team.messages().iter().filter(|message| message.draft.reply_to.is_some()).count();
    assert_eq!(replies, 1);
}

#[test]
fn asked_in_the_middle_of_the_survey_it_answers_within_five_seconds() {
    let mut team = Team::new(3_000);
    team.start("x", "explorer");
    wait_until("work", || team.state_of("x").is_some_and(|state| state.hook.is_some()));
    let asked = Instant::now();
    team.send("x", MessageKind::Question, "operator.1.1");
    wait_until("the answer", || team.replies_to("operator.1.1") == 1);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let messages = team.messages();
    let reply = messages.iter().find(|message| message.draft.reply_to.is_some()).unwrap();
    assert_eq!((&reply.draft.kind, &reply.draft.to), (&MessageKind::Answer, &Recipient::Operator));
}

#[test]
fn under_a_supervisor_the_row_is_left_to_it_and_pause_is_obeyed() {
    let mut team = Team::new(1);
    let store = team.store();
    let _supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    team.start_supervised("x", 7, &[]);
    wait_until("ready", || team.is_ready("x", 7));
    assert!(matches!(store.registry().load().unwrap(), Loaded::Missing | Loaded::Good(Registry { .. })));
    assert!(!store.dir().registry().exists(), "only the supervisor writes rows");
    let mut other = Team::new(0);
    other.start("x", "explorer");
    wait_until("a row to borrow", || other.is_ready("x", 1) && other.state().join("registry.json").exists());
    let mut row = other.registry().row(&name("x")).unwrap().clone();
    for (desired, text) in [(Desired::Paused, "Paused"), (Desired::Running, "Waiting")] {
        row.desired = desired;
        let row = row.clone();
        store
            .registry()
            .update(Duration::from_secs(5), |registry| {
                registry.instances = vec![row];
                Ok(())
            })
            .unwrap();
        ring(&store.dir().doorbell(&name("x")), Ring::Control);
        wait_until(text, || team.state_of("x").is_some_and(|state| state.current_task == text));
    }
}

#[test]
fn an_orphan_leaves_after_its_grace_and_says_why() {
    let mut team = Team::new(1);
    let store = team.store();
    let supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    let worker = team.start_supervised("x", 1, &[("TACHI_ORPHAN_GRACE_MS", "300")]);
    wait_until("ready", || team.is_ready("x", 1));
    drop(supervisor);
    ring(&store.dir().doorbell(&name("x")), Ring::Control);
    assert_eq!(team.wait(worker).code(), Some(0));
    let record = store.instance(&name("x")).exit_record().unwrap().unwrap();
    assert_eq!(record.reason, "orphaned");
    assert_eq!(team.registry().row(&name("x")).unwrap().status, Status::Stopped);
}

#[test]
fn a_worker_told_to_stop_with_its_supervisor_does() {
    let mut team = Team::new(1);
    let store = team.store();
    let worker = team.start_supervised("x", 1, &[("TACHI_ON_SUPERVISOR_LOSS", "stop")]);
    assert_eq!(team.wait(worker).code(), Some(0));
    assert_eq!(store.instance(&name("x")).exit_record().unwrap().unwrap().reason, "orphaned");
}

#[test]
fn what_a_dead_worker_held_is_freed_by_another_once_the_lease_is_out() {
    let mut team = Team::new(1);
    let store = team.store();
    let task = tachi_shared::id::TaskId::new("left").unwrap();
    let line = |text: &str| text.to_owned();
    // A claim of a process that is gone, under a boot that is over: what a power cut leaves.
    let added = line(
        r#"{"kind":"added","task":"left","title":"left","needs":[],"payload":null,"by":"y","at":"2026-01-01T00:00:00Z"}"#,
    );
    let claimed = line(
        r#"{"kind":"claimed","task":"left","by":"y","incarnation":1,"expires":1,"boot_id":"old","at":"2026-01-01T00:00:00Z"}"#,
    );
    let mut log =
        tachi_shared::log::Log::new(tachi_shared::os::Disk, store.dir(), tachi_shared::layout::Topic::Tasks);
    log.append(&[added, claimed], Duration::from_secs(5)).unwrap();
    assert!(matches!(team.board().tasks[&task].owner, Some(Owner { .. })));
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

#[test]
fn an_idle_worker_under_a_supervisor_has_one_thread_and_sleeps() {
    let mut team = Team::new(1);
    let store = team.store();
    let _supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    let worker = team.start_supervised("x", 1, &[]);
    wait_until("rest", || team.survey_is_done() && team.is_waiting("x"));
    let proc = PathBuf::from(format!("/proc/{}", team.workers[worker].id()));
    wait_until("one thread", || fs::read_dir(proc.join("task")).unwrap().count() == 1);
    let switches = || {
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let line =
            status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    // The last commit of the work may still be due: begin to count after a quiet second.
    let mut before = switches();
    wait_until("quiet", || {
        std::thread::sleep(Duration::from_millis(1_000));
        let now = switches();
        std::mem::replace(&mut before, now) == now
    });
    std::thread::sleep(Duration::from_secs(2));
    assert!(switches() - before <= 1, "{} wake-ups in 2 s", switches() - before);
}
