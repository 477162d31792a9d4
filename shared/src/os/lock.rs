//! Locks: flock on dedicated files under `.tachi/locks/` that are never renamed or deleted, and the only user of `fs2`.
//!
//! Calls are fully qualified because std has methods of the same names. Content of a lock file: one advisory line
//! `{"pid":…,"op":…,"since":…}`. A crash leaves an unlocked file; there are no stale locks and none is ever broken.
//!
//! Invariants: at most one holder, also within this process ([`slot`](super::slot)); a lock file that was deleted or
//! replaced while we waited does not count (device and inode are compared after locking); the unlock is explicit, because
//! a child between fork and exec holds a copy of the descriptor; a guard that was copied into another process does not
//! unlock.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::{extent_of, give_to_directory_owner};
use super::proc_locks;
use super::slot::{self, Slot};
use crate::error::{Context as _, Error, Result};

/// The usual holder is done within microseconds: so often it is left the processor before anybody sleeps.
const YIELDS: u32 = 4;
/// Contention of this length is waited out by short naps. Only then is the kernel's queue joined: it wakes all who wait in it
/// whenever the lock is let go, and a lock that is handed from thread to thread stands idle on the way.
const NAPPING: Duration = Duration::from_millis(10);
/// The longest of these naps.
const LONGEST_NAP: Duration = Duration::from_micros(500);
/// A lock file that was moved away keeps its names; every so many takes its path is looked up, which costs as much as all the
/// rest. A deleted or replaced one has no name left and is noticed at once.
const TAKES_PER_LOOKUP: u32 = 64;
/// How long [`AliveLock::take`] retries, since a probe holds the lock for some microseconds.
const PROBE_GRACE: Duration = Duration::from_secs(1);

/// An open lock file and which file it is.
#[derive(Debug)]
pub(super) struct LockFile {
    file: File,
    dev: u64,
    ino: u64,
    /// Takes since it was opened.
    takes: u32,
}

