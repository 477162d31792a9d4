//! Rows of the registry by what people type; what a selector means is decided in `tachi_shared::registry` — pure.

use tachi_shared::id::InstanceId;
use tachi_shared::registry::{self, Registry, Row};

use crate::error::Result;
use crate::render::Shown;

/// The rows meant by the selectors, in the registry's order.
///
/// # Errors
/// [`tachi_shared::Error::Unknown`] for the first selector that means nobody.
pub(super) fn select<'a>(registry: &'a Registry, selectors: &[String]) -> Result<Vec<&'a Row>> {
    let mut ids = registry::select(registry, selectors)?.into_iter().peekable();
    let chosen = registry.instances.iter().filter(|row| ids.next_if_eq(&row.instance_id).is_some());
    Ok(chosen.collect())
}

/// Exactly one instance by its id.
///
/// # Errors
/// [`tachi_shared::Error::InvalidName`], [`tachi_shared::Error::Unknown`].
pub(super) fn one<'a>(registry: &'a Registry, text: &str) -> Result<&'a Row> {
    let id = InstanceId::new(text)?;
    Ok(registry.row(&id).ok_or_else(|| unknown(registry.instances.iter(), text))?)
}

/// The same among rows that were looked at.
///
/// # Errors
/// As [`one`].
pub(super) fn one_shown<'a>(rows: &'a [Shown], text: &str) -> Result<&'a Shown> {
    let id = InstanceId::new(text)?;
    let found = rows.iter().find(|shown| shown.row.instance_id == id);
    Ok(found.ok_or_else(|| unknown(rows.iter().map(|shown| &shown.row), text))?)
}

/// Where only an id will do, a role is no help.
fn unknown<'a>(rows: impl Iterator<Item = &'a Row>, text: &str) -> tachi_shared::Error {
    let ids: Vec<&str> = rows.map(|row| row.instance_id.as_str()).collect();
    let near = registry::near(text, &ids);
    tachi_shared::Error::Unknown { what: "instance", value: text.to_owned(), near }
}
