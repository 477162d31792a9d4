//! A task that fails for good does not keep the survey from its end; the report says what is missing and why.

use tachi_shared::id::TaskId;
use tachi_shared::task::TaskStatus;

use crate::fleet::{Fleet, surveyed};
use crate::tree::{repository, write};

/// A team whose tree is listed and on the board, nothing else.
fn opened(tree: &std::path::Path, state: &std::path::Path) -> Fleet {
    let mut team = Fleet::new(tree, state, 4, 3, 0);
    while team.tasks("assemble").is_empty() {
        team.some_turns(1);
    }
    team
}

fn first(team: &Fleet, kind: &str) -> TaskId {
    let open = |task: &&&tachi_shared::task::Task| task.status == TaskStatus::Open;
    team.tasks(kind).iter().find(open).unwrap().id.clone()
}

#[test]
fn m04_a_part_that_cannot_be_read_is_named_in_the_report_and_tried_again_at_the_next_start() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_whole_state, whole) = surveyed(tree.path(), 1, 1, 0);
    let state = tempfile::tempdir().unwrap();
    let mut team = opened(tree.path(), state.path());
    let part = first(&team, "part");
    let files = team.board.tasks[&part].payload["files"].as_u64().unwrap();
    team.lose(&part, "cannot read: the disk is broken");
    team.run_to_rest();
    let survey = team.json();
    assert_eq!(survey["totals"]["files"], whole.json()["totals"]["files"], "its files are counted");
    assert!(survey["totals"]["lines"].as_u64() < whole.json()["totals"]["lines"].as_u64());
    let skipped = survey["skipped"].as_array().unwrap();
    let named = |entry: &&serde_json::Value| {
        entry["reason"] == "its part could not be read: cannot read: the disk is broken"
    };
    assert_eq!(u64::try_from(skipped.iter().filter(named).count()).unwrap(), files);
    let report = String::from_utf8(team.bytes("survey.md")).unwrap();
    assert!(report.contains("the disk is broken"), "{report}");

    team.restart();
    team.run_to_rest();
    assert_eq!(team.bytes("survey.json"), whole.bytes("survey.json"), "the next start reads it");
    team.restart();
    let tasks = team.board.tasks.len();
    team.run_to_rest();
    assert_eq!(team.board.tasks.len(), tasks, "and then there is nothing to do");
}

#[test]
fn m04_a_history_that_cannot_be_read_leaves_a_survey_without_it() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let state = tempfile::tempdir().unwrap();
    let mut team = opened(tree.path(), state.path());
    let history = first(&team, "history");
    team.lose(&history, "cannot read the history: git failed");
    team.run_to_rest();
    let survey = team.json();
    assert_eq!(survey["history"]["present"], false);
    let reason = survey["history"]["reason"].as_str().unwrap();
    assert!(reason.contains("git failed"), "{reason}");
}

#[test]
fn m04_a_report_does_not_wait_for_a_vote_nobody_can_cast() {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), "long.rs", "fn x() {} // TODO\n".repeat(900));
    let state = tempfile::tempdir().unwrap();
    let mut team = opened(tree.path(), state.path());
    while team.tasks("vote").is_empty() {
        team.some_turns(1);
    }
    let vote = first(&team, "vote");
    team.lose(&vote, "no look at the tree");
    team.run_to_rest();
    assert_eq!(team.json()["totals"]["files"], 1);
    let reports = team.tasks("report");
    assert!(reports.iter().any(|task| task.status == TaskStatus::Done));
}
