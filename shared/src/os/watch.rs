//! stub
use crate::error::Result;
use std::path::PathBuf;
/// What a watch says: look there. Never more than a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something changed at this path.
    Changed(PathBuf),
    /// Events were lost: look everywhere.
    Rescan,
}
/// A watcher on fixed directories; ends when dropped.
pub struct Watch;
impl Watch {
    /// Watches `dirs`, non-recursively; `hint` is called on the watcher's thread and must neither block nor lock.
    /// Reading a watched file never hints (access events are dropped).
    /// # Errors
    /// [`crate::Error::Io`]: no watches left, directory missing. The caller polls instead and says so once.
    pub fn start(_dirs: &[PathBuf], _hint: impl Fn(Hint) + Send + 'static) -> Result<Self> {
        todo!()
    }
}
