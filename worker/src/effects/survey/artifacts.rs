//! Files under `artifacts/`: what the team produced and what it keeps to go on from.
//!
//! Format: JSON as the types in `backend/builtin/{fact,history,survey}.rs` say, and `survey.md`. Writers: any worker, by writing
//! a temporary file and renaming it, without lock and without sync: content follows from the tree, so two writers write the
//! same, and what a crash or power loss leaves is the old file, the new one, or one that does not parse and is made again.
//! Names: `survey/plan-<run>.json`, `survey/lists/<part>.json`, `survey/parts/<part>.json`, `survey/history/<head>-<n>.json`,
//! `survey/assembled-<run>.json`, `survey/derived-<run>.json`, `survey.md`, `survey.json`, `survey-run.json`.

use std::fs::FileTimes;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Halt;

/// The artifacts of one state directory.
pub(crate) struct Artifacts {
    root: PathBuf,
}

impl Artifacts {
    /// Artifacts below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The path of an artifact.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether it is there and not empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        std::fs::metadata(self.path(name)).is_ok_and(|found| found.is_file() && found.len() > 0)
    }

    /// Reads one; `None` if it is missing or not what it should be.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = std::fs::read(self.path(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// As [`Artifacts::read`], for one that must be there. A damaged one is removed, so that the next survey writes it again.
    ///
    /// # Errors
    /// [`Halt::Damaged`].
    pub(crate) fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T, Halt> {
        self.read(name).ok_or_else(|| {
            let path = self.path(name);
            // Missing, or damaged and of no use to anybody; either way it is reported.
            let _ = std::fs::remove_file(&path);
            Halt::Damaged(path)
        })
    }

    /// Writes one for machines.
    ///
    /// # Errors
    /// [`Halt::Store`].
    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Halt> {
        let bytes = serde_json::to_vec(value).map_err(|_| Halt::Damaged(self.path(name)))?;
        self.replace(name, &bytes)
    }

    /// Writes one for people and machines.
    ///
    /// # Errors
    /// [`Halt::Store`].
    pub(crate) fn write_pretty<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Halt> {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|_| Halt::Damaged(self.path(name)))?;
        bytes.push(b'\n');
        self.replace(name, &bytes)
    }

    /// Puts `bytes` in place of whatever is there.
    ///
    /// # Errors
    /// [`Halt::Store`].
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Halt> {
        let path = self.path(name);
        // The process id keeps two writers apart; a process writes one artifact at a time.
        let plain = name.replace('/', "-");
        let temporary = self.path(&format!("survey/{plain}.{}.tmp", std::process::id()));
        let written = place(&temporary, &path, bytes);
        written.map_err(|source| {
            // Best effort: a leftover is cleared by the next report.
            let _ = std::fs::remove_file(&temporary);
            Halt::Store(tachi_shared::Error::io("write", &path, source))
        })
    }

    /// Says that an artifact of an earlier run is used again: [`Artifacts::clear_before`] spares it. False if it is missing.
    pub(crate) fn keep(&self, name: &str) -> bool {
        if !self.has(name) {
            return false;
        }
        let path = self.path(name);
        let touched = std::fs::File::options().append(true).open(&path).and_then(|file| {
            let now = std::time::SystemTime::now();
            file.set_times(FileTimes::new().set_modified(now))
        });
        touched.is_ok()
    }

    /// Removes intermediate artifacts that were last written, or kept, before `mark` was; best effort.
    pub(crate) fn clear_before(&self, mark: &str) {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
        let Some(limit) = modified(&self.path(mark)) else { return };
        for folder in ["survey", "survey/parts", "survey/lists", "survey/history"] {
            let Ok(entries) = std::fs::read_dir(self.path(folder)) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_file())
                    && modified(&path).is_some_and(|when| when < limit)
                {
                    // Somebody else may have cleared it meanwhile.
                    let _ = std::fs::remove_file(&path);
                }
            }
        }
    }
}

fn place(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let attempt = || std::fs::write(temporary, bytes).and_then(|()| std::fs::rename(temporary, path));
    match attempt() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for folder in [temporary, path].into_iter().filter_map(Path::parent) {
                std::fs::create_dir_all(folder)?;
            }
            attempt()
        }
        done => done,
    }
}
