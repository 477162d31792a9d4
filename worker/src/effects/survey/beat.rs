//! Asks the run loop, every now and then, whether to go on.

use tachi_shared::clock::{Mono, now};

use super::Halt;

/// Longest time without asking, in milliseconds, while pieces of work are small. The contract is 100.
const EVERY: u64 = 40;

/// A run loop that wants to be asked; remembers when it was asked last.
pub(crate) struct Beat<'a> {
    go_on: &'a mut dyn FnMut(&str) -> bool,
    last: Option<Mono>,
}

impl<'a> Beat<'a> {
    /// Has not been asked yet.
    pub(crate) fn new(go_on: &'a mut dyn FnMut(&str) -> bool) -> Self {
        Self { go_on, last: None }
    }

    /// Asks if it is time to; `doing` is only made then.
    ///
    /// # Errors
    /// [`Halt::Interrupted`] if the answer is no.
    pub(crate) fn tick(&mut self, doing: impl FnOnce() -> String) -> Result<(), Halt> {
        let now = now().mono;
        let due = self.last.is_none_or(|last| now.as_millis().saturating_sub(last.as_millis()) >= EVERY);
        if !due {
            return Ok(());
        }
        self.last = Some(now);
        if (self.go_on)(&doing()) { Ok(()) } else { Err(Halt::Interrupted) }
    }
}
