//! `tachi scale ROLE=N`: adds instances of a role, or drains the newest.

use tachi_shared::command::Verb;

use super::ask;
use super::context::Context;
use crate::args::Scale;
use crate::error::Result;
use crate::settings;

/// Asks the supervisor.
pub(super) fn run(context: &Context, args: &Scale) -> Result<u8> {
    let (role, count) = settings::role_count(&args.wanted)?;
    ask::run(context, Verb::Scale { role: role.to_string(), count }, args.timeout)
}
