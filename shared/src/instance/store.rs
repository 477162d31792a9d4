//! The files of one instance on a storage. Not on the snapshot engine's locked path: there is one writer.
//!
//! A good copy is kept in `.tachi/backup/instances.<id>.json` at the first and every [`BACKUP_EVERY`]th replace: with it a
//! damaged state file costs repeated deliveries (which ids make harmless), never lost ones.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::{ExitRecord, InstanceState};
use crate::error::{Context as _, Error, Result, bare};
use crate::id::InstanceId;
use crate::layout::StateDir;
use crate::os::place::{Sync, keep_refused, place, stamp_of};
use crate::os::{Disk, Stat, Storage};
use crate::snapshot::Loaded;

/// Newest schema we read and the one we write.
const SCHEMA: u64 = 1;
/// Largest file we accept, in bytes: an outbox of the largest messages fits.
const LIMIT: u64 = 128 * 1024 * 1024;
/// Replaces from one backup copy to the next.
const BACKUP_EVERY: u64 = 32;

/// The files of one instance: its state and its last words.
pub struct InstanceStore<S: Storage = Disk> {
    storage: S,
    dir: StateDir,
    id: InstanceId,
    /// The state file as we left it: anything else there is not ours.
    left: Option<Stat>,
    replaces: u64,
}

impl<S: Storage> InstanceStore<S> {
    /// Names the files of `id`; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir, id: &InstanceId) -> Self {
        Self { storage, dir: dir.clone(), id: id.clone(), left: None, replaces: 0 }
    }

    /// The state, or the last good one with the reason, or none.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::NewerSchema`]; [`crate::Error::Rejected`] if it is bad and there is no copy.
    pub fn load(&mut self) -> Result<Loaded<InstanceState>> {
        let path = self.dir.instance(&self.id);
        match self.read(path) {
            Ok(None) => Ok(Loaded::Missing),
            Ok(Some(state)) => Ok(Loaded::Good(state)),
            Err(bad @ Error::Rejected { .. }) => match self.read(self.copy()) {
                Ok(Some(state)) => Ok(Loaded::Fallback(state, bad.to_string())),
                _ => Err(bad),
            },
            Err(error) => Err(error),
        }
    }

    /// Replaces the state. What somebody else wrote there meanwhile is set aside first, never lost.
    ///
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`], [`crate::Error::NewerSchema`].
    pub fn replace(&mut self, state: &InstanceState) -> Result<()> {
        self.put(state, Sync::Data)
    }

    /// Replaces a state that owes nobody anything: not synced, so that a power loss may cost it, and that costs nothing.
    ///
    /// # Errors
    /// As [`InstanceStore::replace`].
    pub fn replace_unsynced(&mut self, state: &InstanceState) -> Result<()> {
        self.put(state, Sync::Skip)
    }

    fn put(&mut self, state: &InstanceState, sync: Sync) -> Result<()> {
        let path = self.dir.instance(&self.id);
        self.keep_foreign(state)?;
        let text = text(state)?;
        place(&self.storage, &self.dir.tmp(), &path, &text, sync)?;
        self.left = Some(self.storage.stat(&path).context("look at", &path)?);
        if self.replaces.is_multiple_of(BACKUP_EVERY) {
            place(&self.storage, &self.dir.tmp(), &self.copy(), &text, Sync::Skip)?;
        }
        self.replaces = self.replaces.wrapping_add(1);
        Ok(())
    }

    /// Proof of life without a write: sets the file's times to now (`futimens`, 0.8 µs).
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn touch(&mut self) -> Result<()> {
        let path = self.dir.instance(&self.id);
        let before = self.storage.stat(&path).context("look at", &path)?;
        self.storage.touch(&path).context("touch", &path)?;
        if self.left == Some(before) {
            self.left = Some(self.storage.stat(&path).context("look at", &path)?);
        }
        Ok(())
    }

    /// The last words, if any were written.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::Rejected`].
    pub fn exit_record(&self) -> Result<Option<ExitRecord>> {
        self.parse(self.dir.exit_record(&self.id))
    }

    /// Writes the last words.
    ///
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn write_exit_record(&self, record: &ExitRecord) -> Result<()> {
        place(&self.storage, &self.dir.tmp(), &self.dir.exit_record(&self.id), &text(record)?, Sync::Skip)
    }

    fn copy(&self) -> PathBuf {
        self.dir.backup().join(format!("instances.{}.json", self.id))
    }

    /// Keeps what is about to be replaced if it is not what we, or a predecessor in good order, left there.
    fn keep_foreign(&self, state: &InstanceState) -> Result<()> {
        let path = self.dir.instance(&self.id);
        let Ok(found) = self.storage.stat(&path) else { return Ok(()) };
        if self.left == Some(found) {
            return Ok(());
        }
        let reason = match self.read(path.clone()) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) if self.left.is_none() => return Ok(()),
            Ok(Some(_)) => "it was edited while its instance was at work, which replaces it".to_owned(),
            Err(error @ Error::Rejected { .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        let bytes = self.storage.read(&path, LIMIT).context("read", &path)?;
        let stamp = stamp_of(state.last_activity);
        keep_refused(&self.storage, &path, &bytes, &self.dir.rejected(), &reason, &stamp).map(drop)
    }

    fn read(&self, path: PathBuf) -> Result<Option<InstanceState>> {
        let state: Option<InstanceState> = self.parse(path.clone())?;
        match state {
            Some(state) if state.schema > SCHEMA => {
                Err(Error::NewerSchema { path, found: state.schema, supported: SCHEMA })
            }
            other => Ok(other),
        }
    }

    fn parse<T: DeserializeOwned>(&self, path: PathBuf) -> Result<Option<T>> {
        let bytes = match self.storage.read(&path, LIMIT) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.context("read", &path)?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Rejected {
            path,
            line: error.line(),
            column: error.column(),
            reason: bare(&error),
        })
    }
}

/// A value as the text of its file.
fn text<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Refused(format!("the state cannot be written as JSON: {error}")))?;
    text.push(b'\n');
    Ok(text)
}
