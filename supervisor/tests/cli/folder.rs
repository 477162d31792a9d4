//! The real `tachi` binary in a folder of its own, with nothing of the caller's environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder; everything a fleet started in it left behind is ended when it goes.
pub(crate) struct Folder {
    dir: tempfile::TempDir,
}

/// What a run said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("st")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// The command, ready for more.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tachi"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TACHI_STATE_DIR", self.state())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        said(&self.command(args).output().unwrap())
    }

    /// Runs, expects success and nothing on standard error; returns what was printed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}: {}", said.out);
        said.out
    }

    /// Runs, expects exactly one line on standard error and this exit code.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str], code: i32, expected: &str) {
        let said = self.run(args);
        let line = said.err.strip_suffix('\n').unwrap_or(&said.err);
        assert_eq!(said.code, code, "{args:?}: {line}");
        assert!(!line.contains('\n'), "{args:?}: more than one line: {line}");
        assert!(line.starts_with("tachi: "), "{args:?}: {line}");
        assert!(line.contains(expected), "{args:?}\n got {line}\nwant {expected}");
    }

    /// JSON a verb printed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = args.to_vec();
        all.push("--json");
        let out = self.ok(&all);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.state().join(".tachi").exists() {
            let _ = self.command(&["down", "--timeout", "10s"]).output();
        }
    }
}

pub(crate) fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
