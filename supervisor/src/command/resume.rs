//! `tachi resume`: undoes `pause`; with `--all` also clears a latched stop.

use tachi_shared::command::Verb;

use super::ask;
use super::context::Context;
use crate::args::Pausing;
use crate::error::Result;

/// Asks the supervisor.
pub(super) fn run(context: &Context, args: &Pausing) -> Result<u8> {
    let targets = if args.all { vec!["all".to_owned()] } else { args.targets.clone() };
    ask::run(context, Verb::Resume { targets }, args.timeout)
}
