//! `tachi reset`: forgets what failures have cost an instance.

use tachi_shared::command::Verb;

use super::ask;
use super::context::Context;
use crate::args::Targets;
use crate::error::Result;

/// Asks the supervisor.
pub(super) fn run(context: &Context, args: &Targets) -> Result<u8> {
    ask::run(context, Verb::Reset { targets: args.targets.clone() }, args.timeout)
}
