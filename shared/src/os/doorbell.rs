//! stub
use crate::error::Result;
use std::path::Path;
/// The reading end of a FIFO doorbell, opened `O_RDWR` so that it never sees end of file.
#[derive(Debug)]
pub struct Doorbell;
impl Doorbell {
    /// Makes the FIFO if needed and opens it.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn open(_path: &Path) -> Result<Self> {
        todo!()
    }
    /// Takes whatever rings lie there, without sleeping (sleep with poll(2) on the descriptor).
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn drain(&self) -> Result<Vec<Ring>> {
        todo!()
    }
}
impl std::os::fd::AsFd for Doorbell {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        todo!()
    }
}
/// What a ring hints at. Hints only: a lost one is made good by the reader's safety poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// `m`: there may be messages.
    Messages,
    /// `t`: the board may have changed.
    Tasks,
    /// `c`: look at your registry row and at who supervises you.
    Control,
    /// `r`: (to the supervisor) an instance became ready, changed its mind or left.
    Instance,
}
/// Rings one doorbell; nobody listening or a full pipe is not an error.
pub fn ring(_path: &Path, _why: Ring) {
    todo!()
}
