//! `tachi apply`: shows what changed in the configuration, then has the supervisor carry it out.

use serde_json::Value;
use tachi_shared::command::{Reply, Verb};

use super::context::Context;
use super::wait::Deadline;
use super::{ask, printer};
use crate::args::Apply;
use crate::error::{Error, Result, exit};
use crate::render;

/// Shows, then asks.
pub(super) fn run(context: &Context, args: &Apply) -> Result<u8> {
    let store = context.store_of_supervisor()?;
    let deadline = Deadline::within(args.timeout);
    let ask = |dry_run: bool| ask::ask(&store, Verb::Apply { dry_run }, deadline.left().unwrap_or_default());
    let preview = ask(true)?;
    if args.dry_run && context.json {
        return ask::show(context, &preview);
    }
    if !preview.ok {
        return Err(refused(preview));
    }
    if !context.json {
        let diff = preview.details.get("diff").unwrap_or(&Value::Null);
        printer::text(&render::diff::text(diff))?;
    }
    if args.dry_run {
        return Ok(exit::OK);
    }
    let mut reply = ask(false)?;
    if !context.json {
        // It was shown before.
        reply.details.remove("diff");
        if reply.details.is_empty() && reply.ok {
            return Ok(exit::OK);
        }
    }
    ask::show(context, &reply)
}

/// A configuration that cannot be taken: the mistake has its line, and the next step is in it.
fn refused(reply: Reply) -> Error {
    let code = u8::try_from(reply.code).unwrap_or(exit::FAILED);
    let hint = "correct it and try again; the old configuration stays in force".to_owned();
    Error::Refused { message: reply.message, code, hint: Some(hint) }
}
