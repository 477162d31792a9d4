//! `tachi why ID`: why it is in its state, what comes next, which rules are in force.

use serde_json::json;
use tachi_shared::clock;

use super::context::Context;
use super::look::look;
use super::{printer, selector};
use crate::args::One;
use crate::error::{Result, exit};
use crate::fleet::why::{Supervisor, why};
use crate::render::json::document;
use crate::render::text::clean;

/// Explains one instance.
pub(super) fn run(context: &Context, args: &One) -> Result<u8> {
    let store = context.store()?;
    let look = look(&store)?;
    let shown = selector::one_shown(&look.rows, &args.id)?;
    let supervisor = if look.is_supervised() { Supervisor::Alive } else { Supervisor::Gone };
    let mut row = shown.row.clone();
    row.pid = row.pid.filter(|_| shown.alive);
    let answer = why(&row, supervisor, clock::now());
    if context.json {
        let value = json!({ "id": row.instance_id, "status": shown.status().word(), "sentence": answer.sentence, "next": answer.next, "instance": row });
        printer::json(&document("why", value))?;
        return Ok(exit::OK);
    }
    printer::line(&clean(&answer.sentence))?;
    printer::line(&format!("next: {}", clean(&answer.next)))?;
    Ok(exit::OK)
}
