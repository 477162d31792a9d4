//! The port between the store and the disk: as few operations as the engines need.
//!
//! Implementations must give the guarantees a local POSIX file system gives: one `append` is one `write(2)` at the end of
//! the file (it may be short), `rename` is atomic, an open handle keeps its file after a rename or unlink. Anything else
//! (order of unsynced data, survival of directory entries) must not be relied upon.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::clock::Now;
use crate::error::Result;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing file, reading.
    Read,
    /// Existing file, reading and appending.
    Append,
    /// New file, reading and appending; fails with `AlreadyExists`.
    Create,
}

/// Identity and size of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Number of names; 0 = unlinked while open.
    pub nlink: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
}

/// Size and names of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Bytes.
    pub size: u64,
    /// Number of names; 0 = unlinked while open.
    pub nlink: u64,
}

/// An open file. All reads name their offset; there is no file position.
pub trait Handle {
    /// Identity and size now.
    ///
    /// # Errors
    /// As `fstat(2)`.
    fn stat(&self) -> io::Result<Stat>;

    /// Size and names now, without the times: where times are fine-grained, having looked at them makes the next write store
    /// a new one, which costs more than the write.
    ///
    /// # Errors
    /// As `statx(2)`.
    fn extent(&self) -> io::Result<Extent> {
        let Stat { size, nlink, .. } = self.stat()?;
        Ok(Extent { size, nlink })
    }

    /// The first `size` bytes, fewer if the file ends before.
    ///
    /// # Errors
    /// As [`Handle::read_at`].
    fn read_first(&self, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Where the last append of this handle ended: behind its bytes, wherever the end of the file was then.
    ///
    /// # Errors
    /// As `lseek(2)`.
    fn tell(&self) -> io::Result<u64>;

    /// Reads at `offset`; 0 = end of file.
    ///
    /// # Errors
    /// As `pread(2)`, `EINTR` retried.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// One `write(2)` at the end of the file; may be short, never retried here.
    ///
    /// # Errors
    /// As `write(2)`; only `EINTR` before any byte is retried.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts or extends to `size` bytes.
    ///
    /// # Errors
    /// As `ftruncate(2)`.
    fn truncate(&self, size: u64) -> io::Result<()>;

    /// `fdatasync(2)`. After an error the handle must not be trusted again: rewrite into a new file.
    ///
    /// # Errors
    /// As `fdatasync(2)`.
    fn sync(&self) -> io::Result<()>;
}

/// A file system with locks.
pub trait Storage: Clone {
    /// An open file.
    type File: Handle;
    /// A held lock; released on drop.
    type Lock;

    /// Opens a file. New files get mode 0600 and, as root, the owner of their directory.
    ///
    /// # Errors
    /// As `open(2)`.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File>;

    /// Identity and size of a path, links followed.
    ///
    /// # Errors
    /// As `stat(2)`.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Plain file names in a directory, unordered; names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// As `readdir(3)`.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes one directory, mode 0700; one that is there already is fine.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Gives `path` the mode and, where allowed, the owner of `like`.
    ///
    /// # Errors
    /// As `stat(2)` and `chmod(2)`.
    fn keep_access(&self, like: &Path, path: &Path) -> io::Result<()>;

    /// Sets a file's times to now.
    ///
    /// # Errors
    /// As `utimensat(2)`.
    fn touch(&self, path: &Path) -> io::Result<()>;

    /// Atomic replace.
    ///
    /// # Errors
    /// As `rename(2)`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Atomic placing where nothing is yet.
    ///
    /// # Errors
    /// As `renameat2(2)` with `RENAME_NOREPLACE`: `AlreadyExists` if something is there. Where there is no such thing, it is
    /// replaced.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename(from, to)
    }

    /// Swaps two existing files in one step, so that what was replaced can still be looked at.
    ///
    /// # Errors
    /// As `renameat2(2)` with `RENAME_EXCHANGE`; `Unsupported` where there is no such thing.
    fn exchange(&self, _a: &Path, _b: &Path) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As `unlink(2)`.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the directory's entries durable.
    ///
    /// # Errors
    /// As `fsync(2)`.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Both clocks. Here, so that a simulated storage brings simulated time.
    fn now(&self) -> Now;

    /// This boot of the machine: unsynced data of an earlier one may be gone.
    fn boot_id(&self) -> String {
        super::process::boot_id()
    }

    /// Lets time pass; for the few waits that nothing would end earlier.
    fn pause(&self, time: Duration);

    /// Takes the exclusive lock `path`, waiting at most `wait` (zero = try once). `purpose` is what a waiter is told.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`] naming the holder; [`crate::Error::Io`].
    fn lock(&self, path: &Path, purpose: &str, wait: Duration) -> Result<Self::Lock>;

    /// Reads a whole file, refusing more than `limit` bytes before reading them.
    ///
    /// # Errors
    /// As `open(2)` and `read(2)`; `FileTooLarge` above the limit.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let size = file.stat()?.size;
        if size > limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        file.read_first(size)
    }
}
