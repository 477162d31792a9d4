//! `up --detach`: a child in its own session becomes the supervisor; we wait until all are ready and say how it went.
//!
//! The child runs the same program with the same arguments and `--detached`, has null for standard input and output,
//! writes complaints to `logs/supervisor.log`, and closes every other descriptor it got, so that nothing of the caller
//! stays open.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tachi_shared::os::{AliveLock, process};
use tachi_shared::registry::Status;
use tachi_shared::store::Store;

use super::context::Context;
use super::look::{Look, look};
use super::status;
use super::wait::{Deadline, Waiter, until};
use crate::error::{Error, Result, exit};
use crate::render::{Shown, Supervisor};
use crate::settings::Settings;

/// How long the whole fleet may take to become ready.
const READY: Duration = Duration::from_secs(120);
/// How long a supervisor that was killed may take to be gone.
const DYING: Duration = Duration::from_secs(1);
/// Most complaints read back from the supervisor's log, in bytes.
const COMPLAINT_MAX: u64 = 4096;

/// What became of the child.
enum Outcome {
    /// All that should run is ready.
    Ready(Box<Look>),
    /// Something failed for good; the rest goes on.
    Failed(Box<Look>),
    /// The supervisor ended with this exit code.
    Ended(Option<i32>),
}

/// Starts the child, waits, shows the table.
///
/// # Errors
/// [`tachi_shared::Error::Held`] (exit 7), [`Error::TimedOut`], and whatever the child complained about.
pub(super) fn run(context: &Context, settings: &Settings) -> Result<u8> {
    let store = Store::create(&settings.state)?;
    refuse_if_held(&store)?;
    let (child, log, start) = spawn(&store)?;
    let pid = child.id();
    let waiter = Waiter::on(&[store.dir().root().to_owned(), store.dir().instances()]);
    let (ended, bell) = (std::sync::mpsc::channel(), waiter.bell());
    let sender = ended.0;
    let reaper = std::thread::Builder::new().name("reaper".to_owned()).spawn(move || {
        let mut child = child;
        let code = child.wait().ok().and_then(|status| status.code());
        let _ = sender.send(code);
        let _ = bell.send(());
    });
    reaper.map_err(|error| Error::system("start a thread", error))?;
    let outcome = until(&waiter, Deadline::within(READY), || -> Result<Option<Outcome>> {
        if let Ok(code) = ended.1.try_recv() {
            return Ok(Some(Outcome::Ended(code)));
        }
        Ok(judge(look(&store)?, pid, settings))
    })?;
    match outcome {
        Some(Outcome::Ready(look)) => status::show(context, &look).map(|()| exit::OK),
        Some(Outcome::Failed(look)) => {
            status::show(context, &look)?;
            Err(Error::NotReady(look.missing().join(", ")))
        }
        Some(Outcome::Ended(code)) => Err(why_it_ended(&store, code, log, start)),
        None => {
            status::show(context, &look(&store)?)?;
            let hint = "see `tachi status` and `tachi logs`; the fleet goes on".to_owned();
            Err(Error::TimedOut { what: "the start".to_owned(), waited: READY, hint })
        }
    }
}

/// Whether waiting is over, as far as the registry of this very supervisor says.
fn judge(look: Look, pid: u32, settings: &Settings) -> Option<Outcome> {
    let holds = matches!(look.header.supervisor, Supervisor::Running { pid: running, .. } if running == pid);
    if !holds || look.written_by != Some(pid) {
        return None;
    }
    let wanted = |id| look.rows.iter().find(|shown| shown.row.instance_id == id);
    if settings.specs.iter().any(|spec| wanted(spec.id.clone()).is_none()) {
        return None;
    }
    if look.header.latched.is_some() || look.missing().is_empty() {
        return Some(Outcome::Ready(Box::new(look)));
    }
    let at_rest = |shown: &Shown| matches!(shown.status(), Status::Failed | Status::Stopped);
    let waiting = look.rows.iter().any(|shown| shown.is_missing() && !at_rest(shown));
    (!waiting).then(|| Outcome::Failed(Box::new(look)))
}

fn refuse_if_held(store: &Store) -> Result<()> {
    let what = store.dir().supervisor_alive();
    // A killed supervisor holds its lock until its last thread is gone: who is not seen alive gets that moment.
    let free = || {
        let holder = AliveLock::holder(&what).and_then(process::stat);
        let lives = holder.is_some_and(|stat| !stat.is_zombie());
        Ok::<_, Error>((lives || !AliveLock::is_held(&what)).then_some(()))
    };
    until(&Waiter::on(&[]), Deadline::within(DYING), free)?;
    if !AliveLock::is_held(&what) {
        return Ok(());
    }
    let holder =
        AliveLock::holder(&what).map_or_else(|| "another supervisor".to_owned(), |pid| format!("pid {pid}"));
    Err(tachi_shared::Error::Held { what: store.dir().root().to_owned(), holder }.into())
}

/// Starts ourselves once more; returns the child, its complaints' file and where in it they begin.
fn spawn(store: &Store) -> Result<(Child, File, u64)> {
    let path = store.dir().supervisor_log();
    let open = |error| Error::from(tachi_shared::Error::io("open", &path, error));
    let log =
        OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path).map_err(open)?;
    let start = log.metadata().map_err(open)?.len();
    let program =
        std::fs::read_link("/proc/self/exe").map_err(|error| Error::system("find this program", error))?;
    let child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.try_clone().map_err(open)?)
        .spawn()
        .map_err(|error| Error::system("start the supervisor", error))?;
    Ok((child, log, start))
}

/// Called first in the child: closes what it inherited and leaves the caller's session.
pub(super) fn leave_the_caller() {
    let inherited: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in inherited {
        let _ = nix::unistd::close(fd);
    }
    let _ = nix::unistd::setsid();
}

/// The child's own words, else its exit code.
fn why_it_ended(store: &Store, code: Option<i32>, mut log: File, start: u64) -> Error {
    let mut text = String::new();
    let _ = log.seek(SeekFrom::Start(start));
    let _ = log.take(COMPLAINT_MAX).read_to_string(&mut text);
    let words = text.lines().rev().find_map(|line| line.strip_prefix("tachi: ")).map(str::to_owned);
    let (message, hint) = match words {
        Some(words) => match words.split_once("; next: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (words, None),
        },
        None => (
            "the supervisor ended before the fleet was ready".to_owned(),
            Some(format!("see {}", store.dir().supervisor_log().display())),
        ),
    };
    let code = code
        .and_then(|code| u8::try_from(code).ok())
        .filter(|code| *code != exit::OK)
        .unwrap_or(exit::FAILED);
    Error::Refused { message, code, hint }
}
