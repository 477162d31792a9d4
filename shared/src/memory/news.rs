//! What the team is told when its memory changes — pure.

use crate::clock::Timestamp;
use crate::id::Recipient;
use crate::queue::{Draft, MessageKind};

/// The message that `what` (`finding x.1.2`, `fact release`) is now known. It makes nobody think. `id` is unique, as that of
/// every message; everybody but `by` gets it.
#[must_use]
pub fn news(what: &str, by: &str, id: &str, at: Timestamp) -> Draft {
    Draft::new(Recipient::Broadcast, by, MessageKind::Memory, id.to_owned(), at, what)
}
