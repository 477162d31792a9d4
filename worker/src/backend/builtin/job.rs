//! Tasks of the survey as they stand on the board: payloads, ids, the current run — pure.
//!
//! A *run* is one pass over one state of the tree: `<ordinal>-<fingerprint>`. The run with the highest ordinal is the
//! current one; tasks of earlier runs end without doing anything. Ids follow from content, so adding them twice is harmless.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tachi_shared::id::{InstanceId, NAME_MAX, TaskId};
use tachi_shared::task::board::Proposal;
use tachi_shared::task::change::NewTask;
use tachi_shared::task::{Board, Task, TaskStatus};

use super::digest::Digest;

/// How many look at each proposal.
pub(crate) const VOTES: u32 = 2;

/// What a task of the survey asks for; its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Job {
    /// Read the files of one part.
    Part {
        /// Run.
        run: String,
        /// Which part.
        part: String,
        /// How many files.
        files: u64,
        /// How many bytes.
        bytes: u64,
        /// What people call it.
        label: String,
    },
    /// Read some commits.
    History {
        /// Run.
        run: String,
        /// Newest commit.
        head: String,
        /// Commits to pass over first.
        skip: u64,
    },
    /// Put the facts together.
    Assemble {
        /// Run.
        run: String,
    },
    /// Find hotspots, propose follow-ups.
    Derive {
        /// Run.
        run: String,
    },
    /// Re-derive a proposal's figure from the tree, then vote.
    Vote {
        /// Which proposal.
        proposal: TaskId,
        /// Which of its votes, from 1.
        nth: u32,
    },
    /// Write the report.
    Report {
        /// Run.
        run: String,
        /// From 1; more when proposals came in late.
        round: u32,
    },
}

impl Job {
    /// What the task asks for, if it is one of ours.
    pub(crate) fn of(task: &Task) -> Option<Self> {
        Self::deserialize(&task.payload).ok()
    }

    /// The run it belongs to; votes belong to none.
    pub(crate) fn run(&self) -> Option<&str> {
        match self {
            Self::Part { run, .. }
            | Self::History { run, .. }
            | Self::Assemble { run }
            | Self::Derive { run }
            | Self::Report { run, .. } => Some(run),
            Self::Vote { .. } => None,
        }
    }

    /// The role whose own duty it is; none = everybody's.
    pub(crate) fn role(&self) -> Option<&'static str> {
        match self {
            Self::Part { .. } | Self::History { .. } => Some("explorer"),
            Self::Assemble { .. } | Self::Report { .. } => Some("builder"),
            Self::Derive { .. } => Some("reflector"),
            Self::Vote { .. } => None,
        }
    }

    /// Id of its task.
    ///
    /// # Errors
    /// A name that cannot be one.
    pub(crate) fn id(&self) -> tachi_shared::error::Result<TaskId> {
        TaskId::new(&match self {
            Self::Part { run, part, .. } => format!("part-{run}-{part}"),
            Self::History { run, skip, .. } => format!("history-{run}-{skip}"),
            Self::Assemble { run } => format!("assemble-{run}"),
            Self::Derive { run } => format!("derive-{run}"),
            Self::Vote { proposal, nth } => return vote_id(proposal, *nth),
            Self::Report { run, round } => format!("report-{run}-{round}"),
        })
    }

    /// The task to add.
    ///
    /// # Errors
    /// A name that cannot be one.
    pub(crate) fn task(
        &self,
        title: String,
        needs: Vec<TaskId>,
        by: &InstanceId,
    ) -> tachi_shared::error::Result<NewTask> {
        let payload = serde_json::to_value(self).unwrap_or(Value::Null);
        Ok(NewTask { id: self.id()?, title, needs, payload, by: by.to_string() })
    }
}

/// Id of a vote; proposals with long names get a short one.
fn vote_id(proposal: &TaskId, nth: u32) -> tachi_shared::error::Result<TaskId> {
    let whole = format!("vote-{proposal}-{nth}");
    if whole.len() <= NAME_MAX {
        return TaskId::new(&whole);
    }
    TaskId::new(&format!("vote-{}-{nth}", Digest::new().bytes(proposal.as_str().as_bytes()).hex()))
}

