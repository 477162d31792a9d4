//! Placing whole files, and setting refused ones aside: with [`super::swap`] the only callers of rename.
//!
//! [`place`] writes a temporary file in the unwatched `tmp` directory and renames it over the target: a reader sees the old
//! file or the new one, never a mixture, and a watcher sees one event. A crash leaves at most a file ending in `.tmp`, which
//! [`sweep`] removes later. [`set_aside`] moves bytes that cannot be accepted into `rejected/` as `<name>.<time>.bad` with
//! a `.why` beside them; nothing is ever thrown away.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::storage::{Handle as _, OpenMode, Storage};
use crate::clock::Timestamp;
use crate::error::{Context as _, Error, Result};

/// Temporary files older than this belong to nobody any more.
pub const STALE_AFTER: Duration = Duration::from_secs(3600);

/// Makes names of temporary files distinct within this process.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Whether the bytes of a placed file must be on the disk before it gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Survives `kill -9`; after a power loss the file may be empty.
    Skip,
    /// Old or new, whole, also after a power loss.
    Data,
    /// As [`Sync::Data`], and the new name itself survives a power loss.
    DataAndName,
}

/// Puts `bytes` at `target` in one step, by way of a temporary file in `tmp` (same file system).
///
/// # Errors
/// [`Error::DiskFull`], [`Error::Io`]; the target is untouched then.
pub fn place<S: Storage>(storage: &S, tmp: &Path, target: &Path, bytes: &[u8], sync: Sync) -> Result<()> {
    let (file, temporary) = temporary(storage, tmp, target)?;
    let filled = fill(storage, &file, target, &temporary, bytes, sync)
        .and_then(|()| storage.rename(&temporary, target).context("replace", target));
    if filled.is_err() {
        let _ = storage.remove(&temporary);
    }
    filled?;
    if sync == Sync::DataAndName
        && let Some(parent) = target.parent()
    {
        storage.sync_dir(parent).context("sync", parent)?;
    }
    Ok(())
}

/// A new temporary file for `target`.
pub(super) fn temporary<S: Storage>(storage: &S, tmp: &Path, target: &Path) -> Result<(S::File, PathBuf)> {
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = tmp.join(format!("{name}.{}.{number}.tmp", std::process::id()));
        match storage.open(&path, OpenMode::Create) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", &path, error)),
        }
    }
}

/// Writes and syncs the temporary file and gives it the access rights of what it replaces.
pub(super) fn fill<S: Storage>(
    storage: &S,
    file: &S::File,
    target: &Path,
    temporary: &Path,
    bytes: &[u8],
    sync: Sync,
) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = file.append(rest).context("write", target)?;
        if written == 0 {
            return Err(Error::DiskFull { operation: "write", path: target.to_owned() });
        }
        rest = rest.get(written..).unwrap_or_default();
    }
    match storage.keep_access(target, temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("keep the access rights of", target, error));
        }
        _ => {}
    }
    if sync != Sync::Skip {
        file.sync().context("sync", target)?;
    }
    Ok(())
}

/// Moves `path` into `rejected` with the reason beside it and returns where it went.
///
/// # Errors
/// [`Error::Io`], [`Error::DiskFull`]; the file stays where it is then.
pub fn set_aside<S: Storage>(
    storage: &S,
    path: &Path,
    rejected: &Path,
    reason: &str,
    at: Timestamp,
) -> Result<PathBuf> {
    let target = free_name(storage, path, rejected, &stamp_of(at), "bad");
    storage.rename(path, &target).context("set aside", path)?;
    // The bytes are safe; a missing explanation must not turn that into a failure.
    let _ = write_new(storage, &target.with_extension("why"), format!("{reason}\n").as_bytes());
    Ok(target)
}

/// Keeps a copy of refused bytes in `rejected` as `<name of path>.<stamp>.bad` and returns where.
///
/// # Errors
/// [`Error::Io`], [`Error::DiskFull`].
pub fn keep_refused<S: Storage>(
    storage: &S,
    path: &Path,
    bytes: &[u8],
    rejected: &Path,
    reason: &str,
    stamp: &str,
) -> Result<PathBuf> {
    let target = free_name(storage, path, rejected, stamp, "bad");
    write_new(storage, &target, bytes)?;
    let _ = write_new(storage, &target.with_extension("why"), format!("{reason}\n").as_bytes());
    Ok(target)
}

/// Writes a file that nobody looks for yet.
fn write_new<S: Storage>(storage: &S, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = storage.open(path, OpenMode::Create).context("create", path)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.append(rest).context("write", path)? {
            0 => return Err(Error::DiskFull { operation: "write", path: path.to_owned() }),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// A time as part of a file name.
#[must_use]
pub fn stamp_of(at: Timestamp) -> String {
    at.to_string().chars().filter(|c| *c != ':' && *c != '-').collect()
}

/// `<dir>/<name of path>.<stamp>.<ending>`, or with a number if that is taken.
pub(super) fn free_name<S: Storage>(
    storage: &S,
    path: &Path,
    dir: &Path,
    stamp: &str,
    ending: &str,
) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut target = dir.join(format!("{name}.{stamp}.{ending}"));
    let mut number = 1;
    while storage.stat(&target).is_ok() {
        target = dir.join(format!("{name}.{stamp}-{number}.{ending}"));
        number += 1;
    }
    target
}

/// Removes temporary files that nobody has written to for an hour; returns how many.
///
/// # Errors
/// [`Error::Io`] when the directory cannot be listed.
pub fn sweep<S: Storage>(storage: &S, tmp: &Path, now: Timestamp) -> Result<usize> {
    let mut removed = 0;
    for name in storage.list(tmp).context("list", tmp)? {
        let path = tmp.join(&name);
        let Ok(stat) = storage.stat(&path) else { continue };
        let written = Timestamp::from_unix(i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default());
        if name.ends_with(".tmp") && written.age(now) > STALE_AFTER && storage.remove(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}
