//! All checkers, in the order a person wants to read them.

use super::finding::Outcome;
use super::segment::{Segment, segments};
use super::surroundings::Surroundings;
use super::{access, cursor, leftover, lock, log, message, registry, snapshot, task};
use crate::error::Result;
use crate::layout::{StateDir, Topic};
use crate::log::Limits;
use crate::os::Storage;
use crate::registry::{Registry, RegistryStore};

/// Runs every checker that needs nothing but files.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn files<S: Storage>(storage: &S, dir: &StateDir, boot: &str) -> Result<Vec<Outcome>> {
    let positions = cursor::positions(storage, dir)?;
    let messages = segments(storage, dir, Topic::Messages)?;
    let tasks = segments(storage, dir, Topic::Tasks)?;
    let events = segments(storage, dir, Topic::Events)?;
    let limits = Limits::load(storage, dir);
    let logs = [messages.as_slice(), tasks.as_slice(), events.as_slice()];
    Ok(vec![
        each(logs, log::lines_parse),
        each(logs, log::names_are_first_numbers),
        each(logs, log::numbers_follow),
        each(logs, log::segments_join),
        each(logs, log::only_the_newest_ends_torn),
        each(logs, |segments| log::within_bounds(segments, &limits)),
        message::stored_once(&messages),
        cursor::within_the_log(storage, dir, &positions, &messages, boot),
        task::changes_were_allowed(&tasks),
        snapshot::snapshots_are_whole(storage, dir)?,
    ])
}

/// Runs every checker.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn all<S: Storage>(storage: &S, dir: &StateDir) -> Result<Vec<Outcome>> {
    // What cannot be read is found below; what is in force is judged.
    let loaded = RegistryStore::new(storage.clone(), dir).load();
    let registry: Registry = loaded.map(crate::snapshot::Loaded::into_state).unwrap_or_else(|_| empty());
    let around = Surroundings::gather(storage, dir, &registry);
    let mut outcomes = files(storage, dir, &around.boot)?;
    outcomes.extend([
        registry::ids_are_unique(&dir.registry(), &registry),
        registry::one_process_per_id(&dir.registry(), &registry, &around),
        leftover::temporary_files(storage, dir, storage.now().wall)?,
        leftover::doorbells(storage, dir, &registry, &around)?,
        leftover::refused(storage, dir)?,
        lock::holders_run(&around),
        access::private(dir, &around),
    ]);
    Ok(outcomes)
}

fn empty() -> Registry {
    <Registry as crate::snapshot::Document>::empty()
}

/// One checker over all topics.
fn each(logs: [&[Segment]; 3], check: impl Fn(&[Segment]) -> Outcome) -> Outcome {
    let mut outcomes = logs.into_iter().map(&check);
    let Some(mut whole) = outcomes.next() else { return check(&[]) };
    whole.findings.extend(outcomes.flat_map(|outcome| outcome.findings));
    let segments: usize = logs.iter().map(|segments| segments.len()).sum();
    let records: usize =
        logs.iter().flat_map(|log| log.iter()).map(|segment| segment.records().count()).sum();
    whole.seen = format!("{segments} segments, {records} records");
    whole
}
