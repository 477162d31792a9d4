//! stub
use super::{Draft, Message};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{InstanceId, Role, Seq};
use crate::layout::StateDir;
use crate::log::{Cursor, Gap};
use crate::os::{Disk, Storage};
use std::time::Duration;

/// The message queue on a storage.
pub struct Queue<S: Storage = Disk> {
    _storage: S,
}
impl<S: Storage> Queue<S> {
    /// Names the queue; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir) -> Self {
        todo!()
    }
    /// Appends the messages in order, all or none, and returns the last position. Sizes are checked; recipients are the
    /// caller's business. Does not ring.
    /// # Errors
    /// As [`crate::log::Log::append`]; [`crate::Error::TooLarge`].
    pub fn send(&mut self, _drafts: &[Draft], _wait: Duration) -> Result<Seq> {
        todo!()
    }
    /// Appends those of `drafts` whose id is not yet in the log behind `since`: what a successor does with an outbox.
    /// # Errors
    /// As [`Queue::send`].
    pub fn send_missing(
        &mut self,
        _drafts: &[Draft],
        _since: &Cursor,
        _wait: Duration,
    ) -> Result<Option<Seq>> {
        todo!()
    }
    /// The end of the queue now.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn end(&self) -> Result<Cursor> {
        todo!()
    }
    /// The inbox of `id` behind `cursor`.
    pub fn inbox(&self, _id: &InstanceId, _role: &Role, _cursor: Cursor) -> Inbox<S> {
        todo!()
    }
    /// Every message behind `cursor`, whoever it is for (`tachi messages`, the view).
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn messages(&self, _cursor: Cursor, _max: usize) -> Result<(Vec<Message>, Cursor)> {
        todo!()
    }
    /// The newest `count` messages, oldest first.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn newest(&self, _count: usize) -> Result<Vec<Message>> {
        todo!()
    }
}
/// One reader's view of the queue.
pub struct Inbox<S: Storage = Disk> {
    _storage: S,
}
/// What arrives in an inbox.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// A message for this reader.
    Message(Box<Message>),
    /// Something could not be delivered: counted, never silent.
    Gap(Gap),
}
impl<S: Storage> Inbox<S> {
    /// Up to `max` arrivals that are not expired at `now`; the cursor passes over what is for others.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn take(&mut self, _max: usize, _now: Timestamp) -> Result<Vec<Arrival>> {
        todo!()
    }
    /// Position to commit after handling.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        todo!()
    }
}
