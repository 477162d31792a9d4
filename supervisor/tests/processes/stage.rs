//! A state directory, a configuration and a supervisor to play with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One fleet on the stage.
pub(crate) struct Stage {
    dir: TempDir,
    state: PathBuf,
    /// Word in the arguments of every process the instances start.
    pub(crate) token: String,
    supervisor: Option<Child>,
}

impl Stage {
    /// A fleet of `instances` (TOML), not started yet. `TOKEN` in it is replaced by this stage's word.
    pub(crate) fn new(instances: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::at(dir, None, &format!("count = 0\nbrake = \"none\"\n{instances}"))
    }

    /// A fleet with this configuration below `[fleet]`, its state in `state` or else beside it.
    pub(crate) fn at(dir: TempDir, state: Option<PathBuf>, fleet: &str) -> Self {
        let token = format!("86400.{}{}", std::process::id(), unique());
        let config = format!("[fleet]\n{}", fleet.replace("TOKEN", &token));
        fs::write(dir.path().join("tachi.toml"), config).unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { state: state.unwrap_or_else(|| dir.path().join("state")), dir, token, supervisor: None }
    }

    /// Sleeping instances of these names.
    pub(crate) fn sleepers(names: &[&str]) -> Self {
        let table =
            |name: &&str| format!("[[instances]]\nid = \"{name}\"\ncommand = [\"sleep\", \"TOKEN\"]\n");
        Self::new(&names.iter().map(table).collect::<String>())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.state.clone()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command that starts a supervisor.
    pub(crate) fn up_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tachi"));
        command.arg("up").arg("--config").arg(self.file("tachi.toml")).arg("--state").arg(self.state());
        command.arg("--workspace").arg(self.file("work")).current_dir(self.file("work"));
        command.stdin(Stdio::null());
        command
    }

    /// Starts a supervisor and returns its pid.
    pub(crate) fn up(&mut self) -> u32 {
        self.up_with(&[])
    }

    /// The same, with more arguments.
    pub(crate) fn up_with(&mut self, arguments: &[&str]) -> u32 {
        let mut command = self.up_command();
        self.begin_told(command.args(arguments))
    }

    /// The same, with more in the environment.
    pub(crate) fn up_environment(&mut self, pairs: &[(&str, &str)]) -> u32 {
        let mut command = self.up_command();
        self.begin_told(command.envs(pairs.iter().copied()))
    }

