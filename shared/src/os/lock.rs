//! stub
use crate::error::Result;
use std::path::Path;
use std::time::Duration;
/// An exclusive flock, held until drop.
#[derive(Debug)]
pub struct FileLock;
impl FileLock {
    /// Takes the lock, waiting at most `wait`.
    /// # Errors
    /// [`crate::Error::LockTimeout`], [`crate::Error::Io`].
    pub fn take(_path: &Path, _purpose: &str, _wait: Duration) -> Result<Self> {
        todo!()
    }
}
/// An exclusive flock held for a process's life.
#[derive(Debug)]
pub struct AliveLock;
impl AliveLock {
    /// Takes it, retrying for 1 s because a probe may collide.
    /// # Errors
    /// [`crate::Error::Held`] naming the holder from the kernel's lock list; [`crate::Error::Io`].
    pub fn take(_path: &Path) -> Result<Self> {
        todo!()
    }
    /// Whether somebody holds it now. Missing file = nobody.
    #[must_use]
    pub fn is_held(_path: &Path) -> bool {
        todo!()
    }
    /// Who holds it now (pid from /proc/locks), if anybody.
    #[must_use]
    pub fn holder(_path: &Path) -> Option<u32> {
        todo!()
    }
}
