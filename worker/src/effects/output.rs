//! `logs/<id>.log`: plain lines, appended through standard output, rotated by the worker itself at 10 MiB, 5 files in all.
//!
//! Format: `TIMESTAMP text`, and whatever a panic prints. Writer: this process alone; the descriptor was opened for appending by
//! whoever started it. A crash leaves the last complete line. Standard output that is no such file (a terminal, a pipe) is
//! written and never rotated. A full disk loses lines and stops nobody.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Size at which the file is put aside, in bytes.
const FILE_MAX: u64 = 10 * 1024 * 1024;
/// Files kept, the current one included.
const FILES_MAX: u32 = 5;

/// Where lines go.
pub(super) struct Output {
    path: PathBuf,
    written: u64,
    rotates: bool,
}

impl Output {
    /// Looks where standard output goes.
    pub(super) fn new(path: PathBuf) -> Self {
        let size = size_if_same(&path);
        Self { path, written: size.unwrap_or_default(), rotates: size.is_some() }
    }

    /// Writes one line.
    pub(super) fn line(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _full = writeln!(out, "{text}").and_then(|()| out.flush());
        drop(out);
        self.written = self.written.saturating_add(text.len() as u64 + 1);
        if self.rotates && self.written >= FILE_MAX {
            self.rotate();
        }
    }

    /// Puts the file aside and goes on in a new one. If that fails the old one grows on until the next attempt.
    fn rotate(&mut self) {
        self.written = 0;
        for age in (1..FILES_MAX.saturating_sub(1)).rev() {
            let _absent = std::fs::rename(aged(&self.path, age), aged(&self.path, age + 1));
        }
        if std::fs::rename(&self.path, aged(&self.path, 1)).is_err() {
            return;
        }
        let fresh = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        if let Ok(file) = fresh {
            let _kept = rustix::stdio::dup2_stdout(&file);
            let _kept = rustix::stdio::dup2_stderr(&file);
        }
    }
}

fn aged(path: &Path, age: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    PathBuf::from(name)
}

/// The size of the log file, if standard output is that file.
fn size_if_same(path: &Path) -> Option<u64> {
    let out = File::from(std::io::stdout().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
    let file = std::fs::metadata(path).ok()?;
    (out.dev() == file.dev() && out.ino() == file.ino()).then_some(file.size())
}
