//! stub
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::os::{Disk, Storage};

/// A JSON document with a schema number and a revision.
pub trait Document: Serialize + DeserializeOwned + Clone {
    /// Newest schema we read and the one we write.
    const SCHEMA: u64;
    /// Largest file we accept, in bytes.
    const LIMIT: u64;
    /// What a missing file means.
    fn empty() -> Self;
    /// Current revision, for documents that have one.
    fn rev(&self) -> u64;
    /// Sets the revision.
    fn set_rev(&mut self, rev: u64);
    /// Rules beyond the types; the reason if one is broken.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// A document as it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded<D> {
    /// The file is there and good.
    Good(D),
    /// No file.
    Missing,
    /// The file is bad; this is the last good state (backup or memory) and why the file was not taken.
    Fallback(D, String),
}

/// One replaced JSON file.
pub struct Snapshot<D: Document, S: Storage = Disk> {
    _storage: S,
    _doc: std::marker::PhantomData<D>,
}

impl<D: Document, S: Storage> Snapshot<D, S> {
    /// A snapshot at `path`, guarded by `lock`, temp files in `tmp`, last good copy at `backup`, refused bytes to `rejected`.
    pub fn new(
        _storage: S,
        _path: PathBuf,
        _lock: Option<PathBuf>,
        _tmp: PathBuf,
        _backup: PathBuf,
        _rejected: PathBuf,
    ) -> Self {
        todo!()
    }

    /// Reads without a lock.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::NewerSchema`]; a bad file is not an error but [`Loaded::Fallback`].
    pub fn load(&mut self) -> Result<Loaded<D>> {
        todo!()
    }

    /// Reads, changes, replaces; the change runs under the lock on the newest state. `rev` is advanced here.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`], [`crate::Error::DiskFull`], [`crate::Error::Io`], [`crate::Error::NewerSchema`], and whatever `change` returns;
    /// nothing is changed then.
    pub fn update<T>(&mut self, _wait: Duration, _change: impl FnOnce(&mut D) -> Result<T>) -> Result<T> {
        todo!()
    }

    /// Replaces the file by `document` without reading it: for files with a single writer.
    ///
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn replace(&mut self, _document: &D) -> Result<()> {
        todo!()
    }
}
