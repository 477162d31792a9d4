//! `tachi history ID`: starts and deaths of one instance.

use serde_json::json;
use tachi_shared::clock;
use tachi_shared::event::Event;

use super::context::Context;
use super::events::newest;
use super::look::registry;
use super::{printer, selector};
use crate::args::One;
use crate::error::{Result, exit};
use crate::render::{self, span::length, text::clean};

/// Most lines shown.
const LINES_MAX: usize = 200;
/// Kinds that are not worth a line here.
const NOISE: [&str; 2] = ["step", "task"];

/// Shows the life of one instance.
pub(super) fn run(context: &Context, args: &One) -> Result<u8> {
    let store = context.store()?;
    let registry = registry(&store, &mut Vec::new())?;
    let row = selector::one(&registry, &args.id)?;
    let concerns = |event: &Event| {
        event.instance.as_ref() == Some(&row.instance_id) && !NOISE.contains(&event.kind.as_str())
    };
    let events = newest(&store.events().newest(usize::MAX)?, LINES_MAX, concerns);
    if context.json {
        printer::json(&render::json::document("history", json!({ "instance": row, "events": events })))?;
        return Ok(exit::OK);
    }
    let now = clock::now().wall;
    for event in &events {
        printer::line(&render::line::event(event, now))?;
    }
    let since =
        row.started_at.map_or_else(String::new, |at| format!(", last start {} ago", length(at.age(now))));
    let line =
        format!("{}: {} restarts, incarnation {}{since}", row.instance_id, row.restarts, row.incarnation);
    printer::line(&clean(&line))?;
    Ok(exit::OK)
}
