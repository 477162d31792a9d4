//! Tachi as a contender: a state directory of its own, and the binaries beside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Kept, STAMP, Stamps, nanoseconds, until};

/// Restarts as fast as they come, however many: what is measured is the way, not a delay of the policy.
const AT_ONCE: &str = "limit = \"none\"\nbackoff = { first = \"0s\", base = \"0s\", max = \"0s\" }\n";
/// The roles a fleet of workers has.
const ROLES: [&str; 4] = ["explorer", "builder", "reflector", "coordinator"];

/// What runs as an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    /// The stamping program in the place of `tachi-worker`.
    Workers,
    /// The same, under the rules a fleet has if nobody says otherwise.
    WorkersByDefault,
    /// The stamping program as a command under a holder.
    Commands,
    /// The real worker.
    Real,
}

/// A state directory with `tachi` in it, and whatever plays the worker.
pub(crate) struct Fleet {
    dir: tempfile::TempDir,
    cast: Cast,
    count: usize,
}

impl Fleet {
    /// Prepares `count` instances.
    pub(crate) fn new(cast: Cast, count: usize) -> Self {
        let this = env::current_exe().expect("this program");
        let real = Path::new(env!("CARGO_BIN_EXE_tachi")).with_file_name("tachi-worker");
        let dir = tempfile::tempdir().expect("a folder");
        fs::copy(env!("CARGO_BIN_EXE_tachi"), dir.path().join("tachi")).expect("copied");
        let worker = if cast == Cast::Real { &real } else { &this };
        fs::copy(worker, dir.path().join("tachi-worker")).expect("copied");
        fs::create_dir(dir.path().join("work")).expect("made");
        let mut config = "[fleet]\nbrake = \"none\"\n".to_owned();
        if cast == Cast::Commands {
            config += "count = 0\n";
            for n in 1..=count {
                let program = this.display().to_string();
                config += &format!("[[instances]]\nid = \"c_{n}\"\ncommand = [{program:?}]\n{AT_ONCE}");
            }
        } else if cast == Cast::Workers {
            ROLES.iter().for_each(|role| config += &format!("[roles.{role}]\n{AT_ONCE}"));
        }
        fs::write(dir.path().join("tachi.toml"), config).expect("written");
        Self { dir, cast, count }
    }

    /// `tachi` with these arguments.
    pub(crate) fn tachi(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.dir.path().join("tachi"));
        command.args(arguments).arg("--state").arg(self.state()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Starts a supervisor.
    pub(crate) fn up(&self, stamps: Option<&Stamps>) -> Child {
        let (work, count) = (self.dir.path().join("work").display().to_string(), self.count.to_string());
        let mut command = match self.cast {
            Cast::Commands => self.tachi(&["up", "--workspace", &work]),
            _ => self.tachi(&["up", &count, "--workspace", &work]),
        };
        if let Some(stamps) = stamps {
            command.env(STAMP, &stamps.path);
        }
        command.spawn().expect("tachi")
    }

    /// Ends the fleet.
    pub(crate) fn down(&self, mut up: Child) {
        let done = self.tachi(&["down"]).status().expect("tachi down");
        assert!(done.success(), "tachi down: {done}");
        up.wait().expect("ended");
    }

    /// The registry as it is.
    pub(crate) fn registry(&self) -> Value {
        let bytes = fs::read(self.state().join("registry.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Pids of rows with this state, once they are complete under this supervisor.
    pub(crate) fn pids(&self, supervisor: u32, status: Option<&str>) -> Option<Vec<i32>> {
        let registry = self.registry();
        if registry["supervisor"]["pid"] != supervisor {
            return None;
        }
        let rows = registry["instances"].as_array()?;
        let fits = |row: &&Value| status.is_none_or(|status| row["status"] == status);
        let pids = rows.iter().filter(fits).filter_map(|row| row["pid"].as_i64()?.try_into().ok());
        Some(pids.collect()).filter(|pids: &Vec<i32>| pids.len() == self.count)
    }

    /// Waits until all are ready.
    pub(crate) fn ready(&self, up: &Child) -> Vec<i32> {
        until("everybody is ready", || self.pids(up.id(), Some("ready")))
    }

    /// Kills the supervisor and starts another; how long until that one says whom it has, in nanoseconds.
    pub(crate) fn adopt(&self, up: &mut Child) -> u64 {
        let before = self.pids(up.id(), None).expect("all there");
        up.kill().expect("killed");
        up.wait().expect("reaped");
        let begin = nanoseconds();
        *up = self.up(None);
        let after = until("all are adopted", || self.pids(up.id(), None));
        let took = nanoseconds() - begin;
        assert_eq!(before, after, "somebody was replaced");
        took
    }
}

/// Starts a fleet that stamps.
pub(crate) fn start(cast: Cast, count: usize, stamps: &Stamps) -> Kept {
    let fleet = Fleet::new(cast, count);
    let before = nanoseconds();
    let up = fleet.up(Some(stamps));
    let there = stamps.several(count);
    let boot = there.iter().map(|(_, began)| *began).max().unwrap_or_default() - before;
    let keeper = i32::try_from(up.id()).expect("a pid");
    Kept {
        keepers: vec![keeper],
        pids: there.iter().map(|(pid, _)| *pid).collect(),
        boot,
        end: Box::new(move || fleet.down(up)),
    }
}
