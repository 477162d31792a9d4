//! `tachi messages`: everything that was said, or what one instance sent and got.

use serde_json::json;
use tachi_shared::clock;
use tachi_shared::id::Recipient;
use tachi_shared::layout::Topic;
use tachi_shared::queue::Message;
use tachi_shared::registry::Row;

use super::context::Context;
use super::look::registry;
use super::{printer, selector, stream};
use crate::args::Stream;
use crate::error::{Result, exit};
use crate::render;

/// Shows the newest messages, then follows.
pub(super) fn run(context: &Context, args: &Stream) -> Result<u8> {
    let store = context.store()?;
    let registry = registry(&store, &mut Vec::new())?;
    let row = args.id.as_ref().map(|id| selector::one(&registry, id)).transpose()?;
    let concerns = |message: &Message| row.is_none_or(|row| concerns(message, row));
    let queue = store.queue();
    let end = queue.end()?;
    let mut newest = queue.newest(if row.is_some() { usize::MAX } else { args.number })?;
    newest.retain(concerns);
    newest.drain(..newest.len().saturating_sub(args.number));
    if context.json && !args.follow {
        printer::json(&render::json::document("messages", json!(newest)))?;
        return Ok(exit::OK);
    }
    newest.iter().try_for_each(|message| show(context, message))?;
    if !args.follow {
        return Ok(exit::OK);
    }
    stream::follow(
        store.dir().segments(Topic::Messages),
        end,
        |cursor| queue.messages(cursor, stream::BATCH),
        |message| if concerns(message) { show(context, message) } else { Ok(()) },
    )
}

/// Whether an instance sent it or gets it.
fn concerns(message: &Message, row: &Row) -> bool {
    message.draft.from == row.instance_id.as_str() || message.draft.is_for(&row.instance_id, &row.role)
}

/// Whether the operator gets it.
pub(super) fn is_for_operator(message: &Message) -> bool {
    message.draft.to == Recipient::Operator
}

/// Prints one message.
pub(super) fn show(context: &Context, message: &Message) -> Result<()> {
    if context.json {
        return printer::json(&json!(message));
    }
    printer::line(&render::line::message(message, clock::now().wall))
}
