//! The stages of a run, each made from the one before: part → assembled → derived → report.
//!
//! Every stage is a file that follows from the tree. A stage that finds the one before missing or damaged (deleted by hand,
//! lost with the power) makes it itself, so no task can be stuck on a file.

use super::Site;
use super::assemble::assemble;
use super::fact::{HistoryPlan, PartFacts, PartList, Plan, SCHEMA};
use super::history::{CHUNK, HistoryFacts};
use super::hotspot::{dense, hotspots};
use super::proposal::derive;
use super::survey::{Assembled, Derived};
use crate::effects::survey::{Artifacts, Beat, Halt, Scanner, read_history};

/// The plan of a run.
pub(super) fn plan_name(run: &str) -> String {
    format!("survey/plan-{run}.json")
}

/// The list of a part's files.
pub(super) fn list_name(part: &str) -> String {
    format!("survey/lists/{part}.json")
}

/// The facts about a part's files.
pub(super) fn part_name(part: &str) -> String {
    format!("survey/parts/{part}.json")
}

/// A piece of history.
pub(super) fn history_name(head: &str, skip: u64) -> String {
    format!("survey/history/{head}-{skip}.json")
}

/// The assembled survey.
pub(super) fn assembled_name(run: &str) -> String {
    format!("survey/assembled-{run}.json")
}

/// What was derived.
pub(super) fn derived_name(run: &str) -> String {
    format!("survey/derived-{run}.json")
}

/// A run being worked on.
pub(super) struct Stage<'a> {
    pub(super) site: &'a Site,
    pub(super) artifacts: Artifacts,
}

impl<'a> Stage<'a> {
    pub(super) fn new(site: &'a Site) -> Self {
        Self { site, artifacts: Artifacts::new(&site.artifacts) }
    }

    /// Facts of one part; `told` says what to tell about so many files done.
    pub(super) fn part(
        &self,
        part: &str,
        beat: &mut Beat<'_>,
        told: &dyn Fn(u64) -> String,
    ) -> Result<PartFacts, Halt> {
        let name = part_name(part);
        if let Some(facts) = self.artifacts.read::<PartFacts>(&name)
            && facts.part == part
            && facts.schema == SCHEMA
        {
            return Ok(facts);
        }
        let list: PartList = self.artifacts.need(&list_name(part))?;
        let mut scanner = Scanner::new(&self.site.workspace)?;
        let mut facts =
            PartFacts { schema: SCHEMA, part: part.to_owned(), files: Vec::new(), skipped: Vec::new() };
        for (done, listed) in (0_u64..).zip(&list.files) {
            let (fact, skipped) = scanner.scan(listed, beat, &|| told(done))?;
            facts.files.extend(fact);
            facts.skipped.extend(skipped);
        }
        self.artifacts.write(&name, &facts)?;
        Ok(facts)
    }

    /// One piece of history.
    pub(super) fn history(&self, head: &str, skip: u64, beat: &mut Beat<'_>) -> Result<HistoryFacts, Halt> {
        let name = history_name(head, skip);
        if let Some(facts) = self.artifacts.read::<HistoryFacts>(&name)
            && facts.schema == SCHEMA
        {
            return Ok(facts);
        }
        let facts = read_history(&self.site.workspace, head, skip, CHUNK, beat)?;
        self.artifacts.write(&name, &facts)?;
        Ok(facts)
    }

    /// All facts of a run put together.
    pub(super) fn assembled(&self, run: &str, beat: &mut Beat<'_>) -> Result<Assembled, Halt> {
        let name = assembled_name(run);
        if let Some(assembled) = self.artifacts.read(&name) {
            return Ok(assembled);
        }
        let plan: Plan = self.artifacts.need(&plan_name(run))?;
        let total = plan.parts.len();
        let mut parts = Vec::with_capacity(total);
        for (at, part) in plan.parts.iter().enumerate() {
            let told = |_| format!("assembling ({at}/{total} parts)");
            beat.tick(|| told(0))?;
            parts.push(match plan.lost.iter().find(|lost| lost.part == part.hash) {
                Some(lost) => lost.facts(),
                None => self.part(&part.hash, beat, &told)?,
            });
        }
        let history = self.whole_history(&plan.history, beat)?;
        beat.tick(|| "assembling".to_owned())?;
        let assembled = assemble(&plan, &parts, history.as_ref());
        self.artifacts.write(&name, &assembled)?;
        Ok(assembled)
    }

    fn whole_history(&self, plan: &HistoryPlan, beat: &mut Beat<'_>) -> Result<Option<HistoryFacts>, Halt> {
        let HistoryPlan::Present { head, .. } = plan else { return Ok(None) };
        let mut whole = HistoryFacts { schema: SCHEMA, ..HistoryFacts::default() };
        for skip in pieces(plan) {
            beat.tick(|| "assembling (history)".to_owned())?;
            whole.join(&self.history(head, skip, beat)?);
        }
        Ok(Some(whole))
    }

    /// Hotspots and proposals of a run.
    pub(super) fn derived(&self, run: &str, beat: &mut Beat<'_>) -> Result<Derived, Halt> {
        let name = derived_name(run);
        if let Some(derived) = self.artifacts.read(&name) {
            return Ok(derived);
        }
        let assembled = self.assembled(run, beat)?;
        beat.tick(|| "deriving hotspots".to_owned())?;
        let derived = derive(hotspots(&assembled.candidates), dense(&assembled.candidates));
        self.artifacts.write(&name, &derived)?;
        Ok(derived)
    }
}

/// The pieces a history is read in: how many commits each passes over.
pub(super) fn pieces(plan: &HistoryPlan) -> Vec<u64> {
    let HistoryPlan::Present { commits, .. } = plan else { return Vec::new() };
    (0..commits.div_ceil(CHUNK)).map(|piece| piece * CHUNK).collect()
}
