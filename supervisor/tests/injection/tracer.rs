//! `strace` around a program, with one fault at its n-th call of a kind.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Notes that the job `name` did not run.
pub(crate) fn skip(name: &str, reason: &str) {
    match std::env::var_os("TACHI_SKIPS") {
        Some(path) => {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            writeln!(file, "{name}: {reason}").unwrap();
        }
        None => eprintln!("skipped {name}: {reason}"),
    }
}

/// Whether programs can be traced here; says why not.
pub(crate) fn is_permitted() -> bool {
    let why = match Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output() {
        Ok(said) if said.status.success() => return true,
        Ok(said) => String::from_utf8_lossy(&said.stderr).trim().replace('\n', ", "),
        Err(error) => format!("strace: {error}"),
    };
    skip("strace", &why);
    false
}

/// A fault: at which calls, and what happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// System calls as `strace` names sets of them.
    pub(crate) calls: &'static str,
    /// `error=ENOSPC`, `signal=SIGKILL`, `delay_enter=…`.
    pub(crate) what: &'static str,
}

/// Of the calls a program makes, those to try; all of them in a long run.
pub(crate) fn chosen(calls: usize, at_most: usize) -> Vec<usize> {
    let is_long = std::env::var_os("TACHI_LONG").is_some();
    let count = if is_long { calls } else { calls.min(at_most) };
    // The last one counts: that is where things are made known.
    (1..=count).map(|n| n * calls / count).collect()
}

/// `tachi` or a program beside it.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_tachi")).with_file_name(name)
}

/// A traced program; `only` narrows the fault to calls that touch these paths.
pub(crate) fn traced(
    program: &Path,
    fault: Option<(Fault, usize)>,
    calls: &str,
    only: &[&Path],
    log: &Path,
) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(log).args(["-e", &format!("trace={calls}")]);
    for path in only {
        command.arg("-P").arg(path);
    }
    if let Some((fault, n)) = fault {
        command.args(["-e", &format!("inject={}:{}:when={n}", fault.calls, fault.what)]);
    }
    command
        .arg(program)
        .env_remove("TACHI_STATE_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How many calls a trace shows.
pub(crate) fn calls_in(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.contains('(') && !line.contains("resumed>")).count()
}
