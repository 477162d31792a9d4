//! Selectors for verbs that work without a supervisor: id, role, glob, `all` — pure.

use globset::Glob;
use tachi_shared::id::InstanceId;
use tachi_shared::registry::{Registry, Row};

use crate::error::Result;
use crate::render::Shown;
use crate::settings::near::near;

/// The rows meant by the selectors, in the registry's order.
///
/// # Errors
/// [`tachi_shared::Error::Unknown`] for the first selector that means nobody.
pub(super) fn select<'a>(registry: &'a Registry, selectors: &[String]) -> Result<Vec<&'a Row>> {
    let mut chosen = vec![false; registry.instances.len()];
    for selector in selectors {
        let glob = Glob::new(selector).ok().map(|glob| glob.compile_matcher());
        let mut found = false;
        for (row, mark) in registry.instances.iter().zip(&mut chosen) {
            let id = row.instance_id.as_str();
            let hit = selector == "all"
                || id == selector
                || row.role.as_str() == selector
                || glob.as_ref().is_some_and(|glob| glob.is_match(id));
            *mark |= hit;
            found |= hit;
        }
        if !found {
            return Err(unknown(registry, selector).into());
        }
    }
    Ok(registry.instances.iter().zip(chosen).filter(|(_, mark)| *mark).map(|(row, _)| row).collect())
}

/// Exactly one instance by its id.
///
/// # Errors
/// [`tachi_shared::Error::InvalidName`], [`tachi_shared::Error::Unknown`].
pub(super) fn one<'a>(registry: &'a Registry, text: &str) -> Result<&'a Row> {
    let id = InstanceId::new(text)?;
    Ok(registry.row(&id).ok_or_else(|| unknown(registry, text))?)
}

/// The same among rows that were looked at.
///
/// # Errors
/// As [`one`].
pub(super) fn one_shown<'a>(rows: &'a [Shown], text: &str) -> Result<&'a Shown> {
    let id = InstanceId::new(text)?;
    let ids: Vec<&str> = rows.iter().map(|shown| shown.row.instance_id.as_str()).collect();
    rows.iter().find(|shown| shown.row.instance_id == id).ok_or_else(|| unknown_among(&ids, text).into())
}

/// The error for a name nobody has, with names that come close.
pub(super) fn unknown(registry: &Registry, text: &str) -> tachi_shared::Error {
    let ids: Vec<&str> = registry.instances.iter().map(|row| row.instance_id.as_str()).collect();
    unknown_among(&ids, text)
}

fn unknown_among(ids: &[&str], text: &str) -> tachi_shared::Error {
    tachi_shared::Error::Unknown { what: "instance", value: text.to_owned(), near: suggestions(text, ids) }
}

/// Names that come close, else the first few there are.
pub(super) fn suggestions(text: &str, names: &[&str]) -> Vec<String> {
    let close = near(text, names.iter().copied());
    let chosen = if close.is_empty() { names.iter().copied().take(8).collect() } else { close };
    chosen.into_iter().map(str::to_owned).collect()
}
