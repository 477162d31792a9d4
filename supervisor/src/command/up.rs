//! `tachi up`: settles the settings and becomes the supervisor, or with `--detach` starts one behind itself.

use super::context::Context;
use super::{detach, printer};
use crate::args::Up;
use crate::effects;
use crate::error::Result;
use crate::settings::{Ready, Request, settle};

/// Starts the fleet.
pub(super) fn run(context: &Context, args: &Up) -> Result<u8> {
    if args.detached {
        detach::leave_the_caller();
    }
    let Ready { settings, warnings } =
        settle(&Request { cwd: &context.cwd, state: context.wish.as_deref(), up: args })?;
    for warning in &warnings {
        printer::complain(&format!("tachi: warning: {warning}"));
    }
    if args.detach && !args.detached {
        return detach::run(context, &settings);
    }
    effects::supervise(settings)
}
