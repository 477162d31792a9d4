//! How much of the logs is kept, and what an acknowledged append survives: what everybody who opens a store must agree on.
//!
//! Format: `.tachi/limits.json`, `{"schema":1,"keep_time_s":86400,"keep_bytes":…,"max_bytes":…,"when_full":"reject",
//! "durability":"interval"}`. Writer: the supervisor when it takes the directory, replaced whole; no lock, because there is
//! one supervisor. A crash leaves the old file or the new one. A missing or unreadable file means the defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Durability, SEGMENT_BYTES};
use crate::error::{Error, Result};
use crate::layout::StateDir;
use crate::os::Storage;
use crate::os::place::{Sync, place};

/// The file is a few hundred bytes; anything much larger is not ours.
const FILE_MAX: u64 = 64 * 1024;
/// So many segments at least fit under the cap, so that the oldest can go while there is still room.
const SEGMENTS_UNDER_CAP: u64 = 8;
/// One part in so many of the cap is kept free for urgent messages.
const RESERVE: u64 = 20;

/// What happens when a log is as large as it may become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Senders get an error that names the slowest reader.
    #[default]
    Reject,
    /// The oldest segments go; who had not read them is told how many records it missed.
    DropOldest,
}

/// Which room of a full log an append may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Room {
    /// All but the reserve.
    #[default]
    Usual,
    /// The reserve too.
    Reserved,
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records younger than this are kept although everybody has read them.
    pub keep_time: Duration,
    /// So many of the newest bytes are kept although everybody has read them.
    pub keep_bytes: u64,
    /// Most bytes a log may have.
    pub max_bytes: u64,
    /// What happens then.
    pub when_full: WhenFull,
    /// What an acknowledged append survives.
    pub durability: Durability,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keep_time: Duration::from_secs(24 * 3600),
            keep_bytes: 64 * 1024 * 1024,
            max_bytes: 1024 * 1024 * 1024,
            when_full: WhenFull::Reject,
            durability: Durability::Interval,
        }
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    schema: u64,
    keep_time_s: u64,
    keep_bytes: u64,
    max_bytes: u64,
    #[serde(default)]
    when_full: WhenFull,
    #[serde(default)]
    durability: Durability,
}

impl Limits {
    /// What this directory's supervisor settled, else the defaults.
    pub fn load<S: Storage>(storage: &S, dir: &StateDir) -> Self {
        let bytes = storage.read(&dir.limits(), FILE_MAX).unwrap_or_default();
        let Ok(file) = serde_json::from_slice::<File>(&bytes) else { return Self::default() };
        Self {
            keep_time: Duration::from_secs(file.keep_time_s),
            keep_bytes: file.keep_bytes,
            max_bytes: file.max_bytes,
            when_full: file.when_full,
            durability: file.durability,
        }
    }

    /// Settles them for everybody who opens the directory from now on.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn save<S: Storage>(&self, storage: &S, dir: &StateDir) -> Result<()> {
        let file = File {
            schema: 1,
            keep_time_s: self.keep_time.as_secs(),
            keep_bytes: self.keep_bytes,
            max_bytes: self.max_bytes,
            when_full: self.when_full,
            durability: self.durability,
        };
        let text = serde_json::to_string(&file).map_err(|error| Error::Refused(error.to_string()))?;
        place(storage, &dir.tmp(), &dir.limits(), format!("{text}\n").as_bytes(), Sync::Data)
    }

    /// Size of a segment under this cap.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES.min(self.max_bytes / SEGMENTS_UNDER_CAP).max(1)
    }

    /// Most bytes the log may have after an append that uses `room`.
    #[must_use]
    pub fn cap(&self, room: Room) -> u64 {
        match room {
            Room::Usual => self.max_bytes - self.max_bytes / RESERVE,
            Room::Reserved => self.max_bytes,
        }
    }
}