/// Name of a run.
pub(crate) fn run_name(ordinal: u64, fingerprint: &str) -> String {
    format!("{ordinal}-{fingerprint}")
}

fn order(run: &str) -> (u64, &str) {
    match run.split_once('-') {
        Some((ordinal, _)) => (ordinal.parse().unwrap_or_default(), run),
        None => (0, run),
    }
}

/// Ordinal and fingerprint of a run.
pub(crate) fn parse_run(run: &str) -> (u64, &str) {
    (order(run).0, run.split_once('-').map_or("", |(_, fingerprint)| fingerprint))
}

/// The tasks of one run.
pub(crate) fn of_run<'a>(board: &'a Board, run: &'a str) -> impl Iterator<Item = (&'a Task, Job)> {
    board
        .tasks
        .values()
        .filter(move |task| task.payload.get("run").and_then(Value::as_str) == Some(run))
        .filter_map(|task| Job::of(task).map(|job| (task, job)))
}

/// The current run. Every run has one task that collects its parts, which is looked up by its id: a board of thousands of
/// tasks is not read through.
pub(crate) fn current_run(board: &Board) -> Option<String> {
    let first = TaskId::new("assemble-").ok()?;
    board
        .tasks
        .range(first..)
        .map_while(|(id, _)| id.as_str().strip_prefix("assemble-"))
        .max_by_key(|run| order(run))
        .map(str::to_owned)
}

/// Whether a proposal rests on a figure that a voter can find in the tree.
pub(crate) fn is_checkable(proposal: &Proposal) -> bool {
    let word = |key| proposal.payload.get(key).and_then(Value::as_str);
    matches!(word("kind"), Some("hotspot" | "markers")) && word("path").is_some()
}

/// Checkable proposals for which no vote was called, in order of their ids.
pub(crate) fn unvoted(board: &Board) -> impl Iterator<Item = &Proposal> {
    board.proposals.values().filter(|proposal| {
        is_checkable(proposal) && vote_id(&proposal.id, 1).is_ok_and(|id| !board.tasks.contains_key(&id))
    })
}

/// The votes to call for one proposal.
///
/// # Errors
/// A name that cannot be one.
pub(crate) fn votes(
    proposal: &TaskId,
    text: &str,
    by: &InstanceId,
) -> tachi_shared::error::Result<Vec<NewTask>> {
    (1..=VOTES)
        .map(|nth| {
            let job = Job::Vote { proposal: proposal.clone(), nth };
            job.task(format!("check and vote {nth}/{VOTES}: {text}"), Vec::new(), by)
        })
        .collect()
}

/// Reports of a run: the number of the last round, and whether it is done.
pub(crate) fn last_report(board: &Board, run: &str) -> Option<(u32, TaskStatus)> {
    (1..)
        .map_while(|round| {
            let id = Job::Report { run: run.to_owned(), round }.id().ok()?;
            board.tasks.get(&id).map(|task| (round, task.status))
        })
        .last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_its_kind_and_comes_back() {
        let job =
            Job::Part { run: "1-ab".into(), part: "cd".into(), files: 3, bytes: 9, label: "src".into() };
        let value = serde_json::to_value(&job).unwrap();
        assert_eq!(value["kind"], "part");
        assert_eq!(value["files"], 3);
        assert_eq!(serde_json::from_value::<Job>(value).unwrap(), job);
    }

    #[test]
    fn runs_are_ordered_by_number_not_by_text() {
        assert!(order("10-aa") > order("9-ff"));
        assert_eq!(parse_run("12-abc"), (12, "abc"));
    }

    #[test]
    fn ids_fit_whatever_the_proposal_is_called() {
        let long = TaskId::new(&"p".repeat(64)).unwrap();
        let ids: Vec<TaskId> =
            votes(&long, "x", &InstanceId::new("a").unwrap()).unwrap().into_iter().map(|t| t.id).collect();
        assert_eq!(ids.len(), 2);
        assert_ne!(ids[0], ids[1]);
        let part = Job::Part {
            run: run_name(u64::MAX, &"f".repeat(16)),
            part: "f".repeat(16),
            files: 0,
            bytes: 0,
            label: String::new(),
        };
        assert!(part.id().is_ok());
    }
}
