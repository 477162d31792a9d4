//! `tachi up`: settles the settings and becomes the supervisor, or with `--detach` starts one behind itself.

use std::cell::RefCell;
use std::sync::Arc;

use tachi_shared::clock;
use tachi_shared::store::Store;

use super::context::Context;
use super::{detach, printer};
use crate::args::Up;
use crate::effects::{self, Screen, Settle};
use crate::error::Result;
use crate::render::{self, Header, Progress, Supervisor};
use crate::settings::{Request, Settings, Settled, settle};

/// Starts the fleet.
pub(super) fn run(context: &Context, args: &Up) -> Result<u8> {
    if args.detached {
        detach::leave_the_caller();
    }
    let Settled { settings, warnings } =
        settle(&Request { cwd: &context.cwd, state: context.wish.as_deref(), up: args })?;
    for warning in &warnings {
        printer::complain(&format!("tachi: warning: {warning}"));
    }
    if args.detach && !args.detached {
        return detach::run(context, &settings);
    }
    let screen = match () {
        () if args.detached => Screen::silent(),
        () if printer::is_terminal() && !context.json => Screen::live(drawing(&settings)?),
        () => Screen::lines(),
    };
    let again = settling(context, args, &settings);
    effects::supervise(settings, screen, again)
}

/// Settles everything once more as it was settled now, for `tachi apply`.
fn settling(context: &Context, args: &Up, settings: &Settings) -> Settle {
    let (cwd, state, up) = (context.cwd.clone(), settings.state.clone(), args.clone());
    Arc::new(move || {
        let settled = settle(&Request { cwd: &cwd, state: Some(&state), up: &up });
        settled.map(|settled| settled.settings).map_err(|error| match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
    })
}

/// Draws the live table; everything the supervisor does not hand over is looked up at each drawing.
fn drawing(settings: &Settings) -> Result<effects::Draw> {
    let store = Store::create(&settings.state)?;
    let tasks = RefCell::new(store.tasks());
    let started = clock::now().wall;
    let workspace = settings.workspace.display().to_string();
    Ok(Box::new(move |rows, events, columns| {
        let header = Header {
            supervisor: Supervisor::Running { pid: std::process::id(), since: started },
            state: store.dir().root().display().to_string(),
            workspace: Some(workspace.clone()),
            containment: String::new(),
            progress: tasks.borrow_mut().board().ok().and_then(Progress::of),
            latched: std::fs::read_to_string(store.dir().stop()).ok(),
            troubles: Vec::new(),
            unapplied: None,
            now: clock::now().wall,
        };
        render::live(&header, rows, events, columns, printer::lines())
    }))
}
