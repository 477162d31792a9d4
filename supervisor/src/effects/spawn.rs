//! Starting processes: fork and exec by `std::process::Command`, always on its `posix_spawn` path (no `pre_exec`).
//!
//! What every child gets is settled once: the program, an allow-list of our own environment, and the TACHI variables that
//! mark it as ours. Output goes straight into the instance's log file, opened here so that even a failing start leaves
//! its words there. Session, subreaper and limits are the child's own business after exec.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tachi_shared::id::{Incarnation, ProcessRef};
use tachi_shared::layout::StateDir;
use tachi_shared::log::Durability;
use tachi_shared::os::{limits, process};
use tachi_shared::registry::Kind;

use super::table::Leader;
use crate::args::Hold;
use crate::error::{Error, Result};
use crate::settings::{OnLoss, Settings, Spec};

/// Variables of our own environment that every instance gets. Secrets are not among them: those go by name through
/// the configuration.
const INHERITED: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM", "NO_COLOR"];
/// And every variable that begins like this.
const INHERITED_PREFIXES: [&str; 3] = ["LC_", "XDG_", "TACHI_"];
/// Variables of a surrounding instance (a fleet started by an instance) that would be lies for ours.
const NOT_INHERITED: [&str; 11] = [
    "TACHI_INSTANCE_ID",
    "TACHI_INSTANCE_ROLE",
    "TACHI_INCARNATION",
    "TACHI_INSTANCE_COUNT",
    "TACHI_PORT",
    "TACHI_STOP_SIGNAL",
    "TACHI_GRACE_MS",
    "TACHI_NOFILE",
    "TACHI_LIMITS",
    "TACHI_READY",
    "TACHI_STATE_DIR",
];

/// Why a start failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The system's words.
    pub(super) error: String,
    /// Our machine is full: not the role's fault.
    pub(super) machine_full: bool,
}

/// Starts instances.
#[derive(Debug)]
pub(super) struct Launcher {
    dir: StateDir,
    worker: PathBuf,
    holder: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Launcher {
    /// Settles what all children share. `open_files` is the limit they get back.
    pub(super) fn new(settings: &Settings, dir: &StateDir, open_files: Option<u64>) -> Result<Self> {
        let ours = std::env::current_exe().map_err(|e| Error::system("find our own program", e))?;
        let worker = ours.with_file_name("tachi-worker");
        let mut environment: Vec<(OsString, OsString)> =
            std::env::vars_os().filter(|(name, _)| is_inherited(&name.to_string_lossy())).collect();
        let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
        set("TACHI_STATE_DIR", dir.root().into());
        set("TACHI_WORKSPACE", settings.workspace.clone().into());
        set("TACHI_INSTANCE_COUNT", settings.specs.len().to_string().into());
        set("TACHI_ORPHAN_GRACE_MS", settings.orphan_grace.as_millis().to_string().into());
        let on_loss = match settings.on_supervisor_loss {
            OnLoss::Continue => "continue",
            OnLoss::Stop => "stop",
        };
        set("TACHI_ON_SUPERVISOR_LOSS", on_loss.into());
        let durability = match settings.limits.durability {
            Durability::Interval => "interval",
            Durability::Durable => "durable",
        };
        set("TACHI_DURABILITY", durability.into());
        if let Some(goal) = &settings.goal {
            set("TACHI_GOAL", goal.into());
        }
        if let Some(limit) = open_files {
            set("TACHI_NOFILE", limit.to_string().into());
        }
        Ok(Self { dir: dir.clone(), worker, holder: ours, environment })
    }

    /// Starts one incarnation.
    pub(super) fn spawn(
        &self,
        spec: &Spec,
        incarnation: Incarnation,
    ) -> std::result::Result<Leader, Failure> {
        let mut command = self.command(spec, incarnation);
        let log = self.dir.log_file(&spec.id);
        let output = open_log(&log).map_err(|e| failure(&format!("open {}", log.display()), &e))?;
        let errors = output.try_clone().map_err(|e| failure("copy a descriptor", &e))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().map_err(|e| failure(&self.what_failed(spec), &e))?;
        let pidfd = pin(child.id()).map_err(|e| failure("open the pidfd", &e))?;
        // Our own child is not reaped before we do it, so its identity cannot have changed hands.
        let pid_start = process::stat(child.id()).map_or(0, |stat| stat.start);
        let process = ProcessRef { pid: child.id(), pid_start, boot_id: process::boot_id() };
        Ok(Leader {
            incarnation,
            process,
            pidfd,
            kind: spec.kind,
            adopted: false,
            killed: false,
            command: None,
            frozen: false,
        })
    }

    fn command(&self, spec: &Spec, incarnation: Incarnation) -> Command {
        let mut command = match spec.kind {
            Kind::Worker => {
                let mut command = Command::new(&self.worker);
                command.args(["--id", spec.id.as_str(), "--role", spec.role.as_str()]);
                command
            }
            Kind::Command => {
                let mut command = Command::new(&self.holder);
                command.args([Hold::WORD, spec.id.as_str()]).args(&spec.command);
                command
                    .env("TACHI_STOP_SIGNAL", spec.stop_signal.to_string())
                    .env("TACHI_GRACE_MS", spec.grace.as_millis().to_string());
                if let Some(text) = spec.ready.as_ref().and_then(|probe| serde_json::to_string(probe).ok()) {
                    command.env(super::probe::VARIABLE, text);
                }
                command
            }
        };
        let own: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(OsString::from))).collect();
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.envs(own.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        if !spec.limits.is_empty() {
            command.env(limits::LIMITS, limits::text(&spec.limits));
        }
        if let Some(port) = spec.port {
            command.env("TACHI_PORT", port.to_string());
        }
        command
            .env("TACHI_INSTANCE_ID", spec.id.as_str())
            .env("TACHI_INSTANCE_ROLE", spec.role.as_str())
            .env("TACHI_INCARNATION", incarnation.to_string())
            .env("TACHI_STATE_DIR", self.dir.root())
            .current_dir(&spec.cwd);
        command
    }

    /// `posix_spawn` reports one error for program and working directory alike: say which it was.
    fn what_failed(&self, spec: &Spec) -> String {
        let program = if spec.kind == Kind::Worker { &self.worker } else { &self.holder };
        if spec.cwd.is_dir() {
            format!("run {}", program.display())
        } else {
            format!("enter {}", spec.cwd.display())
        }
    }
}

fn is_inherited(name: &str) -> bool {
    let wanted =
        INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    wanted && !NOT_INHERITED.contains(&name)
}

fn pin(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn failure(operation: &str, error: &io::Error) -> Failure {
    use rustix::io::Errno;
    let full = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    let machine_full = full.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    Failure { error: format!("cannot {operation}: {error}"), machine_full }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_a_surrounding_instances_identity_are_not_inherited() {
        for name in ["PATH", "HOME", "LC_ALL", "XDG_RUNTIME_DIR", "TACHI_BACKEND"] {
            assert!(is_inherited(name), "{name} was lost");
        }
        for name in
            ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "TACHI_INSTANCE_ID", "TACHI_NOFILE"]
        {
            assert!(!is_inherited(name), "{name} was passed on");
        }
    }

    #[test]
    fn a_full_machine_is_not_blamed_on_the_role() {
        for (errno, full) in [(11, true), (12, true), (23, true), (24, true), (2, false), (13, false)] {
            assert_eq!(
                failure("x", &io::Error::from_raw_os_error(errno)).machine_full,
                full,
                "errno {errno}"
            );
        }
    }
}
