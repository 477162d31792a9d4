//! `tachi doctor`: runs every checker, says what is wrong and what to do, and with `--fix` does what is safe.
//!
//! A fleet may be at work meanwhile: between two files, or in the middle of a write, things look wrong for a moment. What
//! is still wrong at a second look is told.

use std::collections::BTreeSet;
use std::time::Duration;

use tachi_shared::check::{self, Finding, Fix, Outcome};
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::store::Store;

use super::context::Context;
use super::printer;
use crate::error::{Result, exit};
use crate::render::checkup;

/// Longer than a write or the way from a death to the registry takes.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// Checks, fixes if asked to, tells.
pub(super) fn run(context: &Context, wants_fix: bool) -> Result<u8> {
    let store = context.store()?;
    let mut outcomes = look(&store)?;
    let mut fixed = Vec::new();
    if wants_fix {
        fixed = fix(&store, &outcomes)?;
        if !fixed.is_empty() {
            outcomes = look(&store)?;
        }
    }
    if context.json {
        printer::json(&checkup::json(&outcomes, &fixed))?;
    } else {
        printer::text(&checkup::text(&outcomes, &fixed))?;
    }
    let clean = outcomes.iter().all(|outcome| outcome.problems().next().is_none());
    Ok(if clean { exit::OK } else { exit::FAILED })
}

/// What is wrong twice.
fn look(store: &Store) -> Result<Vec<Outcome>> {
    let first = check::all(&Disk, store.dir())?;
    if first.iter().all(|outcome| outcome.problems().next().is_none()) {
        return Ok(first);
    }
    Disk.pause(SECOND_LOOK);
    let mut second = check::all(&Disk, store.dir())?;
    for (outcome, before) in second.iter_mut().zip(&first) {
        outcome.findings.retain(|finding| before.findings.contains(finding));
    }
    Ok(second)
}

/// Carries every safe fix out once; returns what was done, in words.
fn fix(store: &Store, outcomes: &[Outcome]) -> Result<Vec<String>> {
    let findings = outcomes.iter().flat_map(|outcome| &outcome.findings);
    let fixable: Vec<(&Finding, &Fix)> =
        findings.filter_map(|finding| Some((finding, finding.fix.as_ref()?))).collect();
    let mut done = BTreeSet::new();
    let mut words = Vec::new();
    for (finding, fix) in fixable {
        if done.insert(fix) {
            check::repair(&Disk, store.dir(), fix)?;
        }
        words.push(format!("{}: {}", finding.place, finding.what));
    }
    Ok(words)
}
