//! `tachi send`: one message from the operator; its recipients are checked before anything is stored, and woken after.

use std::io::Read;
use std::time::Duration;

use serde_json::json;
use tachi_shared::clock::{self, Now};
use tachi_shared::id::Recipient;
use tachi_shared::log::Durability;
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::os::{AliveLock, process};
use tachi_shared::queue::message::LINE_MAX;
use tachi_shared::queue::{Draft, MessageKind, Priority, check_kind, check_recipient};
use tachi_shared::registry::{Registry, Row};
use tachi_shared::store::Store;

use super::context::Context;
use super::look::registry;
use super::printer;
use crate::args::{Send, Urgency};
use crate::error::{Error, Result, exit};
use crate::render::json::document;

/// How long to wait for the queue's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends one message.
pub(super) fn run(context: &Context, args: &Send) -> Result<u8> {
    let kind = MessageKind::from(args.kind.as_str());
    check_kind(&kind)?;
    let to: Recipient = args.to.parse()?;
    let store = context.store()?;
    let registry = registry(&store, &mut Vec::new())?;
    let recipients = recipients(&registry, &to)?;
    let text = text(&args.text)?;
    let draft = pressing(draft(to, kind, &text, clock::now()), args);
    let store = if args.durable { store.with_durability(Durability::Durable) } else { store };
    let seq = store.queue().send(std::slice::from_ref(&draft), PATIENCE)?;
    let awake = wake(&store, &recipients);
    if context.json {
        printer::json(&document(
            "sent",
            json!({ "seq": seq, "id": draft.id, "to": draft.to, "awake": awake }),
        ))?;
        return Ok(exit::OK);
    }
    let asleep = recipients.len() - awake;
    let note = match (draft.to, asleep) {
        (_, 0) => String::new(),
        (Recipient::Instance(id), _) => format!("; {id} is not running and gets it at its next start"),
        (_, asleep) => format!("; {asleep} not running get it at their next start"),
    };
    printer::line(&format!("sent #{seq}{note}"))?;
    Ok(exit::OK)
}

/// The rows that will get it.
///
/// # Errors
/// [`tachi_shared::Error::Unknown`] if nobody would.
fn recipients<'a>(registry: &'a Registry, to: &Recipient) -> Result<Vec<&'a Row>> {
    check_recipient(to, registry)?;
    let wanted = |row: &&Row| match to {
        Recipient::Instance(id) => row.instance_id == *id,
        Recipient::Role(role) => row.role == *role,
        Recipient::Broadcast => true,
        Recipient::Operator => false,
    };
    Ok(registry.instances.iter().filter(wanted).collect())
}

/// The text given, or standard input for `-`.
fn text(given: &str) -> Result<String> {
    let mut text = given.to_owned();
    if given == "-" {
        let mut bytes = Vec::new();
        let limit = LINE_MAX as u64 + 1;
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::system("read standard input", e))?;
        // What was not read must not be left out silently.
        if bytes.len() > LINE_MAX {
            let (size, limit) = (bytes.len(), LINE_MAX);
            return Err(tachi_shared::Error::TooLarge {
                what: "the message",
                size,
                unit: "bytes or more",
                limit,
            }
            .into());
        }
        let all = String::from_utf8(bytes).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            let hint = "convert it, for example with iconv, or send the path of a file";
            Error::usage(format!("standard input is not UTF-8 text: byte {} cannot be read", place + 1), hint)
        })?;
        all.trim_end_matches('\n').clone_into(&mut text);
    }
    if text.trim().is_empty() {
        return Err(Error::usage(
            "the message is empty",
            "tachi send TO 'some text', or `-` to read standard input",
        ));
    }
    Ok(text)
}

/// The operator's ids cannot repeat: a process sends one message, and pid with start time is unique.
fn draft(to: Recipient, kind: MessageKind, text: &str, now: Now) -> Draft {
    let me = process::current();
    let id = format!("operator.{}.{}-{}", now.wall.unix(), me.pid, me.pid_start);
    Draft::new(to, "operator", kind, id, now.wall, text)
}

/// The same with priority and expiry.
fn pressing(mut draft: Draft, args: &Send) -> Draft {
    let priority = match args.priority {
        Urgency::Urgent => Priority::Urgent,
        Urgency::Normal => Priority::Normal,
        Urgency::Low => Priority::Low,
    };
    draft.priority = (priority != Priority::Normal).then(|| priority.word().to_owned());
    draft.expires_at = args.expires.map(|time| draft.timestamp.after(time));
    draft
}

/// Rings the doorbells of those who live; how many that are.
fn wake(store: &Store, rows: &[&Row]) -> usize {
    let live = rows.iter().filter(|row| AliveLock::is_held(&store.dir().alive(&row.instance_id)));
    live.map(|row| ring(&store.dir().doorbell(&row.instance_id), Ring::Messages)).count()
}
