//! Carries out duties: calls the effects, and says what is to be changed on the board.
//!
//! Nothing here keeps state between calls; board and artifacts are all there is, so any member can go on where another ended.

use serde_json::{Value, json};
use tachi_shared::memory::EntryKind;
use tachi_shared::queue::MessageKind;
use tachi_shared::task::{Board, Change, Task};

use super::digest::Digest;
use super::fact::Listed;
use super::job::{Job, current_run, unvoted, votes};
use super::path::{area, printable};
use super::proposal::{judge, voted};
use super::stage::{Stage, plan_name};
use super::survey::{Assembled, Survey};
use super::{Outcome, Peer, Remember, Say, Site, reply, report, run_record};
use crate::effects::survey::{Beat, Halt, recount};

/// The report for people.
pub(super) const MARKDOWN: &str = "survey.md";
/// The report for machines.
pub(super) const JSON: &str = "survey.json";
/// Who did what.
pub(super) const RUN: &str = "survey-run.json";

/// Hotspots that are remembered.
const REMEMBERED: usize = 3;

/// Carries out one claimed task. `go_on` hears what is being done and is asked at least every 100 ms.
pub fn perform(
    site: &Site,
    me: &Peer,
    task: &Task,
    board: &Board,
    go_on: &mut dyn FnMut(&str) -> bool,
) -> Outcome {
    let Some(job) = Job::of(task) else {
        return Outcome::Failed(format!("the builtin backend cannot do task {}", task.id));
    };
    if job.run().is_some_and(|run| current_run(board).as_deref() != Some(run)) {
        return done(json!({"superseded": true}));
    }
    let mut work = Work { stage: Stage::new(site), me, board, beat: Beat::new(go_on) };
    settle(match &job {
        Job::Part { run, part, label, .. } => work.part(run, part, label),
        Job::History { head, skip, .. } => work.history(head, *skip),
        Job::Assemble { run } => work.assemble(run),
        Job::Derive { run } => work.derive(run),
        Job::Vote { proposal, .. } => match board.proposals.get(proposal) {
            Some(proposal) => work.vote(proposal),
            None => Ok(done(json!({"missing": proposal}))),
        },
        Job::Report { run, round } => work.report(run, *round),
    })
}

/// Answers a question from the facts gathered so far, or says that no model is configured.
#[must_use]
pub fn answer(site: &Site, board: &Board, question: &str) -> String {
    let survey: Option<Survey> = Stage::new(site).artifacts.read(JSON);
    reply::reply(survey.as_ref(), board, question)
}

/// What a halted piece of work comes to.
pub(super) fn settle(result: Result<Outcome, Halt>) -> Outcome {
    match result {
        Ok(outcome) => outcome,
        Err(Halt::Interrupted) => Outcome::Interrupted,
        Err(halt) => Outcome::Failed(halt.to_string()),
    }
}

pub(super) fn done(result: Value) -> Outcome {
    Outcome::Done { result, changes: Vec::new(), say: Vec::new(), remember: Vec::new() }
}

/// What a part is called: the directory its first file lies in.
pub(super) fn label(files: &[Listed]) -> String {
    files.first().map_or(String::new(), |file| match area(&file.path) {
        "." => "./".to_owned(),
        area => format!("{}/", printable(area)),
    })
}

/// One task being carried out.
struct Work<'a> {
    stage: Stage<'a>,
    me: &'a Peer,
    board: &'a Board,
    beat: Beat<'a>,
}

