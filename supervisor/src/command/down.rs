//! `tachi down`: ends everything, by command, else by TERM to the verified supervisor, and proves that nothing is left.
//!
//! Works with a full disk (no command can be placed then) and without a supervisor (orphans are ended directly).

use std::time::Duration;

use serde_json::json;
use tachi_shared::command::{Reply, Verb};
use tachi_shared::id::{CommandId, ProcessRef};
use tachi_shared::os::{AliveLock, process};
use tachi_shared::registry::{Registry, Row, Status};
use tachi_shared::store::Store;

use super::context::Context;
use super::look::registry;
use super::wait::{Deadline, Waiter, until};
use super::{ask, orphans, printer};
use crate::args::Down;
use crate::error::{Error, Result, exit};
use crate::render::json::document;

/// How long the supervisor may take to take the command before it gets TERM.
const TAKE: Duration = Duration::from_secs(2);
/// Between TERM and KILL for instances nobody supervises.
const GRACE: Duration = Duration::from_secs(10);
/// How long an instance that just ended may hold its lock after the supervisor left.
const SETTLE: Duration = Duration::from_secs(2);

/// Ends everything.
pub(super) fn run(context: &Context, args: &Down) -> Result<u8> {
    let store = context.store_of_supervisor()?;
    let deadline = Deadline::within(args.timeout);
    let supervised = ask::is_supervised(&store);
    if !supervised && orphans::living(&store)?.is_empty() && !orphans::has_strays(&store) {
        // An earlier `down` may have been unable to.
        let _ = settle_rows(&store, deadline.left().unwrap_or_default().min(SETTLE));
        return Err(Error::NoSupervisor { state: store.dir().root().to_owned() });
    }
    if supervised {
        end_supervisor(&store, deadline)?;
    }
    let mut orphans = Vec::new();
    let settled = || Ok::<_, Error>(orphans::living(&store)?.is_empty().then_some(()));
    if !supervised || until(&Waiter::on(&[]), Deadline::within(SETTLE), settled)?.is_none() {
        let grace = deadline.left().map_or(Duration::from_secs(1), |left| left.min(GRACE));
        orphans = orphans::end_all(&store, grace)?;
    }
    prove_empty(&store, deadline)?;
    if let Err(error) = settle_rows(&store, deadline.left().unwrap_or_default().min(SETTLE)) {
        printer::complain(&format!(
            "tachi: nothing is left running, but registry.json could not say so: {error}"
        ));
    }
    report(context, supervised, &orphans::join(&orphans))
}

/// By command; by TERM when the command is not taken or cannot be placed.
fn end_supervisor(store: &Store, deadline: Deadline) -> Result<()> {
    let supervisor = AliveLock::holder(&store.dir().supervisor_alive()).and_then(process::find);
    let waiter = Waiter::on(&[store.dir().commands()]);
    let command = ask::place(store, Verb::Down).ok();
    if !was_taken(store, &waiter, command.as_ref(), deadline)? {
        terminate(store, supervisor.as_ref(), command.as_ref())?;
    }
    let mut answer: Option<Reply> = None;
    let gone = until(&waiter, deadline, || -> Result<Option<()>> {
        if answer.is_none()
            && let Some(id) = &command
        {
            answer = store.commands().take_reply(id)?;
        }
        Ok((!ask::is_supervised(store)).then_some(()))
    })?;
    match (gone, answer) {
        (Some(()), _) => Ok(()),
        (None, Some(reply)) if !reply.ok => Err(Error::Refused {
            message: reply.message,
            code: u8::try_from(reply.code).unwrap_or(exit::FAILED),
            hint: None,
        }),
        (None, _) => Err(still_there(store, deadline.length)),
    }
}

/// Whether the command file was taken (or answered, or the supervisor left) in time.
fn was_taken(
    store: &Store,
    waiter: &Waiter,
    command: Option<&CommandId>,
    deadline: Deadline,
) -> Result<bool> {
    let Some(id) = command else { return Ok(false) };
    let file = store.dir().command(id);
    let patience = deadline.left().unwrap_or_default().min(TAKE);
    let taken = until(waiter, Deadline::within(patience), || {
        Ok::<_, Error>((!file.exists() || !ask::is_supervised(store)).then_some(()))
    })?;
    Ok(taken.is_some())
}

fn terminate(store: &Store, supervisor: Option<&ProcessRef>, command: Option<&CommandId>) -> Result<()> {
    if let Some(id) = command {
        ask::withdraw(store, id);
    }
    if supervisor.is_some_and(orphans::terminate) || !ask::is_supervised(store) {
        return Ok(());
    }
    Err(Error::Refused {
        message: "the supervisor does not answer and cannot be identified".to_owned(),
        code: exit::FAILED,
        hint: Some("see who holds .tachi/locks/supervisor.alive".to_owned()),
    })
}

/// Looks twice that nobody is left, because an instance that starts takes its lock a moment after its birth.
fn prove_empty(store: &Store, deadline: Deadline) -> Result<()> {
    for _ in 0..2 {
        if ask::is_supervised(store) || !orphans::living(store)?.is_empty() {
            return Err(still_there(store, deadline.length));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// Who could not write its last words (its lock was held, its disk full, it was killed) left rows that claim life: they are
/// put right, if only now.
fn settle_rows(store: &Store, patience: Duration) -> Result<()> {
    let claims_life = |row: &Row| {
        row.pid.is_some() || !matches!(row.status, Status::Stopped | Status::Failed | Status::Backoff)
    };
    let is_stale = |registry: &Registry| {
        registry.supervisor.as_ref().is_some_and(|row| row.pid.is_some())
            || registry.instances.iter().any(claims_life)
    };
    if !is_stale(&registry(store, &mut Vec::new())?) {
        return Ok(());
    }
    store.registry().update(patience, |registry| {
        // A new supervisor keeps its own rows.
        if ask::is_supervised(store) {
            return Ok(());
        }
        if let Some(row) = &mut registry.supervisor {
            row.pid = None;
            row.pid_start = None;
        }
        for row in registry.instances.iter_mut().filter(|row| claims_life(row)) {
            row.pid = None;
            row.pid_start = None;
            row.status = Status::Stopped;
            row.reason = Some("`tachi down` ended it".to_owned());
        }
        Ok(())
    })?;
    Ok(())
}

fn still_there(store: &Store, waited: Duration) -> Error {
    let mut who: Vec<String> =
        orphans::living(store).unwrap_or_default().iter().map(ToString::to_string).collect();
    if ask::is_supervised(store) {
        who.push("the supervisor".to_owned());
    }
    let hint = "wait longer with --timeout, or see `tachi status`".to_owned();
    Error::TimedOut { what: format!("the end of {}", who.join(", ")), waited, hint }
}

fn report(context: &Context, supervised: bool, orphans: &str) -> Result<u8> {
    if context.json {
        printer::json(&document("down", json!({ "supervisor": supervised, "unsupervised": orphans })))?;
        return Ok(exit::OK);
    }
    if !orphans.is_empty() {
        printer::line(&format!("ended without a supervisor: {orphans}"))?;
    }
    printer::line("down: nothing is left running")?;
    Ok(exit::OK)
}
