//! Runs git for reading: no locks, no prompts, no pager, no programs named in a repository's configuration.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Beat, Halt};

/// What git said.
pub(crate) enum Said {
    /// Its output.
    Output(Vec<u8>),
    /// Why there is none, in words that are the same on every machine.
    Refused(String),
}

/// Longest wait between two looks at the run loop.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 40_000_000 };

/// Starts a git command in `workspace`.
pub(crate) fn command<A: AsRef<OsStr>>(workspace: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut git = Command::new("git");
    // Configuration that would run programs, or change what the output says.
    git.args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"]);
    for setting in
        ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.quotePath=false", "log.showRoot=true"]
    {
        git.args(["-c", setting]);
    }
    git.args(args).current_dir(workspace).stdin(Stdio::null());
    git.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
    // Left over from a hook or an alias we were started from, these name another repository.
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_NAMESPACE",
        "GIT_EXTERNAL_DIFF",
    ] {
        git.env_remove(name);
    }
    git
}

/// Runs git to its end and collects its output, asking the run loop meanwhile.
///
/// # Errors
/// [`Halt::Interrupted`]; git is ended then.
pub(crate) fn run<A: AsRef<OsStr>>(
    workspace: &Path,
    args: impl IntoIterator<Item = A>,
    beat: &mut Beat<'_>,
    doing: &str,
) -> Result<Said, Halt> {
    collect(command(workspace, args), beat, doing)
}

/// As [`run`], for a prepared command.
///
/// # Errors
/// As [`run`].
pub(crate) fn collect(mut git: Command, beat: &mut Beat<'_>, doing: &str) -> Result<Said, Halt> {
    let mut child = match git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Said::Refused("git is not installed".to_owned()));
        }
        Err(_) => return Ok(Said::Refused("git cannot be started".to_owned())),
    };
    let mut output = Vec::new();
    let mut complaint = Vec::new();
    let read = drain(&mut child, &mut output, &mut complaint, beat, doing);
    if read.is_err() {
        // It may be gone already; either way it is reaped below.
        let _ = child.kill();
    }
    let status = child.wait();
    read?;
    Ok(match status {
        Ok(status) if status.success() => Said::Output(output),
        _ => Said::Refused(reason(&String::from_utf8_lossy(&complaint)).to_owned()),
    })
}

/// Reads both pipes until both are closed.
fn drain(
    child: &mut Child,
    output: &mut Vec<u8>,
    complaint: &mut Vec<u8>,
    beat: &mut Beat<'_>,
    doing: &str,
) -> Result<(), Halt> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let mut buffer = vec![0_u8; 64 * 1024];
    while out.is_some() || err.is_some() {
        beat.tick(|| doing.to_owned())?;
        let out_ready = out.as_ref().map(AsFd::as_fd);
        let err_ready = err.as_ref().map(AsFd::as_fd);
        let (out_ready, err_ready) = ready(out_ready, err_ready);
        if out_ready && take(&mut out, &mut buffer, output).is_none() {
            out = None;
        }
        if err_ready && take(&mut err, &mut buffer, complaint).is_none() {
            err = None;
        }
    }
    Ok(())
}

/// Waits a little for news on either pipe.
fn ready(out: Option<BorrowedFd<'_>>, err: Option<BorrowedFd<'_>>) -> (bool, bool) {
    let mut fds: Vec<PollFd<'_>> =
        [out, err].into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    if poll(&mut fds, Some(&WAIT)).is_err() {
        return (false, false);
    }
    let mut news = fds.iter().map(|fd| !fd.revents().is_empty());
    let mut next = |there: bool| there && news.next().unwrap_or(false);
    (next(out.is_some()), next(err.is_some()))
}

/// Takes what is there; `None` at the end.
fn take(pipe: &mut Option<impl std::io::Read>, buffer: &mut [u8], into: &mut Vec<u8>) -> Option<()> {
    match pipe.as_mut()?.read(buffer) {
        Ok(0) => None,
        Ok(count) => {
            into.extend_from_slice(buffer.get(..count)?);
            Some(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Some(()),
        Err(_) => None,
    }
}

/// Git's complaint in fixed words: reports must not depend on versions and places.
fn reason(complaint: &str) -> &'static str {
    let table = [
        ("not a git repository", "not a git repository"),
        ("dubious ownership", "git refuses a repository of another user (see safe.directory)"),
        ("must be run in a work tree", "the repository has no work tree"),
        ("does not have any commits", "no commits yet"),
        ("ambiguous argument 'HEAD'", "no commits yet"),
        ("bad revision 'HEAD'", "no commits yet"),
    ];
    table.iter().find(|(words, _)| complaint.contains(words)).map_or("git failed", |(_, reason)| reason)
}
