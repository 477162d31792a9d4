//! `tachi messages`: everything that was said, or what one instance sent and got.

use serde_json::json;
use tachi_shared::clock;
use tachi_shared::id::Recipient;
use tachi_shared::layout::Topic;
use tachi_shared::queue::Message;
use tachi_shared::registry::Row;

use super::context::Context;
use super::delivery::Standings;
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
    if !args.follow {
        let standings = row.map(|_| Standings::of(&store, &registry, clock::now().wall));
        return once(context, &newest, standings.as_ref());
    }
    newest.iter().try_for_each(|message| show(context, message))?;
    stream::follow(
        store.dir().segments(Topic::Messages),
        end,
        |cursor| queue.messages(cursor, stream::BATCH),
        |message| if concerns(message) { show(context, message) } else { Ok(()) },
    )
}

/// Shows messages, of one instance with how far each got.
fn once(context: &Context, messages: &[Message], standings: Option<&Standings<'_>>) -> Result<u8> {
    if context.json {
        let mut documents = json!(messages);
        for (document, message) in documents.as_array_mut().into_iter().flatten().zip(messages) {
            if let (Some(standings), Some(map)) = (standings, document.as_object_mut()) {
                map.insert("delivery".to_owned(), standings.json(message));
            }
        }
        printer::json(&render::json::document("messages", documents))?;
        return Ok(exit::OK);
    }
    for message in messages {
        show(context, message)?;
        if let Some(standings) = standings {
            printer::line(&format!("    {}", standings.line(message)))?;
        }
    }
    Ok(exit::OK)
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
