//! Who may read and write a path: permission bits, for those who judge them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Kind and permission bits of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Permission bits.
    pub mode: u32,
}

/// Kind and permission bits of `path`, links followed; `None` if it cannot be looked at.
#[must_use]
pub fn access(path: &Path) -> Option<Access> {
    let found = fs::metadata(path).ok()?;
    Some(Access { is_dir: found.is_dir(), mode: found.mode() & 0o7777 })
}
