//! Watching directories with `notify`: hints to look, never facts.
//!
//! One watch per process at most (the kernel allows 128 per user). Directories only and non-recursive, because a watch on a
//! file dies at its first replacement. Access events are dropped here: otherwise reading a watched file would wake the
//! reader for ever. An overflow arrives without paths, so it is asked for before any path is looked at.

use std::io;
use std::path::{Path, PathBuf};

use notify::event::EventKind;
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::error::{Error, Result};

/// What a watch says: look there. Never more than a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something changed at this path.
    Changed(PathBuf),
    /// Events were lost: look everywhere.
    Rescan,
}

/// A watcher on fixed directories; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches `dirs`, non-recursively; `hint` is called on the watcher's thread and must neither block nor lock.
    /// Reading a watched file never hints (access events are dropped).
    ///
    /// # Errors
    /// [`crate::Error::Io`]: no watches left, directory missing. The caller polls instead and says so once.
    pub fn start(dirs: &[PathBuf], hint: impl Fn(Hint) + Send + 'static) -> Result<Self> {
        let first = dirs.first().map_or(Path::new(""), PathBuf::as_path);
        let tell = move |event: notify::Result<notify::Event>| hints(event, &hint);
        let mut watcher = notify::recommended_watcher(tell).map_err(|error| failed(first, error))?;
        for dir in dirs {
            watcher.watch(dir, RecursiveMode::NonRecursive).map_err(|error| failed(dir, error))?;
        }
        Ok(Self { _watcher: watcher })
    }
}

/// Turns one event into hints.
fn hints(event: notify::Result<notify::Event>, hint: &impl Fn(Hint)) {
    match event {
        Ok(event) if event.need_rescan() => hint(Hint::Rescan),
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
        Ok(event) => event.paths.into_iter().for_each(|path| hint(Hint::Changed(path))),
        Err(_) => hint(Hint::Rescan),
    }
}

/// The crate's error for a watch that could not be set up.
fn failed(path: &Path, error: notify::Error) -> Error {
    let source = match error.kind {
        ErrorKind::Io(source) => source,
        ErrorKind::PathNotFound => io::Error::from(io::ErrorKind::NotFound),
        ErrorKind::MaxFilesWatch => io::Error::other("no inotify watches left (fs.inotify.max_user_watches)"),
        other => io::Error::other(format!("{other:?}")),
    };
    Error::Io { operation: "watch", path: path.to_owned(), source }
}
