//! stub
use super::{Board, Change};
use crate::clock::Now;
use crate::error::Result;
use crate::id::Seq;
use crate::layout::StateDir;
use crate::os::{Disk, Storage};
use std::time::Duration;

/// The board on a storage; keeps its fold and catches up incrementally.
pub struct TaskStore<S: Storage = Disk> {
    _storage: S,
    board: Board,
}
impl<S: Storage> TaskStore<S> {
    /// Names the board; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir) -> Self {
        todo!()
    }
    /// Folds in what is new and returns the board. No lock.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn board(&mut self) -> Result<&Board> {
        Ok(&self.board)
    }
    /// Catches up, judges and records under the lock; returns the position of the last event written (the fence of a claim),
    /// or `None` if nothing had to be recorded.
    /// # Errors
    /// [`crate::Error::Refused`]; as [`crate::log::Log::append`].
    pub fn change(&mut self, _change: &Change, _now: Now, _wait: Duration) -> Result<Option<Seq>> {
        todo!()
    }
    /// Claims the first ready task that `pick` accepts, if any.
    /// # Errors
    /// As [`TaskStore::change`].
    pub fn claim_first(
        &mut self,
        _by: (&crate::id::InstanceId, crate::id::Incarnation, &str),
        _now: Now,
        _wait: Duration,
        _pick: impl Fn(&super::Task, &Board) -> bool,
    ) -> Result<Option<super::Task>> {
        todo!()
    }
}
