//! Asking the supervisor: a command file is placed, the answer waited for and shown.

use std::time::Duration;

use serde_json::Value;
use tachi_shared::clock;
use tachi_shared::command::{COMMAND_TTL, Command, Reply, Verb};
use tachi_shared::id::CommandId;
use tachi_shared::os::AliveLock;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::context::Context;
use super::printer;
use super::wait::{Deadline, Waiter, until};
use crate::error::{Error, Result};
use crate::render::text::clean;

/// Places the command, waits for the answer, prints it, and returns its exit code.
///
/// # Errors
/// [`Error::NoState`], [`Error::NoSupervisor`], [`Error::TimedOut`], and what the store meets.
pub(super) fn run(context: &Context, verb: Verb, timeout: Duration) -> Result<u8> {
    let store = context.store_of_supervisor()?;
    let reply = ask(&store, verb, timeout)?;
    show(context, &reply)
}

/// Places the command and waits for the answer.
///
/// # Errors
/// As [`run`].
pub(super) fn ask(store: &Store, verb: Verb, timeout: Duration) -> Result<Reply> {
    if !is_supervised(store) {
        return Err(Error::NoSupervisor { state: store.dir().root().to_owned() });
    }
    let waiter = Waiter::on(&[store.dir().commands()]);
    let id = place(store, verb)?;
    let answer = until(&waiter, Deadline::within(timeout), || match store.commands().take_reply(&id)? {
        Some(reply) => Ok(Some(Some(reply))),
        None if is_supervised(store) => Ok(None),
        None => Ok(Some(store.commands().take_reply(&id)?)),
    });
    match answer.map_err(|error: tachi_shared::Error| Error::from(error))? {
        Some(Some(reply)) => Ok(reply),
        Some(None) => {
            withdraw(store, &id);
            Err(Error::NoSupervisor { state: store.dir().root().to_owned() })
        }
        None => {
            withdraw(store, &id);
            let hint = "see `tachi status`, or wait longer with --timeout".to_owned();
            Err(Error::TimedOut { what: "the command".to_owned(), waited: timeout, hint })
        }
    }
}

/// Whether a supervisor holds the directory now.
pub(super) fn is_supervised(store: &Store) -> bool {
    AliveLock::is_held(&store.dir().supervisor_alive())
}

/// Places a command addressed to the supervisor that runs now.
///
/// # Errors
/// What the store meets.
pub(super) fn place(store: &Store, verb: Verb) -> tachi_shared::Result<CommandId> {
    let supervisor = match store.registry().load() {
        Ok(Loaded::Good(registry) | Loaded::Fallback(registry, _)) => {
            registry.supervisor.filter(|row| row.pid.is_some()).map(|row| row.incarnation)
        }
        _ => None,
    };
    let expires_at = Some(clock::now().wall.after(COMMAND_TTL));
    store.commands().place(&Command { id: None, verb, from: "operator".to_owned(), supervisor, expires_at })
}

/// Takes a command back that nobody has taken yet.
pub(super) fn withdraw(store: &Store, id: &CommandId) {
    let _ = std::fs::remove_file(store.dir().command(id));
}

/// Prints an answer: its line, then one line per target.
///
/// # Errors
/// [`Error::Refused`] with the answer's exit code if it was not carried out.
pub(super) fn show(context: &Context, reply: &Reply) -> Result<u8> {
    let code = u8::try_from(reply.code).unwrap_or(crate::error::exit::FAILED);
    if context.json {
        let mut value = serde_json::to_value(reply).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            map.insert("schema".to_owned(), crate::render::json::SCHEMA.into());
        }
        printer::json(&value)?;
        return Ok(code);
    }
    for (id, what) in &reply.details {
        let what = what.as_str().map_or_else(|| what.to_string(), str::to_owned);
        printer::line(&format!("{}: {}", clean(id), clean(&what)))?;
    }
    if reply.ok {
        if reply.details.is_empty() || !reply.message.is_empty() {
            printer::line(&clean(&reply.message))?;
        }
        return Ok(code);
    }
    let hint =
        (code == crate::error::exit::UNKNOWN).then(|| "see `tachi status` for the ids and roles".to_owned());
    Err(Error::Refused { message: reply.message.clone(), code, hint })
}
