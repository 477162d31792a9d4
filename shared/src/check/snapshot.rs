//! Files replaced whole: each parses, has a schema we know and a revision that did not go back.

use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::finding::{Finding, Outcome};
use crate::error::{Context as _, Error, Result};
use crate::id::InstanceId;
use crate::instance::{InstanceState, InstanceStore};
use crate::layout::StateDir;
use crate::memory::MemoryStore;
use crate::os::Storage;
use crate::registry::RegistryStore;
use crate::snapshot::Loaded;

/// Largest file looked at.
const LIMIT: u64 = 128 * 1024 * 1024;
/// What a refused file means for people.
const IN_FORCE: &str = "the last good state stays in force and later edits of this file are not seen";
const CORRECT: &str =
    "correct it, or let the next writer set it aside in rejected/ and restore the last good one";

/// `registry.json`, `memory.json`, every instance's file and the small files of `.tachi/`.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn snapshots_are_whole<S: Storage>(storage: &S, dir: &StateDir) -> Result<Outcome> {
    let mut findings = Vec::new();
    let registry = RegistryStore::new(storage.clone(), dir).load();
    findings.extend(judge(storage, &dir.registry(), &dir.backup().join("registry.json"), registry)?);
    let memory = MemoryStore::new(storage.clone(), dir).load();
    findings.extend(judge(storage, &dir.memory(), &dir.backup().join("memory.json"), memory)?);
    let mut count = 2;
    for name in list(storage, &dir.instances())? {
        count += 1;
        findings.extend(instance(storage, dir, &name)?);
    }
    for path in [dir.epoch(), dir.mark()] {
        count += 1;
        findings.extend(internal(storage, &path)?);
    }
    Ok(Outcome::new("files replaced whole are whole", format!("{count} files"), findings))
}

#[derive(Deserialize)]
struct Revision {
    #[serde(default)]
    rev: u64,
}

fn judge<S: Storage, D>(
    storage: &S,
    path: &Path,
    backup: &Path,
    loaded: Result<Loaded<D>>,
) -> Result<Option<Finding>> {
    // The file's own: an edit of an older revision is loaded as it will be merged.
    let rev = |path: &Path| {
        let bytes = storage.read(path, LIMIT).ok();
        bytes.and_then(|bytes| serde_json::from_slice::<Revision>(&bytes).ok()).map_or(0, |kept| kept.rev)
    };
    let found = match loaded {
        Ok(Loaded::Missing) => return Ok(None),
        Ok(Loaded::Good(_)) => rev(path),
        Ok(Loaded::Fallback(_, reason)) => return Ok(Some(refused(path, &reason))),
        Err(error @ Error::NewerSchema { .. }) => return Ok(Some(newer(path, &error))),
        Err(error) => return Err(error),
    };
    let kept = rev(backup);
    // The copy is written just before the file: a crash in between leaves it one ahead.
    if kept > found + 1 {
        let what = format!("its rev is {found}, but revision {kept} was written before (a copy is kept)");
        let why = "changes that others made in between are gone";
        let next = format!("compare it with {}; restore what is missing", backup.display());
        return Ok(Some(Finding::problem(path, what, why, next)));
    }
    Ok(None)
}

/// One file under `instances/`: its name is an id, its content is that instance's.
fn instance<S: Storage>(storage: &S, dir: &StateDir, name: &str) -> Result<Option<Finding>> {
    let path = dir.instances().join(name);
    let Some(Ok(id)) = name.strip_suffix(".json").map(InstanceId::new) else {
        let why = "nothing of Tachi reads or writes such a file";
        return Ok(Some(Finding::problem(&path, "the name is no instance id", why, "move it away")));
    };
    match InstanceStore::new(storage.clone(), dir, &id).load() {
        Ok(Loaded::Good(InstanceState { instance_id, .. })) if instance_id != id => {
            let what = format!("it is the state of {instance_id}");
            let why = "an instance that starts from another one's state repeats or skips messages";
            Ok(Some(Finding::problem(&path, what, why, "restore the right file, or move this one away")))
        }
        Ok(Loaded::Good(_) | Loaded::Missing) => Ok(None),
        Ok(Loaded::Fallback(_, reason)) => Ok(Some(refused(&path, &reason))),
        Err(error @ Error::NewerSchema { .. }) => Ok(Some(newer(&path, &error))),
        Err(Error::Rejected { reason, .. }) => Ok(Some(refused(&path, &reason))),
        Err(error) => Err(error),
    }
}

/// A small file of ours: one JSON object with a schema.
fn internal<S: Storage>(storage: &S, path: &Path) -> Result<Option<Finding>> {
    let bytes = match storage.read(path, LIMIT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.context("read", path)?,
    };
    let reason = match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) if value.get("schema").and_then(Value::as_u64).is_some() => return Ok(None),
        Ok(_) => "it has no schema".to_owned(),
        Err(error) => error.to_string(),
    };
    let why = "numbers that were given before a power loss could be given again";
    Ok(Some(Finding::problem(path, reason, why, "nobody edits this file by hand; restore it from a backup")))
}

fn refused(path: &Path, reason: &str) -> Finding {
    // Reasons of the snapshot engine begin with `path:line:column: `.
    let prefix = format!("{}:", path.display());
    let (place, reason) = match reason.strip_prefix(&prefix).and_then(|rest| rest.split_once(": ")) {
        Some((place, reason)) => (format!("{prefix}{place}"), reason),
        None => (path.display().to_string(), reason),
    };
    Finding { place, ..Finding::problem(path, format!("it cannot be taken: {reason}"), IN_FORCE, CORRECT) }
}

fn newer(path: &Path, error: &Error) -> Finding {
    let why = "this program reads it no further and never rewrites it";
    Finding::problem(path, error.to_string(), why, "use the newer tachi that wrote it")
}

/// Names in a directory, sorted; none if it is not there.
pub(super) fn list<S: Storage>(storage: &S, dir: &Path) -> Result<Vec<String>> {
    let mut names = match storage.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.context("list", dir)?,
    };
    names.sort();
    Ok(names)
}
