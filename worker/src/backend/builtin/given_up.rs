//! What a run goes on without, so that it ends although a task of it failed for good — pure but for the old plan.
//!
//! A part or a piece of history that failed in all its attempts leaves its run stuck: what collects the facts waits for it.
//! The next run takes the place of the stuck one and leaves it out; the report names every file of a lost part with the
//! reason. A lost vote is not waited for either. What is given up stays so until the report is written; the next start of the
//! team tries all of it again.

use tachi_shared::id::TaskId;
use tachi_shared::task::change::NewTask;
use tachi_shared::task::{Board, Task, TaskStatus};

use super::Peer;
use super::fact::{HistoryPlan, Lost, Plan};
use super::flow::report_job;
use super::job::{Job, last_report};
use super::plan::Cut;
use super::stage::{Stage, plan_name};
use crate::effects::survey::Halt;

/// Begins the reason why there is no history although the repository has one.
const NO_HISTORY: &str = "given up after several attempts: ";

/// Whether a task ended without its result.
pub(super) fn is_lost(task: &Task) -> bool {
    matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled)
}

/// Whether a run waits for something that will not come, and can be helped on.
pub(super) fn is_stuck(board: &Board, run: &str) -> bool {
    let waits = |id: Option<TaskId>| id.is_some_and(|id| lost_needs(board, &id).next().is_some());
    let assemble = Job::Assemble { run: run.to_owned() }.id().ok();
    let report = last_report(board, run).and_then(|(round, _)| report_job(run, round).id().ok());
    waits(assemble) || waits(report)
}

/// The lost tasks that a blocked one waits for.
fn lost_needs<'a>(board: &'a Board, id: &TaskId) -> impl Iterator<Item = &'a Task> {
    let blocked = board.tasks.get(id).filter(|task| task.status == TaskStatus::Blocked);
    blocked
        .into_iter()
        .flat_map(|task| &task.needs)
        .filter_map(|need| board.tasks.get(need))
        .filter(|task| is_lost(task))
}

/// What the unfinished run `run` gave up: parts among `cuts`, and the history, which is replaced by the reason.
pub(super) fn carry_over(
    stage: &Stage<'_>,
    board: &Board,
    run: &str,
    cuts: &[Cut<'_>],
    history: &mut HistoryPlan,
) -> Vec<Lost> {
    if matches!(last_report(board, run), Some((_, TaskStatus::Done))) {
        return Vec::new();
    }
    let old: Option<Plan> = stage.artifacts.read(&plan_name(run));
    let mut reasons: Vec<(String, String)> = Vec::new();
    if let Some(old) = old {
        reasons.extend(old.lost.into_iter().map(|lost| (lost.part, lost.reason)));
        if let HistoryPlan::Absent(reason) = old.history
            && reason.starts_with(NO_HISTORY)
        {
            *history = HistoryPlan::Absent(reason);
        }
    }
    let assemble = Job::Assemble { run: run.to_owned() }.id();
    for task in assemble.iter().flat_map(|id| lost_needs(board, id)) {
        match Job::of(task) {
            Some(Job::Part { part, .. }) => reasons.push((part, reason(task))),
            Some(Job::History { .. }) => {
                *history = HistoryPlan::Absent(format!("{NO_HISTORY}{}", reason(task)));
            }
            _ => {}
        }
    }
    let why = |part: &str| reasons.iter().find(|(lost, _)| lost == part).map(|(_, reason)| reason.clone());
    cuts.iter()
        .filter_map(|cut| {
            let reason = why(&cut.hash)?;
            Some(Lost { part: cut.hash.clone(), reason, files: cut.files.to_vec() })
        })
        .collect()
}

/// Why a task was lost, as its last attempt has it.
fn reason(task: &Task) -> String {
    let last = task.history.last().map_or("no attempt is recorded", String::as_str);
    // Not who failed: the report depends on the tree and on what went wrong.
    let what = last.split_once(": ").map_or(last, |(_, what)| what);
    what.chars().filter(|c| !c.is_control()).collect()
}

/// A further report that does not wait for votes nobody can cast any more, if the last one does.
pub(super) fn report_without_lost_votes(
    board: &Board,
    run: &str,
    me: &Peer,
) -> Result<Option<NewTask>, Halt> {
    let Some((round, TaskStatus::Blocked)) = last_report(board, run) else { return Ok(None) };
    let Some(report) = board.tasks.get(&report_job(run, round).id()?) else { return Ok(None) };
    if lost_needs(board, &report.id).next().is_none() {
        return Ok(None);
    }
    let alive = |need: &&TaskId| !board.tasks.get(need).is_some_and(is_lost);
    let needs = report.needs.iter().filter(alive).cloned().collect();
    let title = "write the report without lost votes".to_owned();
    Ok(Some(report_job(run, round + 1).task(title, needs, &me.id)?))
}
