//! A workspace, a state directory, and the workers started on them.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tachi_shared::clock;
use tachi_shared::event::Event;
use tachi_shared::id::{InstanceId, Recipient, Seq};
use tachi_shared::instance::InstanceState;
use tachi_shared::log::Cursor;
use tachi_shared::queue::{Draft, Message, MessageKind};
use tachi_shared::registry::Registry;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;
use tachi_shared::task::Board;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A workspace, a state directory, and the workers started on them.
pub(crate) struct Team {
    pub(crate) place: TempDir,
    pub(crate) workers: Vec<Child>,
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
    /// A workspace with `files` small files, under git.
    pub(crate) fn new(files: usize) -> Self {
        let team = Self::plain(files);
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

    /// The same without git.
    pub(crate) fn plain(files: usize) -> Self {
        let place = tempfile::tempdir().unwrap();
        let team = Self { place, workers: Vec::new() };
        fs::create_dir_all(team.workspace()).unwrap();
        for number in 0..files {
            let folder = team.workspace().join(format!("d{}", number / 100));
            if number % 100 == 0 {
                fs::create_dir_all(&folder).unwrap();
            }
            let text = format!("fn f{number}() {{}}\n// TODO: {number}\n");
            fs::write(folder.join(format!("f{number}.rs")), text).unwrap();
        }
        team
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.place.path().join("work")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    pub(crate) fn store(&self) -> Store {
        Store::create(&self.state()).unwrap()
    }

    pub(crate) fn command(&self, id: &str, role: &str) -> Command {
        let mut command = program();
        command.args(["--id", id, "--role", role]).arg("--state").arg(self.state());
        command.arg("--workspace").arg(self.workspace()).current_dir(self.place.path());
        let log =
            fs::OpenOptions::new().append(true).create(true).open(self.place.path().join("out")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    pub(crate) fn start(&mut self, id: &str, role: &str) -> usize {
        let worker = self.command(id, role).spawn().unwrap();
        self.workers.push(worker);
        self.workers.len() - 1
    }

    /// Starts a worker as a supervisor would, whose lock the caller holds.
    pub(crate) fn start_supervised(&mut self, id: &str, incarnation: u32, extra: &[(&str, &str)]) -> usize {
        let mut command = self.command(id, "explorer");
        command.env("TACHI_INCARNATION", incarnation.to_string()).envs(extra.iter().copied());
        self.workers.push(command.spawn().unwrap());
        self.workers.len() - 1
    }

    pub(crate) fn signal(&self, worker: usize, signal: Signal) {
        kill(Pid::from_raw(self.workers[worker].id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self, worker: usize) -> ExitStatus {
        end_of(&mut self.workers[worker])
    }

    pub(crate) fn state_of(&self, id: &str) -> Option<InstanceState> {
        if !self.state().exists() {
            return None;
        }
        match self.store().instance(&name(id)).load().unwrap() {
            Loaded::Good(state) => Some(state),
            Loaded::Missing => None,
            Loaded::Fallback(_, why) => panic!("{why}"),
        }
    }

    pub(crate) fn registry(&self) -> Registry {
        match self.store().registry().load().unwrap() {
            Loaded::Good(registry) => registry,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn has_row(&self, id: &str, incarnation: u32) -> bool {
        self.state().join("registry.json").exists()
            && self.registry().row(&name(id)).is_some_and(|row| row.incarnation.0 == incarnation)
    }

    pub(crate) fn board(&self) -> Board {
        self.store().tasks().board().unwrap().clone()
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.store().queue().messages(Cursor::default(), 100_000).unwrap().0
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.store().events().read(Cursor::default(), 100_000).unwrap().0
    }

    pub(crate) fn send(&self, to: &str, kind: MessageKind, id: &str) {
        let to: Recipient = to.parse().unwrap();
        let draft =
            Draft::new(to, "operator", kind, id.to_owned(), clock::now().wall, "how many files are there?");
        self.store().queue().post(&[draft], Duration::from_secs(5)).unwrap();
    }

    pub(crate) fn seq_of(&self, id: &str) -> Option<Seq> {
        self.messages().iter().find(|message| message.draft.id == id).map(|message| message.seq)
    }

    pub(crate) fn replies_to(&self, id: &str) -> usize {
        self.messages().iter().filter(|message| message.draft.reply_to.as_deref() == Some(id)).count()
    }

    pub(crate) fn is_ready(&self, id: &str, incarnation: u32) -> bool {
        self.state_of(id).is_some_and(|state| {
            state.incarnation.0 == incarnation && state.running && state.ready_at.is_some()
        })
    }

    pub(crate) fn is_waiting(&self, id: &str) -> bool {
        self.state_of(id).is_some_and(|state| state.running && state.current_task == "Waiting")
    }

    pub(crate) fn survey_is_done(&self) -> bool {
        self.state().join("artifacts/survey.json").exists()
    }
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tachi-worker"));
    command.stdin(Stdio::null());
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("TACHI_")) {
        command.env_remove(key);
    }
    command
}

/// Waits for the end of a process; one that does not come is killed, so that nothing outlives its test.
#[track_caller]
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the process did not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn name(id: &str) -> InstanceId {
    InstanceId::new(id).unwrap()
}
