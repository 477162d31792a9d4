//! Replacing a file that others rewrite without a lock: what is replaced is exchanged, not overwritten, and can be looked at.
//!
//! A crash leaves the old file or the new one at the name, whole, and the other one in a temporary file or, with
//! [`swap_keeping`], where a successor finds it.

use std::path::{Path, PathBuf};

use super::place::{Sync, fill, free_name, temporary};
use super::storage::{Handle as _, OpenMode, Stat, Storage};
use crate::error::{Context as _, Error, Result};

/// So often a file may come and go at the target while it is replaced.
const MEETINGS: u32 = 8;

/// What [`swap`] did.
#[derive(Debug)]
pub struct Swapped<F> {
    /// Identity of the file that has the name now.
    pub placed: Stat,
    /// The file that had it until then, without a name now; `None` if there was none.
    pub replaced: Option<F>,
}

/// How a file got the name of another.
enum Exchanged<F> {
    /// The other one has its name now.
    Both,
    /// The other one has no name any more, if there was one.
    One(Option<F>),
}

/// Puts `bytes` at `target` as [`place`] does, and hands back whatever it replaced: for files that others rewrite without
/// a lock, whose last words would be lost otherwise. `before` is done at the last moment, when little can fail any more.
///
/// # Errors
/// [`Error::DiskFull`], [`Error::Io`], and whatever `before` returns; the target is untouched then.
pub fn swap<S: Storage>(
    storage: &S,
    tmp: &Path,
    target: &Path,
    bytes: &[u8],
    sync: Sync,
    before: impl FnOnce() -> Result<()>,
) -> Result<Swapped<S::File>> {
    let (file, temporary) = temporary(storage, tmp, target)?;
    let exchanged = fill(storage, &file, target, &temporary, bytes, sync)
        .and_then(|()| file.stat().context("look at", &temporary))
        // Opened before: afterwards nothing may fail any more, because it is done.
        .and_then(|placed| Ok((placed, open_if_there(storage, target)?)))
        .and_then(|opened| before().map(|()| opened))
        .and_then(|(placed, old)| Ok((placed, old, exchange(storage, &temporary, target)?)));
    let (replaced, is_known) = match &exchanged {
        Ok((_, old, Exchanged::Both)) => look_at_replaced(storage, &temporary, old.as_ref()),
        _ => (None, true),
    };
    if is_known {
        // The temporary name is the old file's now, or that of a file nobody wants.
        let _ = storage.remove(&temporary);
    }
    exchanged.map(|(placed, old, exchanged)| {
        let replaced = match exchanged {
            Exchanged::Both => replaced.or(old),
            Exchanged::One(old) => old,
        };
        Swapped { placed, replaced }
    })
}

/// The file that got the temporary name, opened anew if it is not the `old` one that was opened before; and whether it may go.
fn look_at_replaced<S: Storage>(
    storage: &S,
    temporary: &Path,
    old: Option<&S::File>,
) -> (Option<S::File>, bool) {
    let id = |stat: Stat| (stat.dev, stat.ino);
    let was = old.and_then(|old| old.stat().ok()).map(id);
    if was.is_some() && storage.stat(temporary).ok().map(id) == was {
        return (None, true);
    }
    // Replaced by somebody else just before; if it cannot be looked at now, its bytes stay at least.
    let file = storage.open(temporary, OpenMode::Read).ok();
    let is_known = file.is_some();
    (file, is_known)
}

fn open_if_there<S: Storage>(storage: &S, path: &Path) -> Result<Option<S::File>> {
    match storage.open(path, OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        opened => opened.context("open", path).map(Some),
    }
}

/// As [`swap`], but the replaced file gets a name in `keep` and is not opened (`replaced` is a file without a name): a
/// successor finds it there if this process dies now. A crash before the swap leaves `bytes` there, whole.
///
/// # Errors
/// As [`swap`].
pub fn swap_keeping<S: Storage>(
    storage: &S,
    tmp: &Path,
    keep: &Path,
    target: &Path,
    bytes: &[u8],
) -> Result<(Swapped<S::File>, Option<PathBuf>)> {
    let (file, temporary) = temporary(storage, tmp, target)?;
    let filled = fill(storage, &file, target, &temporary, bytes, Sync::Skip)
        .and_then(|()| file.stat().context("look at", &temporary))
        .and_then(|placed| {
            let kept = free_name(storage, target, keep, "replaced", "json");
            storage.rename(&temporary, &kept).context("place", &kept)?;
            Ok((placed, kept))
        });
    if filled.is_err() {
        let _ = storage.remove(&temporary);
    }
    let (placed, kept) = filled?;
    match exchange(storage, &kept, target) {
        Ok(Exchanged::Both) => Ok((Swapped { placed, replaced: None }, Some(kept))),
        Ok(Exchanged::One(replaced)) => Ok((Swapped { placed, replaced }, None)),
        Err(error) => {
            let _ = storage.remove(&kept);
            Err(error)
        }
    }
}

/// Swaps the two names, where that can be done. Where nothing is to be replaced, nothing that appears meanwhile is.
fn exchange<S: Storage>(storage: &S, temporary: &Path, target: &Path) -> Result<Exchanged<S::File>> {
    use std::io::ErrorKind;
    let mut exchanged = storage.exchange(temporary, target);
    for _ in 0..MEETINGS {
        if !matches!(&exchanged, Err(error) if error.kind() == ErrorKind::NotFound) {
            break;
        }
        match storage.rename_new(temporary, target) {
            Ok(()) => return Ok(Exchanged::One(None)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                exchanged = storage.exchange(temporary, target);
            }
            Err(error) => return Err(Error::io("replace", target, error)),
        }
    }
    match exchanged {
        Ok(()) => Ok(Exchanged::Both),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            // Without an exchange a rewrite by rename in this very moment is lost; one in place is not.
            let old = storage.open(target, OpenMode::Read).ok();
            storage.rename(temporary, target).context("replace", target)?;
            Ok(Exchanged::One(old))
        }
        Err(error) => Err(Error::io("replace", target, error)),
    }
}