impl Work<'_> {
    fn part(&mut self, run: &str, part: &str, label: &str) -> Result<Outcome, Halt> {
        let (before, total) = reply::progress(self.board, run);
        let told = |done: u64| format!("surveying {label} ({}/{total} files)", before.saturating_add(done));
        let facts = self.stage.part(part, &mut self.beat, &told)?;
        let lines: u64 = facts.files.iter().filter_map(|file| file.lines).sum();
        let bytes: u64 = facts.files.iter().map(|file| file.bytes).sum();
        let (files, skipped) = (facts.files.len(), facts.skipped.len());
        Ok(done(json!({"files": files, "lines": lines, "bytes": bytes, "skipped": skipped})))
    }

    fn history(&mut self, head: &str, skip: u64) -> Result<Outcome, Halt> {
        let facts = self.stage.history(head, skip, &mut self.beat)?;
        Ok(done(json!({"commits": facts.commits, "paths": facts.paths.len()})))
    }

    fn assemble(&mut self, run: &str) -> Result<Outcome, Halt> {
        let Assembled { survey, .. } = self.stage.assembled(run, &mut self.beat)?;
        let totals = survey.totals;
        Ok(done(json!({"files": totals.files, "lines": totals.lines, "bytes": totals.bytes})))
    }

    fn derive(&mut self, run: &str) -> Result<Outcome, Halt> {
        let derived = self.stage.derived(run, &mut self.beat)?;
        let mut changes = Vec::new();
        let mut calls = Vec::new();
        for (id, text, payload) in &derived.proposals {
            let (proposal, text) = (tachi_shared::id::TaskId::new(id)?, text.clone());
            calls.extend(votes(&proposal, &text, &self.me.id)?);
            let (payload, by) = (payload.clone(), self.me.id.clone());
            changes.push(Change::Propose { proposal, text, payload, by });
        }
        // What others put on the board is looked at in the same way.
        for proposal in unvoted(self.board) {
            calls.extend(votes(&proposal.id, &proposal.text, &self.me.id)?);
        }
        let needs = calls.iter().map(|call| call.id.clone()).collect();
        calls.push(report_job(run, 1).task("write the report".to_owned(), needs, &self.me.id)?);
        changes.push(Change::Add(calls));
        let result = json!({"hotspots": derived.hotspots.len(), "proposals": derived.proposals.len()});
        Ok(Outcome::Done { result, changes, say: Vec::new(), remember: Vec::new() })
    }

    fn vote(&mut self, proposal: &tachi_shared::task::board::Proposal) -> Result<Outcome, Halt> {
        let found = recount(self.stage.site, &proposal.payload, &mut self.beat)?;
        let (approve, reason) = judge(&proposal.payload, &found);
        let result = json!({"approve": approve, "reason": reason});
        let (proposal, by) = (proposal.id.clone(), self.me.id.clone());
        let changes = vec![Change::Vote { proposal, approve, reason, by }];
        Ok(Outcome::Done { result, changes, say: Vec::new(), remember: Vec::new() })
    }

    fn report(&mut self, run: &str, round: u32) -> Result<Outcome, Halt> {
        let late = late_report(self.board, run, round, self.me)?;
        if !late.is_empty() {
            return Ok(Outcome::Done {
                result: json!({"deferred": true}),
                changes: vec![Change::Add(late)],
                say: Vec::new(),
                remember: Vec::new(),
            });
        }
        let derived = self.stage.derived(run, &mut self.beat)?;
        let mut survey = self.stage.assembled(run, &mut self.beat)?.survey;
        let checkable = self.board.proposals.values().filter(|known| super::job::is_checkable(known));
        survey.proposals = voted(&derived, checkable);
        survey.hotspots = derived.hotspots;
        survey.dense = derived.dense;
        self.beat.tick(|| "writing the report".to_owned())?;
        let artifacts = &self.stage.artifacts;
        artifacts.write_pretty(RUN, &run_record::record(self.board, run, &self.me.id))?;
        artifacts.write_pretty(JSON, &survey)?;
        artifacts.replace(MARKDOWN, report::markdown(&survey).as_bytes())?;
        artifacts.clear_before(&plan_name(run));
        Ok(finished(&survey))
    }
}

pub(super) fn report_job(run: &str, round: u32) -> Job {
    Job::Report { run: run.to_owned(), round }
}

/// Votes on proposals that came in late, and another report after them; nothing if there are none.
pub(super) fn late_report(
    board: &Board,
    run: &str,
    round: u32,
    me: &Peer,
) -> Result<Vec<tachi_shared::task::change::NewTask>, Halt> {
    let mut calls = Vec::new();
    for proposal in unvoted(board) {
        calls.extend(votes(&proposal.id, &proposal.text, &me.id)?);
    }
    if !calls.is_empty() {
        let needs = calls.iter().map(|call| call.id.clone()).collect();
        calls.push(report_job(run, round + 1).task("write the report again".to_owned(), needs, &me.id)?);
    }
    Ok(calls)
}

/// What the team hears and remembers when the report is there.
fn finished(survey: &Survey) -> Outcome {
    let totals = &survey.totals;
    let text = format!(
        "survey done: {} files, {} lines, {} hotspots, {} proposals; see artifacts/survey.md",
        totals.files,
        totals.lines,
        survey.hotspots.len(),
        survey.proposals.len()
    );
    let remember = survey.hotspots.iter().take(REMEMBERED).map(|spot| {
        let churn = spot.churn.map_or(String::new(), |churn| format!(", changed in {churn} commits"));
        let content = format!("hotspot {}: {} lines{churn}", printable(&spot.path), spot.lines);
        let id = format!("hotspot-{}", Digest::new().bytes(content.as_bytes()).hex());
        Remember { kind: EntryKind::Finding, id, content }
    });
    Outcome::Done {
        result: json!({"files": totals.files, "proposals": survey.proposals.len()}),
        changes: Vec::new(),
        say: vec![Say { kind: MessageKind::Finding, text }],
        remember: remember.collect(),
    }
}
