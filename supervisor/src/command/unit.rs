//! `tachi unit`: prints a systemd unit for the fleet that `tachi up` with the same arguments would start. Writes nothing.

use std::path::Path;

use serde_json::json;

use super::context::Context;
use super::printer;
use crate::args::{Until, Up};
use crate::error::{Error, Result, exit};
use crate::render;
use crate::render::unit::{Unit, text};
use crate::settings::{Request, Settings, settle};

/// Settles as `up` would, and prints.
pub(super) fn run(context: &Context, up: &Up, system: bool) -> Result<u8> {
    let settled = settle(&Request { cwd: &context.cwd, state: context.wish.as_deref(), up })?;
    for warning in &settled.warnings {
        printer::complain(&format!("tachi: warning: {warning}"));
    }
    let program = std::env::current_exe().map_err(|error| Error::system("find this program", error))?;
    let arguments = arguments(up, &settled.settings);
    let unit = text(&Unit {
        program: &program,
        arguments: &arguments,
        cwd: &context.cwd,
        system: system || rustix::process::geteuid().is_root(),
        settings: &settled.settings,
    });
    if context.json {
        printer::json(&render::json::document("unit", json!(unit)))?;
    } else {
        printer::text(&unit)?;
    }
    Ok(exit::OK)
}

/// The same wish with absolute paths; what the configuration says stays there.
fn arguments(up: &Up, settings: &Settings) -> Vec<String> {
    let show = |path: &Path| path.display().to_string();
    let mut words = vec!["up".to_owned()];
    words.extend(up.count.clone());
    let mut flag = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| [format!("--{name}"), value]).into_iter().flatten());
    };
    flag("state", Some(show(&settings.state)));
    flag("workspace", up.workspace.as_ref().map(|_| show(&settings.workspace)));
    flag("goal", up.goal.clone());
    flag("backend", up.backend.clone());
    flag("config", settings.config.as_ref().map(|read| show(&read.path)));
    up.roles.iter().for_each(|role| flag("role", Some(role.clone())));
    flag("until", (up.until == Until::AnyFailed).then(|| "any-failed".to_owned()));
    flag("until", (up.until == Until::AllJobsDone).then(|| "all-jobs-done".to_owned()));
    words.extend(up.allow_network_fs.then(|| "--allow-network-fs".to_owned()));
    words.push("--keep-stop".to_owned());
    words
}
