//! Reads history: what there is, and a piece of it.

use std::path::Path;

use super::git::{self, Said};
use super::{Beat, Halt};
use crate::backend::builtin::fact::HistoryPlan;
use crate::backend::builtin::history::{HistoryFacts, LIMIT, MARK, parse};

/// What history there is to read.
///
/// # Errors
/// [`Halt::Interrupted`].
pub(crate) fn plan(workspace: &Path, beat: &mut Beat<'_>) -> Result<HistoryPlan, Halt> {
    let doing = "looking at the history";
    let head = match git::run(workspace, ["rev-parse", "--verify", "HEAD^{commit}"], beat, doing)? {
        Said::Output(head) => String::from_utf8_lossy(&head).trim().to_owned(),
        // In a repository this can only mean that there is no commit.
        Said::Refused(reason) if reason == "git failed" => {
            return Ok(HistoryPlan::Absent("no commits yet".to_owned()));
        }
        Said::Refused(reason) => return Ok(HistoryPlan::Absent(reason)),
    };
    let most = (LIMIT + 1).to_string();
    let args = ["rev-list", "--no-merges", "--count", "-n", &most, &head];
    match git::run(workspace, args, beat, doing)? {
        Said::Output(count) => {
            let found: u64 = String::from_utf8_lossy(&count).trim().parse().unwrap_or_default();
            Ok(HistoryPlan::Present { head, commits: found.min(LIMIT), limited: found > LIMIT })
        }
        Said::Refused(reason) => Ok(HistoryPlan::Absent(reason)),
    }
}

/// Reads `count` commits, newest first from `head`, after passing over `skip`.
///
/// # Errors
/// [`Halt::Interrupted`], [`Halt::Git`].
pub(crate) fn read(
    workspace: &Path,
    head: &str,
    skip: u64,
    count: u64,
    beat: &mut Beat<'_>,
) -> Result<HistoryFacts, Halt> {
    let format = format!("--format=tformat:{MARK}%at %aN");
    let (from, most) = (format!("--skip={skip}"), format!("--max-count={count}"));
    let args = [
        "log",
        "--no-merges",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-show-signature",
        "--no-notes",
        "--no-decorate",
        "--no-color",
        "--use-mailmap",
        "--relative",
        "--name-only",
        "-z",
        &format,
        &from,
        &most,
        head,
        "--",
    ];
    match git::run(workspace, args, beat, &format!("reading history (from commit {skip} on)"))? {
        Said::Output(log) => Ok(parse(&log)),
        Said::Refused(reason) => Err(Halt::Git(reason)),
    }
}
