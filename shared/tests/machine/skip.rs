//! Saying that a job cannot run here, and commands that may be missing.

use std::io::Write as _;
use std::process::Command;

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

/// Runs a command to its end.
///
/// # Errors
/// In one line, what it said.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let said = Command::new(words[0]).args(&words[1..]).output();
    match said {
        Ok(said) if said.status.success() => Ok(()),
        Ok(said) => {
            let text = String::from_utf8_lossy(&said.stderr).trim().replace('\n', ", ");
            Err(format!("{} failed: {text}", words[0]))
        }
        Err(error) => Err(format!("{}: {error}", words[0])),
    }
}

/// Something mounted, until it is dropped.
pub(crate) struct Mount {
    pub(crate) at: std::path::PathBuf,
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a lock file that this process once took stays open.
        let _ = run(&["umount", "-l", self.at.to_str().unwrap()]);
    }
}
