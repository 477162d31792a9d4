//! `tachi edit`: a private copy in the person's editor, judged, then merged with what others wrote meanwhile.
//!
//! No lock is held while the editor is open. Whatever happens, what the person wrote is not lost: it is taken over, or it is
//! kept in `rejected/` and named.

use std::path::Path;

use serde_json::json;
use tachi_shared::clock;
use tachi_shared::registry::not_taken;
use tachi_shared::snapshot::{Document, Edit, Taken};
use tachi_shared::store::Store;

use super::context::Context;
use super::desk::{Desk, Editor};
use super::{memory, printer};
use crate::args::{Edit as Args, Editable};
use crate::error::{Error, Result, exit};
use crate::render::json::document;
use crate::render::text::clean;

/// Edits one document.
pub(super) fn run(context: &Context, args: &Args) -> Result<u8> {
    let store = context.store()?;
    match args.what {
        Editable::Memory => edit_memory(context, &store),
        Editable::Registry => edit_registry(context, &store),
    }
}

fn edit_memory(context: &Context, store: &Store) -> Result<u8> {
    let mut memory = store.memory();
    let edit = memory.edit()?;
    let Some((hand, desk)) = at_the_desk(store, &edit, &store.dir().memory())? else {
        return say(context, &Taken::default(), &[]);
    };
    let taken = memory.take_edit(&edit, &hand).map_err(|error| desk.leave(store, error.into()))?;
    warn(&memory.notes());
    if !taken.changed.is_empty() {
        memory::tell(store, &format!("edit by hand: {}", taken.changed.join(", ")), clock::now());
    }
    say(context, &taken, &[])
}

fn edit_registry(context: &Context, store: &Store) -> Result<u8> {
    let mut registry = store.registry();
    let edit = registry.edit()?;
    let Some((hand, desk)) = at_the_desk(store, &edit, &store.dir().registry())? else {
        return say(context, &Taken::default(), &[]);
    };
    let taken = registry.take_edit(&edit, &hand).map_err(|error| desk.leave(store, error.into()))?;
    warn(&registry.notes());
    say(context, &taken, &not_taken(edit.base(), &hand))
}

/// Runs the editor until what it leaves can be taken or the person gives up; `None` if nothing was changed.
fn at_the_desk<D: Document>(store: &Store, edit: &Edit<D>, file: &Path) -> Result<Option<(D, Desk)>> {
    let editor = Editor::of_the_person();
    let desk = Desk::lay(store, file, &edit.text)?;
    if let Some(damage) = &edit.damage {
        warn(&[format!("{damage}; this is the damaged file")]);
    }
    loop {
        if let Err(error) = editor.open(desk.file()) {
            return Err(desk.leave(store, error));
        }
        let text = match desk.read(D::LIMIT) {
            Ok(text) => text,
            Err(error) => return Err(desk.leave(store, error)),
        };
        if text == edit.text {
            return Ok(None);
        }
        match edit.judge(desk.file(), &text) {
            Ok(hand) => return Ok(Some((hand, desk))),
            Err(error) => {
                if !desk.ask(&error)? {
                    return Err(desk.leave(store, error.into()));
                }
            }
        }
    }
}

fn warn(notes: &[String]) {
    notes.iter().for_each(|note| printer::complain(&format!("tachi: warning: {}", clean(note))));
}

/// Tells what is different now, and what is not although it was written.
fn say(context: &Context, taken: &Taken, ignored: &[String]) -> Result<u8> {
    if context.json {
        let Taken { changed, conflicts } = taken;
        let edit = json!({ "changed": changed, "conflicts": conflicts, "ignored": ignored });
        printer::json(&document("edit", edit))?;
    } else if taken.changed.is_empty() {
        printer::line("nothing changed")?;
    } else {
        taken.changed.iter().try_for_each(|changed| printer::line(&clean(changed)))?;
    }
    if !ignored.is_empty() {
        warn(&[format!("not taken over, only `desired` is an input: {}", ignored.join("; "))]);
    }
    if taken.conflicts.is_empty() {
        return Ok(exit::OK);
    }
    let message = format!("not taken over: {}", taken.conflicts.join("; "));
    let hint = "look at both and edit once more; your version is kept, see the warning".to_owned();
    Err(Error::Refused { message, code: exit::FAILED, hint: Some(hint) })
}
