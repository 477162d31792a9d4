//! Where the corpus is, and where its files are tried.

use std::path::{Path, PathBuf};

/// The bytes of a file of `shared/tests/corpus/`, for whichever crate of the repository this is part of.
pub(crate) fn corpus(name: &str) -> Vec<u8> {
    let folders =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("shared/tests/corpus"));
    let path = folders
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no corpus file {name}"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A directory without a disk behind it where there is one: the cases are many and small.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
