//! Positions of readers: never beyond the end of the log.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use super::finding::{Finding, Outcome};
use super::segment::Segment;
use crate::error::{Context as _, Result};
use crate::layout::{StateDir, Topic};
use crate::log::Cursor;
use crate::os::Storage;

/// An instance file is some kilobytes, its outbox aside.
const LIMIT: u64 = 128 * 1024 * 1024;

/// Of an instance file, the position.
#[derive(Debug, Default, Deserialize)]
struct Part {
    #[serde(default)]
    inbox: Option<Cursor>,
}

/// Positions as the instance files have them, with the file. To be read before the log: readers go on meanwhile.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn positions<S: Storage>(storage: &S, dir: &StateDir) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for name in names(storage, dir)? {
        let path = dir.instances().join(name);
        // Whether the file is good is another checker's matter.
        let Ok(bytes) = storage.read(&path, LIMIT) else { continue };
        if let Some(cursor) = serde_json::from_slice::<Part>(&bytes).ok().and_then(|part| part.inbox) {
            found.push((path, cursor.seq.0));
        }
    }
    Ok(found)
}

/// Every position lies within the log. After a boot records that were never synced may be gone; until the first writer has
/// begun a new epoch, positions are not judged.
pub fn within_the_log<S: Storage>(
    storage: &S,
    dir: &StateDir,
    positions: &[(PathBuf, u64)],
    messages: &[Segment],
    boot: &str,
) -> Outcome {
    let end = messages.last().map_or(0, Segment::last);
    let judged = boot_of(storage, dir).is_none_or(|last| last == boot);
    let mut findings = Vec::new();
    for (path, position) in positions.iter().filter(|(_, position)| judged && *position > end) {
        let what = format!("its position is message {position}, the log ends at {end}");
        let why = "it would miss what comes until the log has caught up";
        let next = "put back the segments of messages/ that were removed or cut; it tells the gap itself";
        findings.push(Finding::problem(path, what, why, next));
    }
    Outcome::new(
        "no reader stands beyond the end of the queue",
        format!("{} readers", positions.len()),
        findings,
    )
}

/// Files of instances.
fn names<S: Storage>(storage: &S, dir: &StateDir) -> Result<Vec<String>> {
    let root = dir.instances();
    let mut names = match storage.list(&root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.context("list", &root)?,
    };
    names.retain(|name| name.strip_suffix(".json").is_some_and(|stem| !stem.is_empty()));
    names.sort();
    Ok(names)
}

/// The boot that wrote messages last.
fn boot_of<S: Storage>(storage: &S, dir: &StateDir) -> Option<String> {
    let bytes = storage.read(&dir.epoch(), LIMIT).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let boot = value.get("topics")?.get(Topic::Messages.name())?.get("boot_id")?;
    boot.as_str().map(str::to_owned)
}
