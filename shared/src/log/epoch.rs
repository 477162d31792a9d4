//! `.tachi/epoch.json`: which boot wrote last, and numbers that must not be given again.
//!
//! Format: `{"schema":1,"topics":{"messages":{"boot_id":"…","epoch":3,"high_seq":91234}}}`, replaced whole under
//! `locks/epoch.lock` by whoever makes a segment. A crash leaves the old or the new file; an old one only makes the next
//! jump happen again. After a power loss records that readers have seen may be gone; their numbers must not come back, so the
//! first writer of another boot goes on [`EPOCH_STEP`] higher, more than can be unsynced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::os::Storage;
use crate::os::place::{Sync, place};

/// How far numbers jump after a boot.
pub const EPOCH_STEP: u64 = 1_000_000;
/// Nobody holds the epoch lock longer than one small write.
const WAIT: Duration = Duration::from_secs(2);
/// The file is a few hundred bytes; anything much larger is not ours.
const LIMIT: u64 = 64 * 1024;

/// What is known of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// Kernel boot of the last writer that made a segment.
    pub(super) boot_id: String,
    /// Counts jumps.
    pub(super) epoch: u64,
    /// Every number up to this one was given or skipped.
    pub(super) high_seq: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    schema: u64,
    #[serde(default)]
    topics: BTreeMap<String, Epoch>,
}

/// The paths involved.
#[derive(Debug, Clone)]
pub(super) struct EpochFile {
    pub(super) path: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) tmp: PathBuf,
}

impl EpochFile {
    /// What is known of `topic`. A missing or damaged file knows nothing.
    pub(super) fn get<S: Storage>(&self, storage: &S, topic: &str) -> Result<Option<Epoch>> {
        Ok(read(storage, &self.path)?.topics.remove(topic))
    }

    /// Records what is known of `topic` now.
    pub(super) fn set<S: Storage>(&self, storage: &S, topic: &str, epoch: Epoch) -> Result<()> {
        let _guard = storage.lock(&self.lock, "epoch", WAIT)?;
        let mut file = read(storage, &self.path)?;
        file.schema = 1;
        file.topics.insert(topic.to_owned(), epoch);
        let text = serde_json::to_string(&file).map_err(|error| Error::Refused(error.to_string()))?;
        // With its name: without the file the next boot would not know that it is another one, and give numbers again.
        place(storage, &self.tmp, &self.path, format!("{text}\n").as_bytes(), Sync::DataAndName)
    }
}

/// A file that is there and cannot be read now (no descriptor left, a failing disk) is no empty one: what it knows of the
/// other topics would be lost with the next write.
fn read<S: Storage>(storage: &S, path: &Path) -> Result<File> {
    match storage.read(path, LIMIT) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => {
            Ok(File::default())
        }
        Err(error) => Err(Error::io("read", path, error)),
    }
}
