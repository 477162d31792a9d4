//! Opens a run: lists the tree and puts on the board what is not known yet.
//!
//! Another tree or history opens a new run. The same one goes on with the current run: tasks that are there already are left
//! alone, what is missing is added again. A run that is finished is only opened anew if its report is gone or it failed.

use serde_json::json;
use tachi_shared::id::{InstanceId, TaskId};
use tachi_shared::queue::MessageKind;
use tachi_shared::task::change::NewTask;
use tachi_shared::task::{Board, Change, TaskStatus};

use super::fact::{HistoryPlan, PartList, Plan, PlannedPart, SCHEMA};
use super::flow::{JSON, MARKDOWN, RUN, done, label, late_report, settle};
use super::given_up::{carry_over, is_lost, report_without_lost_votes};
use super::job::{Job, current_run, last_report, of_run, parse_run, run_name};
use super::plan::{Cut, cut, fingerprint};
use super::stage::{
    Stage, assembled_name, derived_name, history_name, list_name, part_name, pieces, plan_name,
};
use super::{Outcome, Peer, Say, Site};
use crate::effects::survey::{Beat, Halt, Listing, list, plan_history};

/// Lists the tree and returns the tasks to add (in `changes`). `go_on` is asked at least every 100 ms.
pub fn survey(site: &Site, me: &Peer, board: &Board, go_on: &mut dyn FnMut(&str) -> bool) -> Outcome {
    settle(open(&Stage::new(site), me, board, &mut Beat::new(go_on)))
}

fn open(stage: &Stage<'_>, me: &Peer, board: &Board, beat: &mut Beat<'_>) -> Result<Outcome, Halt> {
    let mut history = plan_history(&stage.site.workspace, beat)?;
    let Listing { files, skipped, source } = list(stage.site, beat)?;
    let cuts = cut(&files);
    let current = current_run(board);
    let lost =
        current.as_deref().map(|run| carry_over(stage, board, run, &cuts, &mut history)).unwrap_or_default();
    let print = fingerprint(&cuts, &skipped, &history, &lost);
    let run = match current.as_deref() {
        Some(run) if parse_run(run).1 == print && is_sound(stage, board, run) => run.to_owned(),
        other => run_name(other.map_or(0, |run| parse_run(run).0) + 1, &print),
    };
    if let Some((round, TaskStatus::Done)) = last_report(board, &run) {
        return late(board, &run, round, me);
    }
    if let Some(report) = report_without_lost_votes(board, &run, me)? {
        return Ok(Outcome::Done {
            result: json!({"run": run, "lost_votes": true}),
            changes: vec![Change::Add(vec![report])],
            say: Vec::new(),
            remember: Vec::new(),
        });
    }
    let parts = cuts
        .iter()
        .map(|cut| PlannedPart { hash: cut.hash.clone(), files: count(cut.files.len()), bytes: cut.bytes })
        .collect();
    let plan = Plan { schema: SCHEMA, run: run.clone(), source, history, parts, skipped, lost };
    let missing = publish(stage, &plan, &cuts, beat)?;
    let tasks = tasks(&plan, &missing, board, &me.id)?;
    let text = format!("{} files listed; {} of {} parts to read", files.len(), missing.len(), cuts.len());
    let fresh = tasks.iter().any(|task| !board.tasks.contains_key(&task.id));
    Ok(Outcome::Done {
        result: json!({"run": run, "files": files.len(), "parts": cuts.len(), "to_read": missing.len()}),
        changes: vec![Change::Add(tasks)],
        say: if fresh { vec![Say { kind: MessageKind::Finding, text }] } else { Vec::new() },
        remember: Vec::new(),
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The tree is reported; somebody may have proposed something since.
fn late(board: &Board, run: &str, round: u32, me: &Peer) -> Result<Outcome, Halt> {
    let late = late_report(board, run, round, me)?;
    if late.is_empty() {
        return Ok(done(json!({"run": run, "unchanged": true})));
    }
    Ok(Outcome::Done {
        result: json!({"run": run, "late": late.len()}),
        changes: vec![Change::Add(late)],
        say: Vec::new(),
        remember: Vec::new(),
    })
}

/// Whether a run can still come, or has come, to its report.
fn is_sound(stage: &Stage<'_>, board: &Board, run: &str) -> bool {
    if of_run(board, run).any(|(task, _)| is_lost(task)) {
        return false;
    }
    match last_report(board, run) {
        Some((_, TaskStatus::Done)) => [MARKDOWN, JSON, RUN].iter().all(|name| stage.artifacts.has(name)),
        _ => true,
    }
}

/// Writes plan and lists, the plan first: whatever is written or kept after it belongs to it. Returns the parts that are
/// to be read.
fn publish<'a>(
    stage: &Stage<'_>,
    plan: &Plan,
    cuts: &'a [Cut<'a>],
    beat: &mut Beat<'_>,
) -> Result<Vec<&'a Cut<'a>>, Halt> {
    let artifacts = &stage.artifacts;
    artifacts.write(&plan_name(&plan.run), plan)?;
    let mut missing = Vec::new();
    for (at, cut) in cuts.iter().enumerate() {
        beat.tick(|| format!("planning ({at}/{} parts)", cuts.len()))?;
        let name = list_name(&cut.hash);
        if !artifacts.keep(&name) {
            let list = PartList { schema: SCHEMA, part: cut.hash.clone(), files: cut.files.to_vec() };
            artifacts.write(&name, &list)?;
        }
        let lost = plan.lost.iter().any(|lost| lost.part == cut.hash);
        if !lost && !artifacts.keep(&part_name(&cut.hash)) {
            missing.push(cut);
        }
    }
    if let HistoryPlan::Present { head, .. } = &plan.history {
        for skip in pieces(&plan.history) {
            artifacts.keep(&history_name(head, skip));
        }
    }
    artifacts.keep(&assembled_name(&plan.run));
    artifacts.keep(&derived_name(&plan.run));
    Ok(missing)
}

/// The tasks of a run: parts and history, then what collects them.
fn tasks(plan: &Plan, missing: &[&Cut<'_>], board: &Board, by: &InstanceId) -> Result<Vec<NewTask>, Halt> {
    let run = &plan.run;
    let mut tasks = Vec::new();
    for cut in missing {
        let (files, label) = (count(cut.files.len()), label(cut.files));
        let title = format!("survey {label} ({files} files)");
        let (run, part) = (run.clone(), cut.hash.clone());
        tasks.push(Job::Part { run, part, files, bytes: cut.bytes, label }.task(title, Vec::new(), by)?);
    }
    if let HistoryPlan::Present { head, .. } = &plan.history {
        for skip in pieces(&plan.history) {
            let title = format!("read history from commit {skip} on");
            let (run, head) = (run.clone(), head.clone());
            tasks.push(Job::History { run, head, skip }.task(title, Vec::new(), by)?);
        }
    }
    let mut needs: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
    // Parts added when the run was opened, and done since.
    needs.extend(
        of_run(board, run)
            .filter(|(_, job)| matches!(job, Job::Part { .. } | Job::History { .. }))
            .map(|(task, _)| task.id.clone()),
    );
    let assemble = Job::Assemble { run: run.clone() }.task("assemble the facts".to_owned(), needs, by)?;
    let after = vec![assemble.id.clone()];
    let derive =
        Job::Derive { run: run.clone() }.task("derive hotspots and proposals".to_owned(), after, by)?;
    tasks.extend([assemble, derive]);
    Ok(tasks)
}
