//! What nobody needs any more, and what waits for a person: temporary files, doorbells, refused bytes.

use super::finding::{Finding, Fix, Outcome};
use super::snapshot::list;
use super::surroundings::Surroundings;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::layout::StateDir;
use crate::os::Storage;
use crate::os::place::STALE_AFTER;
use crate::registry::Registry;

/// No temporary file is older than an hour.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn temporary_files<S: Storage>(storage: &S, dir: &StateDir, now: Timestamp) -> Result<Outcome> {
    let names = list(storage, &dir.tmp())?;
    let mut findings = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        let path = dir.tmp().join(name);
        let Ok(stat) = storage.stat(&path) else { continue };
        let written = Timestamp::from_unix(i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default());
        let age = written.age(now);
        if age > STALE_AFTER {
            let what = format!("a temporary file of {} bytes, {} h old", stat.size, age.as_secs() / 3600);
            let why = "a process died while it replaced a file; it costs space only";
            let next = "`tachi doctor --fix` removes it";
            findings.push(Finding::problem(&path, what, why, next).with_fix(Fix::SweepTemporary));
        }
    }
    Ok(Outcome::new("no temporary file was left behind", format!("{} files", names.len()), findings))
}

/// Every doorbell belongs to an instance of the registry, to a living process, or to the supervisor.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn doorbells<S: Storage>(
    storage: &S,
    dir: &StateDir,
    registry: &Registry,
    around: &Surroundings,
) -> Result<Outcome> {
    let names = list(storage, &dir.doorbells())?;
    let known = |name: &str| {
        name == "supervisor"
            || around.held.contains_key(name)
            || registry.instances.iter().any(|row| row.instance_id.as_str() == name)
    };
    let mut findings = Vec::new();
    for name in names.iter().filter(|name| !known(name)) {
        let why = "every broadcast tries to ring it; nothing else happens";
        let finding = Finding::problem(
            &dir.doorbells().join(name),
            "a doorbell of nobody in the registry",
            why,
            "`tachi doctor --fix` removes it",
        );
        findings.push(finding.with_fix(Fix::RemoveDoorbell(name.clone())));
    }
    Ok(Outcome::new("every doorbell has an owner", format!("{} doorbells", names.len()), findings))
}

/// What was refused and waits for a person, each with its reason.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn refused<S: Storage>(storage: &S, dir: &StateDir) -> Result<Outcome> {
    /// A reason is a sentence.
    const LIMIT: u64 = 64 * 1024;
    let names = list(storage, &dir.rejected())?;
    let mut findings = Vec::new();
    for name in names.iter().filter(|name| !name.ends_with(".why")) {
        let path = dir.rejected().join(name);
        let reason = storage.read(&path.with_extension("why"), LIMIT).unwrap_or_default();
        let reason = String::from_utf8_lossy(&reason).trim().to_owned();
        let what = if reason.is_empty() {
            "refused, without a reason".to_owned()
        } else {
            format!("refused: {reason}")
        };
        let why = "its bytes are kept until somebody has looked";
        let next = "take over what is worth it, then remove it and its .why";
        findings.push(Finding::problem(&path, what, why, next).as_note());
    }
    Ok(Outcome::new("what was refused is kept", format!("{} kept", findings.len()), findings))
}
