//! Trees that are no trouble to survey, however they try.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::fleet::{Fleet, surveyed};
use crate::tree::{git, repository, write};

fn names() -> [&'static OsStr; 9] {
    [
        OsStr::new("with space.rs"),
        OsStr::new("new\nline.rs"),
        OsStr::from_bytes(b"latin-\xe9\xff.rs"),
        OsStr::new("-rf"),
        OsStr::new("\u{1f980}.rs"),
        OsStr::new("back\\slash.rs"),
        OsStr::new(":(glob)*.rs"),
        OsStr::new("a|b`c.rs"),
        OsStr::new("\u{1b}[31mred.rs"),
    ]
}

fn hostile(dir: &Path) {
    for name in names() {
        write(dir, name, "fn a() {}\n// TODO: b\n".repeat(50));
        write(dir, Path::new("deep").join(name), "one line\n");
    }
    write(dir, "empty.rs", "");
    write(dir, "no_newline.rs", "last TODO");
    write(dir, "crlf.rs", "a\r\nTODO\r\n");
    write(dir, "binary.bin", b"TODO\n\0TODO\n");
    write(dir, "late_nul.txt", [b"TODO\n".repeat(3_000), vec![0], b"TODO\n".to_vec()].concat());
    write(dir, "huge_line.js", "x".repeat(3_000_000));
    symlink("..", dir.join("loop")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    symlink("/etc", dir.join("outside")).unwrap();
}

fn skipped<'a>(survey: &'a Value, path: &str) -> &'a str {
    let entry = survey["skipped"].as_array().unwrap().iter().find(|entry| entry["path"] == path);
    entry.unwrap_or_else(|| panic!("{path} is not among {}", survey["skipped"]))["reason"].as_str().unwrap()
}

#[test]
fn hostile_names_and_contents_are_counted_and_named_never_fatal() {
    let tree = tempfile::tempdir().unwrap();
    git(tree.path(), 0, &["init", "-q"]);
    hostile(tree.path());
    git(tree.path(), 1, &["add", "."]);
    git(tree.path(), 1, &["commit", "-qm", "all"]);
    std::fs::remove_file(tree.path().join("crlf.rs")).unwrap();
    let (_one, alone) = surveyed(tree.path(), 1, 3, 0);
    let (_four, team) = surveyed(tree.path(), 4, 3, 3);
    assert_eq!(alone.bytes("survey.json"), team.bytes("survey.json"));
    let survey = alone.json();
    assert_eq!(survey["totals"]["files"], 9 * 2 + 5);
    assert_eq!(survey["totals"]["lines"], 9 * 101 + 3_001);
    assert_eq!(survey["totals"]["binary_files"], 1);
    assert_eq!(survey["marker_lines"][2]["lines"], 9 * 50 + 1 + 3_001);
    for (path, reason) in [
        ("loop", "symbolic link"),
        ("dangling", "symbolic link"),
        ("outside", "symbolic link"),
        ("crlf.rs", "vanished"),
    ] {
        assert_eq!(skipped(&survey, path), reason);
    }
    assert!(survey["hotspots"].as_array().unwrap().iter().any(|spot| spot["path"] == "latin-\\xe9\\xff.rs"));
    let proposals = survey["proposals"].as_array().unwrap();
    assert!(proposals.len() >= 4 && proposals.iter().all(|p| p["outcome"] == "accepted"), "{proposals:#?}");
    let report = String::from_utf8(alone.bytes("survey.md")).unwrap();
    assert!(!report.contains('\u{1b}'), "a report never speaks to the terminal");
    assert_eq!(report.lines().filter(|line| line.starts_with('#')).count(), 12);
}

#[test]
fn without_git_the_tree_is_walked_and_the_report_says_so() {
    let tree = tempfile::tempdir().unwrap();
    hostile(tree.path());
    write(tree.path(), ".hidden/file.rs", "x\n");
    write(tree.path(), ".gitignore", "out/\n");
    write(tree.path(), "out/made.rs", "x\n");
    let state = tree.path().join("state");
    write(&state, "messages/1.jsonl", "TODO\n");
    let mut team = Fleet::new(tree.path(), &state, 3, 5, 0);
    team.run();
    let survey = team.json();
    assert_eq!(survey["totals"]["files"], 9 * 2 + 6 + 2);
    assert_eq!(survey["history"]["present"], false);
    assert_eq!(survey["hotspots"][0]["churn"], Value::Null);
    assert_eq!(skipped(&survey, "loop"), "symbolic link");
    let report = String::from_utf8(team.bytes("survey.md")).unwrap();
    assert!(report.contains("No history: not a git repository."), "{report}");
}

#[test]
fn an_empty_tree_and_a_repository_without_commits_are_surveyed() {
    let tree = tempfile::tempdir().unwrap();
    let (_state, team) = surveyed(tree.path(), 4, 3, 0);
    assert_eq!(team.json()["totals"]["files"], 0);
    git(tree.path(), 0, &["init", "-q"]);
    write(tree.path(), "a.rs", "");
    write(tree.path(), "b.rs", "");
    let (_state, team) = surveyed(tree.path(), 4, 3, 0);
    assert_eq!(team.json()["totals"]["files"], 2);
    assert_eq!(team.json()["history"]["reason"], "no commits yet");
}

#[test]
fn files_that_vanish_or_turn_into_pipes_meanwhile_are_named() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let state = tempfile::tempdir().unwrap();
    let mut team = Fleet::new(tree.path(), state.path(), 1, 3, 0);
    team.some_turns(1);
    std::fs::remove_file(tree.path().join("lib/warm.py")).unwrap();
    std::fs::remove_file(tree.path().join("src/module_0/hot.rs")).unwrap();
    symlink("/etc/passwd", tree.path().join("src/module_0/hot.rs")).unwrap();
    std::fs::remove_file(tree.path().join("README.md")).unwrap();
    assert!(
        std::process::Command::new("mkfifo").arg(tree.path().join("README.md")).status().unwrap().success()
    );
    team.run();
    let survey = team.json();
    assert_eq!(skipped(&survey, "lib/warm.py"), "vanished");
    assert_eq!(skipped(&survey, "src/module_0/hot.rs"), "symbolic link");
    assert_eq!(skipped(&survey, "README.md"), "not a regular file any more");
}

#[test]
fn a_workspace_that_is_no_directory_fails_with_a_reason() {
    let state = tempfile::tempdir().unwrap();
    let team = Fleet::new(&state.path().join("missing"), state.path(), 1, 3, 0);
    let outcome =
        tachi_worker::backend::builtin::survey(&team.site, &team.peers[0], &team.board, &mut |_| true);
    match outcome {
        tachi_worker::backend::builtin::Outcome::Failed(reason) => {
            assert!(reason.contains("cannot read the workspace"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
