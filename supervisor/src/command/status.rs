//! `tachi status`: once, with `--check` as a verdict, with `--watch` again at every change.

use std::time::Duration;

use tachi_shared::store::Store;

use super::context::Context;
use super::look::{Look, look};
use super::printer;
use super::wait::Waiter;
use crate::args::Status;
use crate::error::{Error, Result, exit};
use crate::render;

/// Times on the screen grow old; redrawn at least this often.
const REFRESH: Duration = Duration::from_secs(1);
/// A busy fleet changes all the time; redrawn at most this often.
const BREATH: Duration = Duration::from_millis(100);

/// Shows the fleet.
pub(super) fn run(context: &Context, args: &Status) -> Result<u8> {
    let store = context.store()?;
    if args.watch {
        return watch(context, &store);
    }
    let look = look(&store)?;
    show(context, &look)?;
    if args.check { verdict(&look) } else { Ok(exit::OK) }
}

/// Ready, or an error that says what is not.
fn verdict(look: &Look) -> Result<u8> {
    let missing = look.missing();
    match missing.as_slice() {
        [] if look.is_supervised() => Ok(exit::OK),
        [] => Err(Error::NotReady("no supervisor".to_owned())),
        few if few.len() <= 3 => Err(Error::NotReady(few.join(", "))),
        [first, ..] => Err(Error::NotReady(format!("{first}, and {} more", missing.len() - 1))),
    }
}

/// Prints what was found.
pub(super) fn show(context: &Context, look: &Look) -> Result<()> {
    if context.json {
        return printer::json(&render::json::status(&look.header, &look.rows));
    }
    printer::text(&render::status(&look.header, &look.rows, printer::columns()))
}

/// Draws again at every change until the reader leaves or the terminal says stop.
fn watch(context: &Context, store: &Store) -> Result<u8> {
    let dir = store.dir();
    let waiter = Waiter::on(&[dir.root().to_owned(), dir.instances()]);
    let clears = printer::is_terminal() && !context.json;
    let mut before = String::new();
    loop {
        let look = look(store)?;
        let text = if context.json {
            format!("{}\n", render::json::status(&look.header, &look.rows))
        } else {
            render::status(&look.header, &look.rows, printer::columns())
        };
        if text != before {
            let clear = if clears { "\x1b[H\x1b[2J" } else { "" };
            printer::text(&format!("{clear}{text}"))?;
            before = text;
        }
        if waiter.sleep(REFRESH) {
            std::thread::park_timeout(BREATH);
        }
    }
}
