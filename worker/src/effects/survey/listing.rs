//! Lists the files of a tree.
//!
//! In a git repository: `git ls-files -z -co --exclude-standard --deduplicate`, as git itself would see them. Elsewhere: a
//! walk that follows no links, takes hidden files and heeds `.gitignore`. Either way regular files only, without the state
//! directory; everything else that was named is in `skipped` with the reason.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::git::{self, Said};
use super::{Beat, Halt};
use crate::backend::builtin::Site;
use crate::backend::builtin::digest::Digest;
use crate::backend::builtin::fact::{Listed, Skipped, Source};
use crate::backend::builtin::path::escape;

/// The files of a tree.
pub(crate) struct Listing {
    /// Regular files, sorted by path.
    pub(crate) files: Vec<Listed>,
    /// The rest, sorted by path.
    pub(crate) skipped: Vec<Skipped>,
    /// Where the names came from.
    pub(crate) source: Source,
}

/// Lists the workspace.
///
/// # Errors
/// [`Halt::Interrupted`]; [`Halt::Store`] if the workspace is not a directory one can read.
pub(crate) fn list(site: &Site, beat: &mut Beat<'_>) -> Result<Listing, Halt> {
    let root = std::fs::canonicalize(&site.workspace)
        .and_then(|root| std::fs::read_dir(&root).map(|_| root))
        .map_err(|source| tachi_shared::Error::io("read the workspace", &site.workspace, source))?;
    let state = std::fs::canonicalize(&site.state).unwrap_or_else(|_| site.state.clone());
    let state = state.strip_prefix(&root).ok().map(Path::to_owned);
    let (names, mut skipped, source) = match ask_git(&root, beat)? {
        Ok(names) => (names, Vec::new(), Source::Git),
        Err(reason) => {
            let (names, skipped) = walk(&root, state.as_deref(), beat)?;
            (names, skipped, Source::Walk(reason))
        }
    };
    let mut files = Vec::with_capacity(names.len());
    let total = names.len();
    for (at, name) in names.iter().enumerate() {
        beat.tick(|| format!("listing files ({at}/{total})"))?;
        let path = Path::new(OsStr::from_bytes(name));
        if state.as_ref().is_some_and(|state| path.starts_with(state)) {
            continue;
        }
        match look(&root.join(path)) {
            Ok(found) => files.push(Listed { path: escape(name), bytes: found.len(), stamp: stamp(&found) }),
            Err(reason) => skipped.push(Skipped { path: escape(name), reason }),
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    skipped.sort();
    Ok(Listing { files, skipped, source })
}

/// Names as git has them, or the reason why it does not say.
fn ask_git(root: &Path, beat: &mut Beat<'_>) -> Result<Result<Vec<Vec<u8>>, String>, Halt> {
    let doing = "listing files with git";
    let args = ["ls-files", "-z", "-c", "-o", "--exclude-standard", "--deduplicate"];
    let output = match git::run(root, args, beat, doing)? {
        Said::Output(output) => output,
        Said::Refused(reason) => return Ok(Err(reason)),
    };
    if output.is_empty()
        && let Said::Output(_) = git::run(root, ["check-ignore", "-q", "."], beat, doing)?
    {
        return Ok(Err("the workspace is ignored by the repository around it".to_owned()));
    }
    Ok(Ok(output.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()))
}

/// Names as a walk finds them.
fn walk(
    root: &Path,
    state: Option<&Path>,
    beat: &mut Beat<'_>,
) -> Result<(Vec<Vec<u8>>, Vec<Skipped>), Halt> {
    let state: Option<PathBuf> = state.map(|state| root.join(state));
    let mut builder = ignore::WalkBuilder::new(root);
    builder.standard_filters(false).git_ignore(true).require_git(false).follow_links(false);
    builder.filter_entry(move |entry| {
        let inner_git = entry.depth() > 0 && entry.file_name() == ".git";
        !inner_git && state.as_deref() != Some(entry.path())
    });
    let mut names = Vec::new();
    let mut skipped = Vec::new();
    for entry in builder.build() {
        beat.tick(|| format!("listing files ({} found)", names.len()))?;
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
            Ok(entry) => {
                let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
                names.push(path.as_os_str().as_bytes().to_vec());
            }
            Err(error) => skipped.extend(unreadable(&error, root)),
        }
    }
    Ok((names, skipped))
}

/// A directory that the walk could not enter.
fn unreadable(error: &ignore::Error, root: &Path) -> Option<Skipped> {
    match error {
        ignore::Error::WithPath { path, err } => {
            let path = path.strip_prefix(root).unwrap_or(path);
            let reason = err.io_error().map_or("unreadable", |error| reason(error));
            Some(Skipped { path: escape(path.as_os_str().as_bytes()), reason: reason.to_owned() })
        }
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            unreadable(err, root)
        }
        _ => None,
    }
}

/// A regular file's metadata, or why it is passed over.
fn look(path: &Path) -> Result<Metadata, String> {
    let found = std::fs::symlink_metadata(path).map_err(|error| reason(&error).to_owned())?;
    let kind = found.file_type();
    if kind.is_file() {
        return Ok(found);
    }
    Err(if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_dir() {
        "directory: a repository of its own"
    } else if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
    .to_owned())
}

/// A system error in fixed words.
pub(super) fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => "vanished",
        std::io::ErrorKind::PermissionDenied => "permission denied",
        // What opening a link without following it gives.
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => "symbolic link",
        _ => "unreadable",
    }
}

/// Changes whenever the content may have: size, both times, inode. A change within the file system's clock tick that keeps
/// the size is not seen; the next one is.
fn stamp(found: &Metadata) -> u64 {
    [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()]
        .into_iter()
        .fold(Digest::new().number(found.ino()).number(found.len()), |digest, time| {
            digest.number(time.cast_unsigned())
        })
        .finish()
}
