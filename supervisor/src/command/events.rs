//! `tachi events`: the lifecycle of the fleet.

use serde_json::json;
use tachi_shared::clock;
use tachi_shared::event::Event;
use tachi_shared::layout::Topic;

use super::context::Context;
use super::{printer, selector, stream};
use crate::args::Stream;
use crate::error::{Result, exit};
use crate::render;

/// Shows the newest events, then follows.
pub(super) fn run(context: &Context, args: &Stream) -> Result<u8> {
    let store = context.store()?;
    if let Some(id) = &args.id {
        selector::one(&super::look::registry(&store, &mut Vec::new())?, id)?;
    }
    let concerns = |event: &Event| match &args.id {
        Some(id) => event.instance.as_ref().is_some_and(|instance| instance.as_str() == id),
        None => true,
    };
    let log = store.events();
    let end = log.end()?;
    let newest =
        newest(&log.newest(if args.id.is_some() { usize::MAX } else { args.number })?, args.number, concerns);
    if context.json && !args.follow {
        printer::json(&render::json::document("events", json!(newest)))?;
        return Ok(exit::OK);
    }
    let show = |event: &Event| match context.json {
        true => printer::json(&json!(event)),
        false => printer::line(&render::line::event(event, clock::now().wall)),
    };
    newest.iter().try_for_each(show)?;
    if !args.follow {
        return Ok(exit::OK);
    }
    let dir = store.dir().segments(Topic::Events);
    stream::follow(
        dir,
        end,
        |cursor| log.read(cursor, stream::BATCH),
        |event| if concerns(event) { show(event) } else { Ok(()) },
    )
}

/// The last `count` that concern us, oldest first.
pub(super) fn newest(events: &[Event], count: usize, concerns: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut chosen: Vec<Event> =
        events.iter().rev().filter(|event| concerns(event)).take(count).cloned().collect();
    chosen.reverse();
    chosen
}
