//! The report depends on the tree alone, and a second run reads only what changed.

use std::collections::BTreeMap;

use crate::fleet::{Fleet, surveyed};
use crate::tree::{git, repository, write};

#[test]
fn m05_the_survey_is_byte_equal_for_any_team_with_and_without_deaths() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, alone) = surveyed(tree.path(), 1, 1, 0);
    assert!(alone.json()["totals"]["files"].as_u64().unwrap() > 240);
    for (count, seed, deaths) in [(1, 2, 3), (2, 3, 0), (3, 4, 4), (4, 5, 0), (4, 7, 2), (16, 9, 3)] {
        let (_state, team) = surveyed(tree.path(), count, seed, deaths);
        for name in ["survey.json", "survey.md"] {
            assert!(
                alone.bytes(name) == team.bytes(name),
                "{name} differs for N={count} seed={seed} deaths={deaths}"
            );
        }
        assert!(team.artifact("survey-run.json").exists());
    }
}

#[test]
fn m07b_four_members_share_the_bytes() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    for seed in 1..4 {
        let (_state, team) = surveyed(tree.path(), 4, seed, 0);
        let mut shares: BTreeMap<String, u64> = BTreeMap::new();
        for task in team.tasks("part") {
            let by = task.finished_by.as_ref().unwrap().to_string();
            *shares.entry(by).or_default() += task.payload["bytes"].as_u64().unwrap();
        }
        let total: u64 = shares.values().sum();
        assert!(shares.len() >= 3, "seed {seed}: {shares:?}");
        assert!(shares.values().all(|bytes| bytes * 100 <= total * 60), "seed {seed}: {shares:?}");
        let did = |kind: &str| team.tasks(kind)[0].finished_by.as_ref().unwrap().to_string();
        assert_eq!(
            (did("assemble"), did("derive"), did("report")),
            ("instance_2".into(), "instance_3".into(), "instance_2".into())
        );
    }
}

#[test]
fn m04_a_second_run_reads_only_what_changed() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, mut team) = surveyed(tree.path(), 4, 1, 0);
    let first = team.tasks("part").len();
    assert!(first >= 16, "only {first} parts");
    let report = team.bytes("survey.md");
    let tasks = team.board.tasks.len();

    team.restart();
    team.run();
    assert_eq!(team.board.tasks.len(), tasks, "nothing changed, so nothing is to be done");

    write(tree.path(), "src/module_1/new.rs", "fn new() {}\n// TODO: more\n");
    team.restart();
    team.run();
    let second = team.tasks("part").len() - first;
    assert!((1..=3).contains(&second), "{second} parts were read for one new file");
    assert_ne!(report, team.bytes("survey.md"));
    let (_other, fresh) = surveyed(tree.path(), 1, 1, 0);
    assert_eq!(fresh.bytes("survey.json"), team.bytes("survey.json"));

    std::fs::remove_file(tree.path().join("src/module_1/new.rs")).unwrap();
    team.restart();
    team.run();
    assert_eq!(report, team.bytes("survey.md"), "the tree of the first run gives its report again");
}

#[test]
fn m04_artifacts_deleted_by_hand_are_made_again() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, mut team) = surveyed(tree.path(), 3, 1, 0);
    let report = team.bytes("survey.json");
    std::fs::remove_dir_all(&team.site.artifacts).unwrap();
    team.restart();
    team.run();
    assert_eq!(report, team.bytes("survey.json"));

    for entry in std::fs::read_dir(team.artifact("survey/parts")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"{\"torn").unwrap();
    }
    std::fs::remove_file(team.artifact("survey.md")).unwrap();
    let assembled = std::fs::read_dir(team.artifact("survey")).unwrap().map(|entry| entry.unwrap().path());
    assembled.filter(|path| path.is_file()).for_each(|path| std::fs::remove_file(path).unwrap());
    team.restart();
    team.run();
    assert_eq!(report, team.bytes("survey.json"), "damaged parts are read again");
}

#[test]
fn a_tree_that_changes_while_it_is_surveyed_ends_with_the_newer_state() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let state = tempfile::tempdir().unwrap();
    let mut team = Fleet::new(tree.path(), state.path(), 4, 11, 0);
    team.some_turns(30);
    write(tree.path(), "src/late.rs", "// FIXME\n");
    git(tree.path(), 20, &["add", "."]);
    git(tree.path(), 20, &["commit", "-qm", "late"]);
    team.restart();
    team.run();
    let (_other, fresh) = surveyed(tree.path(), 1, 1, 0);
    assert_eq!(fresh.bytes("survey.json"), team.bytes("survey.json"));
    assert!(team.tasks("report").len() == 1, "the run that was overtaken writes no report");
}

#[test]
fn leftovers_of_earlier_runs_are_cleared() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, mut team) = surveyed(tree.path(), 2, 1, 0);
    for round in 0..3 {
        write(tree.path(), "src/module_0/hot.rs", format!("// round {round}\n"));
        team.restart();
        team.run();
    }
    let files = |folder: &str| std::fs::read_dir(team.artifact(folder)).unwrap().count();
    let plan: serde_json::Value = std::fs::read_dir(team.artifact("survey"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("plan-"))
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .last()
        .unwrap();
    let parts = plan["parts"].as_array().unwrap().len();
    assert!(files("survey/parts") <= parts + 1, "{} files for {parts} parts", files("survey/parts"));
}