impl LockFile {
    /// Opens the lock file, making it if needed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = options.create(true).truncate(false).open(path)?;
                give_to_directory_owner(path)?;
                file
            }
            other => other?,
        };
        let stat = rustix::fs::fstat(&file)?;
        Ok(Self { file, dev: stat.st_dev, ino: stat.st_ino, takes: 0 })
    }

    /// Tries once; `false` = somebody else has it.
    pub(super) fn try_exclusive(&self) -> io::Result<bool> {
        loop {
            match fs2::FileExt::try_lock_exclusive(&self.file) {
                Ok(()) => return Ok(true),
                Err(error) if is_contended(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits as long as it takes; for the helper thread only.
    pub(super) fn exclusive(&self) -> io::Result<()> {
        loop {
            match fs2::FileExt::lock_exclusive(&self.file) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Lets go. Nothing can be done about a failure, and closing the file would release too.
    pub(super) fn unlock(&self) {
        let _ = fs2::FileExt::unlock(&self.file);
    }

    /// Whether `path` still names this very file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        rustix::fs::stat(path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (self.dev, self.ino))
    }

    /// As [`LockFile::is_at`], most of the time without looking the path up.
    fn is_still_at(&mut self, path: &Path) -> bool {
        self.takes = self.takes.wrapping_add(1);
        if self.takes.is_multiple_of(TAKES_PER_LOOKUP) {
            return self.is_at(path);
        }
        extent_of(&self.file).is_ok_and(|extent| extent.nlink > 0)
    }

    /// Leaves the advisory line. Best effort: a full disk must not fail a lock.
    fn say(&self, purpose: &str) {
        let since = crate::clock::now().wall.to_string();
        let line = serde_json::json!({"pid": std::process::id(), "op": purpose, "since": since});
        let line = format!("{line}\n");
        if self.file.write_all_at(line.as_bytes(), 0).is_ok() {
            let _ = self.file.set_len(line.len() as u64);
        }
    }
}

/// An exclusive flock, held until drop.
#[derive(Debug)]
pub struct FileLock {
    /// `None` only while being dropped.
    open: Option<LockFile>,
    slot: Arc<Slot>,
    pid: u32,
}

impl FileLock {
    /// Takes the lock, waiting at most `wait` (zero = try once). The file stays open afterwards, so that the next take
    /// costs one `flock` and one `stat`.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`], [`crate::Error::Io`].
    pub fn take(path: &Path, purpose: &str, wait: Duration) -> Result<Self> {
        let slot = slot::of(path);
        let deadline = if wait.is_zero() { None } else { Instant::now().checked_add(wait) };
        let timeout = |holder| Error::LockTimeout { lock: path.to_owned(), waited: wait, holder };
        let Some(cached) = slot.enter(deadline) else {
            let pid = std::process::id();
            return Err(timeout(format!("another thread of this process (pid {pid})")));
        };
        // From here on the slot is ours and must be left on every path: the guard does that.
        let mut guard = Self { open: cached, slot, pid: std::process::id() };
        let mut fresh = false;
        loop {
            let file = match guard.open.take() {
                Some(file) => file,
                None => {
                    fresh = true;
                    LockFile::open(path).context("open the lock", path)?
                }
            };
            match acquire(&file, path, &guard.slot, deadline).context("lock", path)? {
                Acquired::Itself => {}
                Acquired::ByHelper(granted) => {
                    guard.open = Some(granted);
                    fresh = true;
                }
                Acquired::Not => {
                    guard.open = Some(file);
                    return Err(timeout(proc_locks::describe(path)));
                }
            }
            let held = guard.open.get_or_insert(file);
            if fresh && held.is_at(path) {
                held.say(purpose);
                return Ok(guard);
            }
            if !fresh && held.is_still_at(path) {
                return Ok(guard);
            }
            // Deleted or replaced while we waited: what we hold guards nothing.
            held.unlock();
            guard.open = None;
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let open = self.open.take();
        if std::process::id() == self.pid {
            if let Some(file) = &open {
                file.unlock();
            }
            self.slot.leave(open);
        }
    }
}

/// How a lock was got.
enum Acquired {
    /// The descriptor asked with holds it.
    Itself,
    /// The helper thread's own descriptor holds it.
    ByHelper(LockFile),
    Not,
}

/// Once at once; then yielding; then short naps; then a thread that queues in the kernel, because naps alone starve under load.
fn acquire(
    file: &LockFile,
    path: &Path,
    slot: &Arc<Slot>,
    deadline: Option<Instant>,
) -> io::Result<Acquired> {
    if file.try_exclusive()? {
        return Ok(Acquired::Itself);
    }
    let Some(deadline) = deadline else { return Ok(Acquired::Not) };
    for _ in 0..YIELDS {
        std::thread::yield_now();
        if file.try_exclusive()? {
            return Ok(Acquired::Itself);
        }
    }
    let nap_until = deadline.min(Instant::now() + NAPPING);
    let mut nap = Duration::from_micros(20 + u64::from(std::process::id() % 16));
    while Instant::now() < nap_until {
        std::thread::sleep(nap);
        if file.try_exclusive()? {
            return Ok(Acquired::Itself);
        }
        nap = (nap * 3 / 2).min(LONGEST_NAP);
    }
    match slot.await_helper(path, deadline)? {
        Some(granted) => Ok(Acquired::ByHelper(granted)),
        None => Ok(Acquired::Not),
    }
}

fn is_contended(error: &io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

/// An exclusive flock held for a process's life.
#[derive(Debug)]
pub struct AliveLock {
    open: LockFile,
    path: PathBuf,
    pid: u32,
}

impl AliveLock {
    /// Takes it, retrying for 1 s because a probe may collide.
    ///
    /// # Errors
    /// [`crate::Error::Held`] naming the holder from the kernel's lock list; [`crate::Error::Io`].
    pub fn take(path: &Path) -> Result<Self> {
        let deadline = Instant::now() + PROBE_GRACE;
        let mut nap = Duration::from_micros(200);
        loop {
            let open = LockFile::open(path).context("open the lock", path)?;
            if open.try_exclusive().context("lock", path)? && open.is_at(path) {
                open.say("alive");
                return Ok(Self { open, path: path.to_owned(), pid: std::process::id() });
            }
            if Instant::now() >= deadline {
                return Err(Error::Held { what: path.to_owned(), holder: proc_locks::describe(path) });
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(20));
        }
    }

    /// Whether somebody holds it now. Missing file = nobody. Probes are shared, so two probes never see each other.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        loop {
            match fs2::FileExt::try_lock_shared(&file) {
                Ok(()) => {
                    let _ = fs2::FileExt::unlock(&file);
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return is_contended(&error),
            }
        }
    }

    /// Who holds it now (pid from /proc/locks), if anybody.
    #[must_use]
    pub fn holder(path: &Path) -> Option<u32> {
        proc_locks::holder(path)
    }

    /// Whether the lock still guards its path: `false` once somebody deleted or replaced the file.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.open.is_at(&self.path)
    }

    /// Whether another file has the path now, so that somebody else may hold what we held.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.path.exists() && !self.is_intact()
    }
}

impl Drop for AliveLock {
    fn drop(&mut self) {
        if std::process::id() == self.pid {
            self.open.unlock();
        }
    }
}
