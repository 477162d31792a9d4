//! `artifacts/survey-run.json`: who did what, when, and how each voted — pure, from the board alone.
//!
//! Format: one JSON object `{"schema","run","reported_by","tasks":[…],"owners":[…],"proposals":[…]}`. Writer: whoever does the
//! report task, by rename. Unlike the survey it differs from run to run.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tachi_shared::id::InstanceId;
use tachi_shared::task::{Board, Task};

use super::fact::SCHEMA;
use super::job::{Job, is_checkable, of_run};
use super::proposal::outcome;

/// The record of one run.
pub(crate) fn record(board: &Board, run: &str, me: &InstanceId) -> Value {
    let votes = board.tasks.values().filter_map(|task| match Job::of(task) {
        Some(job @ Job::Vote { .. }) => Some((task, job)),
        _ => None,
    });
    let tasks: Vec<(&Task, Job)> = of_run(board, run).chain(votes).collect();
    json!({
        "schema": SCHEMA,
        "run": run,
        "reported_by": me,
        "owners": owners(&tasks),
        "tasks": tasks.iter().map(|(task, _)| line(task)).collect::<Vec<_>>(),
        "proposals": proposals(board),
    })
}

fn line(task: &Task) -> Value {
    json!({
        "id": task.id,
        "title": task.title,
        "status": task.status,
        "by": task.finished_by.as_ref().or(task.owner.as_ref().map(|owner| &owner.instance)),
        "since": task.owner.as_ref().map(|owner| owner.since).unwrap_or(task.created_at),
        "finished_at": task.finished_at,
        "attempts": task.attempts,
        "history": task.history,
    })
}

/// Parts, files and bytes per instance.
fn owners(tasks: &[(&Task, Job)]) -> Value {
    let mut sums: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for (task, job) in tasks {
        if let (Job::Part { files, bytes, .. }, Some(by)) = (job, &task.finished_by) {
            let sum = sums.entry(by.as_str()).or_default();
            *sum = (sum.0 + 1, sum.1.saturating_add(*files), sum.2.saturating_add(*bytes));
        }
    }
    sums.into_iter()
        .map(|(instance, (parts, files, bytes))| {
            json!({"instance": instance, "parts": parts, "files": files, "bytes": bytes})
        })
        .collect()
}

fn proposals(board: &Board) -> Value {
    board
        .proposals
        .values()
        .filter(|proposal| is_checkable(proposal))
        .map(|proposal| {
            let votes: Vec<Value> = proposal
                .votes
                .iter()
                .map(|(voter, vote)| {
                    json!({"voter": voter, "approve": vote.approve, "reason": vote.reason, "at": vote.at})
                })
                .collect();
            json!({
                "id": proposal.id,
                "text": proposal.text,
                "by": proposal.by,
                "outcome": outcome(proposal),
                "votes": votes,
            })
        })
        .collect()
}
