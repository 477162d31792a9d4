//! `tachi kill`: a signal, nothing more; the instance comes back. Without a supervisor the verified process gets it directly.

use std::os::fd::AsFd;

use serde_json::{Map, Value};
use tachi_shared::clock;
use tachi_shared::command::{Reply, Verb};
use tachi_shared::id::CommandId;
use tachi_shared::os::{process, signal};
use tachi_shared::store::Store;

use super::context::Context;
use super::look::{process_of, registry};
use super::{ask, selector};
use crate::args::Kill;
use crate::error::{Error, Result, exit};

/// Sends the signal.
pub(super) fn run(context: &Context, args: &Kill) -> Result<u8> {
    let Some(number) = signal::parse(&args.signal) else {
        return Err(Error::usage(
            format!("{:?} is no signal", args.signal),
            "for example TERM, KILL, INT, HUP, STOP, CONT, USR1",
        ));
    };
    let store = context.store_of_supervisor()?;
    if ask::is_supervised(&store) {
        let verb = Verb::Kill { targets: args.targets.clone(), signal: signal::name(number) };
        return ask::show(context, &ask::ask(&store, verb, args.timeout)?);
    }
    let reply = directly(&store, &args.targets, number)?;
    ask::show(context, &reply)
}

/// Signals the processes of the rows, each only if it is exactly the one the row names.
fn directly(store: &Store, targets: &[String], number: i32) -> Result<Reply> {
    let registry = registry(store, &mut Vec::new())?;
    let mut details = Map::new();
    let mut hits = 0;
    for row in selector::select(&registry, targets)? {
        let pidfd = process_of(row).and_then(|process| process::open_pidfd(&process).ok().flatten());
        let hit = pidfd.is_some_and(|fd| process::signal(fd.as_fd(), number).unwrap_or(false));
        hits += usize::from(hit);
        let what = if hit {
            format!("{} sent (unsupervised)", signal::name(number))
        } else {
            "not running".to_owned()
        };
        details.insert(row.instance_id.to_string(), Value::String(what));
    }
    let message = if hits > 0 { "no supervisor: nothing brings them back" } else { "nobody was running" };
    Ok(Reply {
        id: CommandId::new("direct")?,
        ok: hits > 0,
        code: i32::from(if hits > 0 { exit::OK } else { exit::FAILED }),
        message: message.to_owned(),
        details,
        at: clock::now().wall,
    })
}
