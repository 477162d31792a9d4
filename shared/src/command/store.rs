//! stub
use super::{Command, Reply};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::CommandId;
use crate::layout::StateDir;
use crate::os::{Disk, Storage};

/// `commands/` on a storage.
pub struct CommandBox<S: Storage = Disk> {
    _storage: S,
}
impl<S: Storage> CommandBox<S> {
    /// Names the door; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir) -> Self {
        todo!()
    }
    /// Places a command under a new id.
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn place(&self, _command: &Command) -> Result<CommandId> {
        todo!()
    }
    /// Takes every command lying there, oldest first; what cannot be read is set aside in `rejected/` and returned as text.
    /// A taken command's file is removed before it is returned.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn take(&self, _now: Timestamp) -> Result<Vec<std::result::Result<(CommandId, Command), String>>> {
        todo!()
    }
    /// Places the answer.
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn answer(&self, _reply: &Reply) -> Result<()> {
        todo!()
    }
    /// Takes the answer to `id`, if it is there.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn take_reply(&self, _id: &CommandId) -> Result<Option<Reply>> {
        todo!()
    }
}
