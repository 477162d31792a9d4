//! The registry: every id once, and each process alive exactly while it says so — pure.

use std::collections::BTreeMap;
use std::path::Path;

use super::finding::{Finding, Outcome};
use super::surroundings::Surroundings;
use crate::registry::{Kind, Registry, Row, Status};

fn seen(registry: &Registry) -> String {
    format!("{} instances", registry.instances.len())
}

/// No id and no pid stands in two rows.
#[must_use]
pub fn ids_are_unique(path: &Path, registry: &Registry) -> Outcome {
    let mut findings = Vec::new();
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pids: BTreeMap<u32, &str> = BTreeMap::new();
    for row in &registry.instances {
        let id = row.instance_id.as_str();
        let count = ids.entry(id).or_default();
        *count += 1;
        if *count == 2 {
            let what = format!("{id} has more than one row");
            let why = "the first one counts, what is changed in the others is lost";
            findings.push(Finding::problem(path, what, why, "remove all but one of them by hand"));
        }
        if let Some(pid) = row.pid
            && let Some(other) = pids.insert(pid, id)
            && other != id
        {
            let what = format!("{other} and {id} both have pid {pid}");
            let why = "a signal for one would reach the other";
            findings.push(Finding::problem(path, what, why, format!("`tachi restart {id}`")));
        }
    }
    Outcome::new("every instance has one row", seen(registry), findings)
}

/// A process lives exactly while its alive lock is held, and is the one its row names.
#[must_use]
pub fn one_process_per_id(path: &Path, registry: &Registry, around: &Surroundings) -> Outcome {
    let mut findings: Vec<Finding> =
        registry.instances.iter().filter_map(|row| process(path, row, around)).collect();
    let known = |name: &str| registry.instances.iter().any(|row| row.instance_id.as_str() == name);
    for (name, holder) in around.held.iter().filter(|(name, _)| *name != "supervisor" && !known(name)) {
        let what = format!("{name} lives{} but has no row", with_pid(*holder));
        let why = "nobody watches it or stops it";
        let next = "end it, or `tachi up`, which adopts what lives";
        findings.push(Finding::problem(path, what, why, next));
    }
    Outcome::new("one process per instance, as the registry says", seen(registry), findings)
}

fn process(path: &Path, row: &Row, around: &Surroundings) -> Option<Finding> {
    let id = &row.instance_id;
    let lock = around.held.get(id.as_str());
    let alive = row.pid.is_some_and(|pid| around.living.contains(&pid));
    // While it starts or ends, row, process and lock change one after the other.
    let settled = matches!(row.status, Status::Ready | Status::Stalled | Status::Paused);
    let (what, why, next) = match (row.pid, alive, lock) {
        (Some(pid), false, None) => (
            format!("{id} is said to run as pid {pid}, which does not live"),
            "its supervisor died with it, so nobody restarts it",
            "`tachi up` starts it again".to_owned(),
        ),
        (Some(pid), true, None) if settled => (
            format!("{id} runs as pid {pid} without its alive lock"),
            "a second one could be started beside it",
            format!("`tachi restart {id}`"),
        ),
        (Some(pid), true, Some(Some(holder))) if row.kind == Kind::Worker && settled && pid != *holder => (
            format!("{id} is pid {pid}, but pid {holder} holds its alive lock"),
            "two processes act as one instance",
            format!("end pid {pid}, then `tachi restart {id}`"),
        ),
        (None, _, Some(holder))
            if matches!(row.status, Status::Stopped | Status::Failed | Status::Backoff) =>
        {
            (
                format!("{id} is said to be {}, but lives{}", row.status.word(), with_pid(*holder)),
                "nobody watches it or stops it",
                "end it, or `tachi up`, which adopts what lives".to_owned(),
            )
        }
        _ => return None,
    };
    Some(Finding::problem(path, what, why, next))
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" as pid {pid}")).unwrap_or_default()
}
