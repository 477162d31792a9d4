//! `tachi rolling`: replaces instances one after the other.

use tachi_shared::command::Verb;

use super::ask;
use super::context::Context;
use crate::args::Rolling;
use crate::error::Result;

/// Asks the supervisor.
pub(super) fn run(context: &Context, args: &Rolling) -> Result<u8> {
    ask::run(context, Verb::Rolling { targets: args.targets.clone() }, args.timeout)
}
