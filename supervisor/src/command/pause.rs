//! `tachi pause`: instances idle; with `--all` they end and stay ended until `resume --all`.

use tachi_shared::command::Verb;

use super::ask;
use super::context::Context;
use crate::args::Pausing;
use crate::error::Result;

/// Asks the supervisor.
pub(super) fn run(context: &Context, args: &Pausing) -> Result<u8> {
    let verb = if args.all { Verb::PauseAll } else { Verb::Pause { targets: args.targets.clone() } };
    ask::run(context, verb, args.timeout)
}
