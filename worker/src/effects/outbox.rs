//! Sends what the committed outbox owes, and rings whom it concerns.

use std::time::Duration;

use tachi_shared::log::Cursor;
use tachi_shared::queue::{Draft, MessageKind, Queue};

/// How long the queue's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What stands between outbox and queue.
pub(super) struct Postman {
    /// Where the reader stood before the first attempt that may have got through in part.
    doubt: Option<Cursor>,
}

impl Postman {
    /// Owes nothing yet.
    pub(super) fn new() -> Self {
        Self { doubt: None }
    }

    /// Sends what is not there yet; what may be there already, all or in part, is looked for behind `since` first.
    pub(super) fn send(
        &mut self,
        queue: &mut Queue,
        drafts: &[Draft],
        again: bool,
        since: &Cursor,
    ) -> Result<(), tachi_shared::Error> {
        if again && self.doubt.is_none() {
            self.doubt = Some(since.clone());
        }
        let outcome = match &self.doubt {
            Some(before) => queue.send_missing(drafts, before, PATIENCE).map(|_| ()),
            None => queue.send(drafts, PATIENCE).map(|_| ()),
        };
        match outcome {
            Ok(()) => self.doubt = None,
            Err(_) if self.doubt.is_none() => self.doubt = Some(since.clone()),
            Err(_) => {}
        }
        outcome
    }
}

/// Rings every recipient. Presence wakes nobody: it is read along with the next thing that does.
pub(super) fn wake(queue: &mut Queue, drafts: &[Draft]) {
    let waking: Vec<Draft> =
        drafts.iter().filter(|draft| draft.kind != MessageKind::Presence).cloned().collect();
    if !waking.is_empty() {
        queue.wake(&waking);
    }
}
