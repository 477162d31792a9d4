//! Proposals are counted again by those who vote.

use serde_json::json;
use tachi_shared::id::{InstanceId, TaskId};
use tachi_shared::task::Change;
use tachi_worker::backend::builtin::answer;

use crate::fleet::{Fleet, surveyed};
use crate::tree::repository;

fn plant(team: &mut Fleet, id: &str, payload: serde_json::Value) {
    let proposal = TaskId::new(id).unwrap();
    let (text, by) = (format!("planted {id}"), InstanceId::new("instance_1").unwrap());
    team.change(&Change::Propose { proposal, text, payload, by });
}

fn outcome(team: &Fleet, id: &str) -> String {
    let survey = team.json();
    let found = survey["proposals"].as_array().unwrap().iter().find(|proposal| proposal["id"] == id).cloned();
    found.unwrap_or_else(|| panic!("{id} is not in the report"))["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn m07b_planted_wrong_proposals_are_voted_down_whenever_they_come() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("outside"), "one line\n").unwrap();
    let outside = format!("../{}/outside", state.path().file_name().unwrap().to_str().unwrap());
    for count in [1, 2, 4] {
        let state = state.path().join(count.to_string());
        let mut team = Fleet::new(tree.path(), &state, count, 17, 0);
        plant(&mut team, "early", json!({"kind": "hotspot", "path": "README.md", "lines": 999_999}));
        plant(&mut team, "escape", json!({"kind": "hotspot", "path": outside, "lines": 1}));
        plant(&mut team, "true", json!({"kind": "hotspot", "path": "README.md", "lines": 1, "churn": 1}));
        plant(&mut team, &"l".repeat(64), json!({"kind": "hotspot", "path": "README.md", "churn": 7}));
        plant(&mut team, "someone-elses", json!({"kind": "lunch"}));
        team.run();
        plant(&mut team, "late", json!({"kind": "markers", "path": "src/module_0/hot.rs", "markers": 3}));
        team.run();
        for (id, expected) in
            [("early", "rejected"), ("escape", "rejected"), ("true", "accepted"), ("late", "rejected")]
        {
            assert_eq!(outcome(&team, id), expected, "{id} with N={count}");
        }
        assert_eq!(outcome(&team, &"l".repeat(64)), "rejected");
        let survey = team.json();
        assert!(survey["proposals"].as_array().unwrap().iter().all(|p| p["id"] != "someone-elses"));
        let derived: Vec<_> = survey["proposals"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p["id"].as_str().unwrap().starts_with("p-"))
            .collect();
        assert!(derived.len() >= 3 && derived.iter().all(|p| p["outcome"] == "accepted"), "{derived:#?}");
        let report = String::from_utf8(team.bytes("survey.md")).unwrap();
        assert!(report.contains("- **rejected**: planted late"), "{report}");
    }
}

#[test]
fn m07b_nobody_votes_on_its_own_proposal_while_others_live() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, team) = surveyed(tree.path(), 4, 23, 0);
    for proposal in team.board.proposals.values() {
        assert_eq!(proposal.votes.len(), 2, "two different voters");
        assert!(!proposal.votes.contains_key(proposal.by.as_str()));
        assert!(proposal.votes.values().all(|vote| vote.reason.starts_with("counted again")));
    }
}

#[test]
fn the_team_says_and_remembers_little() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, team) = surveyed(tree.path(), 4, 29, 0);
    assert_eq!(team.said.len(), 2, "{:?}", team.said);
    assert_eq!(team.remembered.len(), 3);
    assert!(team.remembered[0].content.contains("src/module_0/hot.rs"));
}

#[test]
fn builtin_answers_from_its_facts_or_says_that_no_model_is_configured() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let state = tempfile::tempdir().unwrap();
    let mut team = Fleet::new(tree.path(), state.path(), 4, 31, 0);
    let ask = |team: &Fleet, question: &str| answer(&team.site, &team.board, question);
    assert!(ask(&team, "how many files?").contains("there is no survey yet"));
    team.some_turns(20);
    assert!(ask(&team, "what is the progress?").starts_with("surveying: "));
    team.run();
    let files = team.json()["totals"]["files"].to_string();
    for (question, expected) in [
        ("how many files are there?", files.as_str()),
        ("What is the largest file?", "src/module_0/hot.rs"),
        ("any TODOs?", "TODO"),
        ("who knows src?", "Bob"),
        ("which languages", "Rust"),
        ("hotspots please", "src/module_0/hot.rs"),
        ("is it tested?", "tests"),
        ("how far are you?", "the survey is done"),
        ("what is the meaning of life?", "no model is configured"),
        ("", "no model is configured"),
    ] {
        let answer = ask(&team, question);
        assert!(answer.contains(expected), "{question}: {answer}");
    }
}

#[test]
fn a_proposal_that_comes_just_before_the_report_is_voted_on_first() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let state = tempfile::tempdir().unwrap();
    let mut team = Fleet::new(tree.path(), state.path(), 4, 37, 0);
    while team.tasks("report").is_empty() {
        team.some_turns(1);
    }
    plant(&mut team, "late", json!({"kind": "hotspot", "path": "README.md", "lines": 2}));
    team.run();
    assert_eq!(outcome(&team, "late"), "rejected");
    let reports: Vec<bool> =
        team.tasks("report").iter().map(|task| task.result["deferred"] == true).collect();
    assert_eq!(reports, [true, false], "no report with a proposal nobody looked at");
}
