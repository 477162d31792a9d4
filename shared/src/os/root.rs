//! Looking at a directory that is to become, or is, a state directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing, and nothing above it either.
    NoParent,
    /// Nothing; the directory above exists.
    Nothing,
    /// A symbolic link whose target is missing.
    DanglingLink,
    /// Something that is not a directory.
    NotADirectory,
    /// A directory with these entries.
    Directory(Vec<String>),
}

/// Looks at a path, links followed.
///
/// # Errors
/// As `stat(2)` and `readdir(3)`.
pub fn look(path: &Path) -> io::Result<Found> {
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Ok(Found::NotADirectory),
        Ok(_) => {
            let names =
                fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect::<io::Result<_>>().map(Found::Directory)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Found::NoParent),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(match path.parent() {
            _ if fs::symlink_metadata(path).is_ok() => Found::DanglingLink,
            Some(parent) if parent.as_os_str().is_empty() || parent.is_dir() => Found::Nothing,
            _ => Found::NoParent,
        }),
        Err(error) => Err(error),
    }
}

/// The path without links and relative parts.
///
/// # Errors
/// As `realpath(3)`.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Whether files can be made in a directory: `None` = yes, else why not.
#[must_use]
pub fn why_not_writable(dir: &Path) -> Option<String> {
    let denied = rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).err()?;
    Some(match denied {
        rustix::io::Errno::ROFS => "the file system is read-only".to_owned(),
        other => format!("it is not writable ({})", io::Error::from(other)),
    })
}

/// Whether a file exists, links followed.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// A name nobody else gives, from the kernel.
///
/// # Errors
/// As `read(2)`.
pub fn unique_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}
