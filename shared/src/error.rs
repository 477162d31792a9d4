//! One error enum; each variant answers "what should the caller do?".
//!
//! Messages read after "failed to …" or stand alone; [`Error::hint`] is the "next" a person is shown below. Nothing here
//! prints or exits.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and with what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation on a path; look at the source.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// Verb, as in "cannot `open` state/registry.json".
        operation: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No space, quota or file-size limit: nothing was changed; free space and try again.
    #[error("no space left to {operation} {}", path.display())]
    DiskFull {
        /// Verb.
        operation: &'static str,
        /// What could not grow.
        path: PathBuf,
    },
    /// Some of the records that were appended together are stored, the others are not: send those again, and only those.
    #[error("stored only in part, {} missing: {source}", missing.len())]
    StoredInPart {
        /// Which are not stored, counted from 0 in the order given.
        missing: Vec<usize>,
        /// What came in between.
        source: Box<Error>,
    },
    /// Stored and visible, but perhaps not on the disk: a sync failed, and asking again would prove nothing.
    #[error("{} may not survive a power loss: {source}", path.display())]
    DurabilityUnknown {
        /// What was written.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The lock's holder did not let go in time; try later or look at the holder.
    #[error("lock {} still held after {waited:?} by {holder}", lock.display())]
    LockTimeout {
        /// The lock file.
        lock: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// Who holds it, as far as can be known.
        holder: String,
    },
    /// A JSON file or line that cannot be accepted; the last good state stays in force.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Physical line, from 1.
        line: usize,
        /// Column, from 1; 0 when the whole line is meant.
        column: usize,
        /// Why.
        reason: String,
    },
    /// Written by a newer Tachi: readable by it alone, never rewritten by us.
    #[error("{} has schema {found}, this program knows up to {supported}", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema number.
        found: u64,
        /// The newest we know.
        supported: u64,
    },
    /// Refused for its size; nothing was stored.
    #[error("{what} has {size} {unit}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// What is counted: bytes, or levels of nesting.
        unit: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The log is as large as it may become and somebody has not read its oldest part; nothing was stored.
    #[error("{topic} is full, {bytes} of {limit} bytes{}", slowest.as_ref().map(|name| format!(": {name} has read least")).unwrap_or_default())]
    QueueFull {
        /// Which log.
        topic: &'static str,
        /// What it would have had.
        bytes: u64,
        /// What it may have.
        limit: u64,
        /// The reader that holds most back.
        slowest: Option<String>,
    },
    /// A name that may not be used.
    #[error("{what} {value:?} is not allowed: {reason}")]
    InvalidName {
        /// Kind of name.
        what: &'static str,
        /// The name given.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// Nobody of that name; nothing was stored.
    #[error("there is no {what} {value:?}")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// The name given.
        value: String,
        /// Names that come close, or all there are.
        near: Vec<String>,
    },
    /// Somebody else holds this for life (state directory or instance id).
    #[error("{} is held by {holder}", what.display())]
    Held {
        /// What is held.
        what: PathBuf,
        /// By whom, as the kernel's lock list has it.
        holder: String,
    },
    /// The directory is not ours to write in.
    #[error("{} cannot be a state directory: {reason}", path.display())]
    NotAStateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The mark of a state directory cannot be read: the directory is ours, but of which format?
    #[error("{} is damaged: {reason}", path.display())]
    DamagedMark {
        /// The mark.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },
    /// A board rule refused the change (wrong state, lost lease, cycle); nothing was stored.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Wraps a system error, telling a full disk from the rest.
    #[must_use]
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { operation, path: path.to_owned() }
            }
            _ => Self::Io { operation, path: path.to_owned(), source },
        }
    }

    /// Whether the system said "not found".
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Which of `count` records that were to be stored together are not, counted from 0 in the order given.
    #[must_use]
    pub fn not_stored(&self, count: usize) -> Vec<usize> {
        match self {
            Self::StoredInPart { missing, .. } => missing.clone(),
            Self::DurabilityUnknown { .. } => Vec::new(),
            _ => (0..count).collect(),
        }
    }

    /// What a person may do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("check the owner and mode of the path, or choose another with --state".to_owned())
            }
            Self::DiskFull { .. } => Some("free some space; nothing was changed".to_owned()),
            Self::StoredInPart { .. } => {
                Some("free some space, look at what was stored, and send the rest again".to_owned())
            }
            Self::DurabilityUnknown { .. } => Some("check the disk (dmesg); do not send again".to_owned()),
            Self::LockTimeout { .. } => {
                Some("let the holder finish, or continue it with `kill -CONT`".to_owned())
            }
            Self::Rejected { .. } => Some("correct the file; the last good state stays in force".to_owned()),
            Self::NewerSchema { .. } => Some("use the newer tachi that wrote it".to_owned()),
            Self::QueueFull { slowest: Some(name), .. } => {
                Some(format!("see why with `tachi why {name}`, or raise max_bytes under [store]"))
            }
            Self::QueueFull { .. } => Some("raise max_bytes under [store] in tachi.toml".to_owned()),
            Self::TooLarge { .. } => Some("put the content into a file and send its path".to_owned()),
            Self::Unknown { near, .. } if !near.is_empty() => Some(format!("known: {}", near.join(", "))),
            Self::Held { .. } => Some("stop the holder, or choose another directory with --state".to_owned()),
            Self::DamagedMark { path, .. } => Some(format!(
                "nothing else is touched; put it right: echo '{{\"schema\":1}}' > {}",
                path.display()
            )),
            Self::NotAStateDir { .. } => Some("choose an empty or new directory with --state".to_owned()),
            Self::InvalidName { what: "message type", .. } => {
                Some("use human, question, answer, reply, finding, or a word of your own".to_owned())
            }
            Self::Io { .. } | Self::InvalidName { .. } | Self::Unknown { .. } | Self::Refused(_) => None,
        }
    }
}

/// What is wrong with a JSON text, without the place, which is told apart from it.
pub(crate) fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Attaches operation and path to a system result.
pub(crate) trait Context<T> {
    /// Names what was tried on which path.
    fn context(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::io(operation, path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s23_12_a_disk_quota_is_a_full_disk() {
        // ENOSPC, EDQUOT, EFBIG.
        for number in [28, 122, 27] {
            let error = Error::io("write", Path::new("/x"), io::Error::from_raw_os_error(number));
            assert!(matches!(error, Error::DiskFull { .. }), "{number}: {error}");
        }
        let broken = Error::io("write", Path::new("/x"), io::Error::from_raw_os_error(5));
        assert!(matches!(broken, Error::Io { .. }) && broken.to_string().contains("/x"), "{broken}");
    }
}