    /// Starts a supervisor by this command, which prints where this stage looks for it.
    pub(crate) fn begin_told(&mut self, command: &mut Command) -> u32 {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.file("up.log")).unwrap();
        self.begin(command.stdout(log.try_clone().unwrap()).stderr(log))
    }

    /// Starts a supervisor by this command.
    pub(crate) fn begin(&mut self, command: &mut Command) -> u32 {
        let child = command.spawn().unwrap();
        let pid = child.id();
        self.supervisor = Some(child);
        pid
    }

    /// Whether whoever was started last has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.supervisor.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Starts a supervisor and waits until everybody is ready.
    pub(crate) fn up_and_ready(&mut self, count: usize) -> u32 {
        let pid = self.up();
        self.wait_ready(pid, count);
        pid
    }

    /// Waits until everybody is ready under this supervisor.
    pub(crate) fn wait_ready(&self, pid: u32, count: usize) {
        self.wait("everybody is ready", |stage| {
            // One read: rows and supervisor of the same moment.
            let registry = stage.registry();
            let rows = registry["instances"].as_array()?;
            let ours = registry["supervisor"]["pid"] == pid;
            let ready = rows.iter().filter(|row| row["status"] == "ready" && row["pid"].is_u64()).count();
            (ours && rows.len() == count && ready == count).then_some(())
        });
    }

    /// Runs a verb.
    pub(crate) fn tachi(&self, arguments: &[&str]) -> Output {
        self.verb(arguments).output().unwrap()
    }

    /// A verb, not started yet.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tachi"));
        command
            .args(arguments)
            .arg("--state")
            .arg(self.state())
            .current_dir(self.file("work"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb that must work.
    pub(crate) fn ask(&self, arguments: &[&str]) {
        let output = self.tachi(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// The registry as anybody reads it; it must always parse.
    pub(crate) fn registry(&self) -> Value {
        match fs::read(self.state().join("registry.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => Value::Null,
        }
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        self.registry()["instances"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn row(&self, id: &str) -> Value {
        self.rows().into_iter().find(|row| row["instance_id"] == id).unwrap_or(Value::Null)
    }

    pub(crate) fn pid(&self, id: &str) -> u32 {
        self.row(id)["pid"]
            .as_u64()
            .and_then(|pid| pid.try_into().ok())
            .unwrap_or_else(|| panic!("{id} has no pid"))
    }

    /// Everything in the event log.
    pub(crate) fn events(&self) -> Vec<Value> {
        let lines = self.event_lines();
        lines
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn event_lines(&self) -> String {
        let mut segments: Vec<_> = fs::read_dir(self.state().join("events"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        segments.sort();
        segments.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }

    /// Waits until `condition` gives something.
    pub(crate) fn wait<T>(&self, what: &str, condition: impl Fn(&Self) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = condition(self) {
                return found;
            }
            assert!(Instant::now() < end, "in vain: {what}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the supervisor has not written the registry for a moment, so that a hand does not cross its write.
    pub(crate) fn wait_for_quiet(&self) {
        self.wait("the registry is quiet", |stage| {
            let written = fs::metadata(stage.state().join("registry.json")).ok()?.modified().ok()?;
            (written.elapsed().ok()? > Duration::from_millis(300)).then_some(())
        });
    }

    /// Processes that carry `word` in their arguments.
    pub(crate) fn processes_with(&self, word: &str) -> Vec<u32> {
        pids().into_iter().filter(|pid| arguments(*pid).contains(word)).collect()
    }

    /// Everything that belongs to this stage and lives: by argument or by mark. The test itself does not count.
    pub(crate) fn survivors(&self) -> Vec<String> {
        let mark = format!("TACHI_STATE_DIR={}", fs::canonicalize(self.state()).unwrap().display());
        let ours = |pid: &u32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let marked = environ.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes());
            *pid != std::process::id() && (marked || arguments(*pid).contains(&self.token))
        };
        let found = pids().into_iter().filter(ours).map(|pid| format!("{pid}: {}", arguments(pid)));
        // A process that ended between the two looks has no arguments any more.
        found.filter(|line| !line.ends_with(": ")).collect()
    }

    /// Waits for the supervisor to end and returns its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let mut child = self.supervisor.take().unwrap();
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() >= end {
                self.supervisor = Some(child);
                panic!("the supervisor does not end");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the supervisor said");
            eprintln!("{}", fs::read_to_string(self.file("up.log")).unwrap_or_default());
            eprintln!("--- events");
            eprint!("{}", self.event_lines());
            eprintln!("--- registry");
            eprintln!("{}", fs::read_to_string(self.state().join("registry.json")).unwrap_or_default());
        }
        if let Some(mut child) = self.supervisor.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for _ in 0..100 {
            let pids = pids().into_iter().filter(|pid| is_ours(*pid, &self.state(), &self.token));
            if pids.map(|pid| signal(pid, "KILL")).count() == 0 {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn is_ours(pid: u32, state: &Path, token: &str) -> bool {
    let mark = format!("TACHI_STATE_DIR={}", state.display());
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let marked = environ.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes());
    pid != std::process::id() && (marked || arguments(pid).contains(token))
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// Whether a process lives (zombies do not).
pub(crate) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !matches!(rest.trim().chars().next(), Some('Z' | 'X') | None))
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn arguments(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn pids() -> Vec<u32> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}

/// A number no other stage of this test process has.
fn unique() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(100);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
