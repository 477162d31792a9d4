//! `tachi check`: settles the configuration as `up` would and shows the plan. Starts nothing.

use serde_json::json;

use super::context::Context;
use super::printer;
use crate::args::Up;
use crate::error::{Result, exit};
use crate::render::plan;
use crate::settings::{Request, settle};

/// Checks and shows.
pub(super) fn run(context: &Context, args: &Up) -> Result<u8> {
    let settled = settle(&Request { cwd: &context.cwd, state: context.wish.as_deref(), up: args })?;
    if context.json {
        let mut document = plan::json(&settled.settings);
        if let Some(map) = document.as_object_mut() {
            map.insert("warnings".to_owned(), json!(settled.warnings));
        }
        printer::json(&document)?;
        return Ok(exit::OK);
    }
    printer::text(&plan::text(&settled.settings, printer::columns()))?;
    for warning in &settled.warnings {
        printer::line(&format!("warning: {warning}"))?;
    }
    printer::line("the configuration is good")?;
    Ok(exit::OK)
}
