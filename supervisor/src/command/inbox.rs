//! `tachi inbox`: what was sent to the operator (or to one instance), and with `--sent` how far our own messages got.
//!
//! Reading changes nothing: the operator has no cursor.

use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::clock;
use tachi_shared::layout::Topic;
use tachi_shared::queue::Message;
use tachi_shared::registry::{Registry, Row};
use tachi_shared::store::Store;

use super::context::Context;
use super::delivery::Standings;
use super::look::registry;
use super::messages::{is_for_operator, show};
use super::wait::{Deadline, Waiter};
use super::{printer, selector, stream};
use crate::args::Inbox;
use crate::error::{Error, Result, exit};
use crate::render::{self, line};

/// Waiting readers look again at least this often.
const SAFETY: Duration = Duration::from_secs(1);

/// Shows the inbox.
pub(super) fn run(context: &Context, args: &Inbox) -> Result<u8> {
    let store = context.store()?;
    let registry = registry(&store, &mut Vec::new())?;
    let row = args.id.as_ref().map(|id| selector::one(&registry, id)).transpose()?;
    if args.wait {
        return wait(context, &store, row, args.timeout);
    }
    let who = row.map_or("operator", |row| row.instance_id.as_str());
    let mut messages = store.queue().newest(usize::MAX)?;
    messages.retain(|message| if args.sent { message.draft.from == who } else { is_for(message, row) });
    messages.drain(..messages.len().saturating_sub(args.number));
    if args.sent {
        return sent(context, &store, &registry, &messages);
    }
    if context.json {
        printer::json(&render::json::document("messages", json!(messages)))?;
    } else if messages.is_empty() {
        printer::line(&format!("no messages for {who}"))?;
    } else {
        messages.iter().try_for_each(|message| show(context, message))?;
    }
    Ok(exit::OK)
}

fn is_for(message: &Message, row: Option<&Row>) -> bool {
    row.map_or_else(|| is_for_operator(message), |row| message.draft.is_for(&row.instance_id, &row.role))
}

/// Sleeps until something new arrives, shows it, leaves.
fn wait(context: &Context, store: &Store, row: Option<&Row>, timeout: Option<Duration>) -> Result<u8> {
    let queue = store.queue();
    let mut cursor = queue.end()?;
    let waiter = Waiter::on(&[store.dir().segments(Topic::Messages)]);
    let deadline = timeout.map(Deadline::within);
    loop {
        let (messages, next) = queue.messages(cursor, stream::BATCH)?;
        cursor = next;
        let mine: Vec<&Message> = messages.iter().filter(|message| is_for(message, row)).collect();
        if !mine.is_empty() {
            mine.into_iter().try_for_each(|message| show(context, message))?;
            return Ok(exit::OK);
        }
        match deadline.map(|deadline| (deadline, deadline.left())) {
            Some((deadline, None)) => {
                let hint = "see what came before with `tachi inbox`".to_owned();
                return Err(Error::TimedOut {
                    what: "waiting for a message".to_owned(),
                    waited: deadline.length,
                    hint,
                });
            }
            Some((_, Some(left))) => waiter.sleep(left.min(SAFETY)),
            None => waiter.sleep(SAFETY),
        };
    }
}

/// Our messages, each with how far it got.
fn sent(context: &Context, store: &Store, registry: &Registry, messages: &[Message]) -> Result<u8> {
    let now = clock::now().wall;
    let standings = Standings::of(store, registry, now);
    if context.json {
        let documents: Vec<Value> = messages
            .iter()
            .map(|message| json!({ "message": message, "delivery": standings.json(message) }))
            .collect();
        printer::json(&render::json::document("sent", Value::Array(documents)))?;
        return Ok(exit::OK);
    }
    for message in messages {
        printer::line(&line::message(message, now))?;
        printer::line(&format!("    {}", standings.line(message)))?;
    }
    if messages.is_empty() {
        printer::line("nothing was sent yet")?;
    }
    Ok(exit::OK)
}
