//! Counts agree with tools that know nothing of us.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::fleet::{Fleet, surveyed};
use crate::tree::{git, output, repository, write};

/// Paths as git lists them, regular files only.
fn listed(tree: &Path) -> Vec<String> {
    let args = ["ls-files", "-z", "-co", "--exclude-standard", "--deduplicate"];
    String::from_utf8(output(tree, "git", args))
        .unwrap()
        .split('\0')
        .filter(|name| {
            !name.is_empty() && tree.join(name).symlink_metadata().is_ok_and(|found| found.is_file())
        })
        .map(str::to_owned)
        .collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn check_counts(tree: &Path, survey: &Value) {
    let files = listed(tree);
    assert_eq!(number(&survey["totals"]["files"]), files.len() as u64);
    let binary = |name: &String| {
        let bytes = std::fs::read(tree.join(name)).unwrap();
        bytes[..bytes.len().min(8192)].contains(&0)
    };
    let text: Vec<&String> = files.iter().filter(|name| !binary(name)).collect();
    let mut lines = 0;
    let mut marked: BTreeMap<String, u64> = BTreeMap::new();
    for name in &text {
        let counted = String::from_utf8(output(tree, "wc", ["-l", "--", name])).unwrap();
        lines += counted.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    }
    for word in ["TODO", "FIXME", "HACK", "XXX"] {
        let args = ["-nwaH", "-e", word, "--"].map(str::to_owned);
        let found = output(tree, "grep", args.into_iter().chain(text.iter().map(|name| (*name).clone())));
        marked.insert(word.to_owned(), found.iter().filter(|byte| **byte == b'\n').count() as u64);
    }
    assert_eq!(number(&survey["totals"]["lines"]), lines, "wc -l");
    let bytes: u64 = files.iter().map(|name| tree.join(name).metadata().unwrap().len()).sum();
    assert_eq!(number(&survey["totals"]["bytes"]), bytes);
    let ours: BTreeMap<String, u64> = survey["marker_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| (count["kind"].as_str().unwrap().to_owned(), number(&count["lines"])))
        .collect();
    assert_eq!(ours, marked, "grep -w");
    for marker in survey["markers"].as_array().unwrap() {
        let content = std::fs::read(tree.join(marker["path"].as_str().unwrap())).unwrap();
        let line = content.split(|byte| *byte == b'\n').nth(number(&marker["line"]) as usize - 1).unwrap();
        let line = String::from_utf8_lossy(line);
        assert!(line.contains(marker["kind"].as_str().unwrap()), "{marker}");
        let text = marker["text"].as_str().unwrap();
        assert!(text.chars().count() <= 200 && line.contains(text), "{marker}");
    }
    for (list, total) in [("files", "files"), ("lines", "lines"), ("bytes", "bytes")] {
        let sum: u64 = survey["languages"].as_array().unwrap().iter().map(|row| number(&row[list])).sum();
        assert_eq!(sum, number(&survey["totals"][total]), "languages add up: {list}");
    }
}

#[test]
fn m05_counts_agree_with_git_wc_and_grep() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let (_state, team) = surveyed(tree.path(), 4, 3, 0);
    let survey = team.json();
    check_counts(tree.path(), &survey);
    assert!(number(&survey["marker_lines"][0]["lines"]) > 0);
    for spot in survey["hotspots"].as_array().unwrap() {
        let path = spot["path"].as_str().unwrap();
        let log = output(tree.path(), "git", ["log", "--no-merges", "--format=%H", "--", path]);
        let commits = log.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(number(&spot["churn"]), commits, "{path}");
    }
    assert_eq!(survey["hotspots"][0]["path"], "src/module_0/hot.rs");
    let log = String::from_utf8(output(tree.path(), "git", ["shortlog", "-sn", "HEAD"])).unwrap();
    let authors: Vec<String> = survey["authors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| format!("{} {}", a["commits"], a["author"].as_str().unwrap()))
        .collect();
    let theirs: Vec<String> =
        log.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(authors, theirs);
    let run: Value = serde_json::from_slice(&team.bytes("survey-run.json")).unwrap();
    assert!(run["owners"].as_array().unwrap().len() >= 3);
    assert!(run["proposals"].as_array().unwrap().iter().all(|p| !p["votes"].as_array().unwrap().is_empty()));
}

#[test]
fn lines_and_markers_across_block_boundaries_are_counted_once() {
    let tree = tempfile::tempdir().unwrap();
    git(tree.path(), 0, &["init", "-q"]);
    const BLOCK: usize = 256 * 1024;
    // A marker at every offset around the end of the first block: in a huge line, and at ends of lines.
    for shift in 0..32 {
        let at = BLOCK - 20 + shift;
        let mut huge = vec![b'x'; at - 1];
        huge.extend_from_slice(b" TODO ");
        huge.extend(vec![b'y'; 300_000]);
        huge.extend_from_slice(b" XXX\nlast FIXME");
        write(tree.path(), format!("huge_{shift}.txt"), huge);
        let mut lines = b"abcdefg\n".repeat(BLOCK / 8 - 4);
        lines.extend(vec![b'z'; 20 + shift]);
        lines.extend_from_slice(b"\nHACK\r\n_TODO TODO_ TODO\n");
        lines.extend(b"0123456 XXX XXX\n".repeat(300));
        write(tree.path(), format!("lines_{shift}.txt"), lines);
        let mut glued = vec![b'x'; at];
        glued.extend_from_slice(b"TODO ");
        glued.extend(vec![b'x'; 5_000]);
        write(tree.path(), format!("glued_{shift}.txt"), glued);
    }
    let (_state, team) = surveyed(tree.path(), 1, 3, 0);
    let survey = team.json();
    let per = |kind: &str| {
        survey["marker_lines"].as_array().unwrap().iter().find(|c| c["kind"] == kind).unwrap()["lines"]
            .clone()
    };
    assert_eq!((per("TODO"), per("FIXME"), per("HACK")), (64.into(), 32.into(), 32.into()));
    let lines = String::from_utf8(output(tree.path(), "sh", ["-c", "cat *.txt | wc -l"])).unwrap();
    assert_eq!(number(&survey["totals"]["lines"]).to_string(), lines.trim());
    assert!(
        survey["skipped"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["reason"].as_str().unwrap().starts_with("markers beyond"))
    );
}

#[test]
fn m05_a_subfolder_and_the_state_directory_inside_the_tree() {
    let tree = tempfile::tempdir().unwrap();
    repository(tree.path());
    let inner = tree.path().join("src");
    let mut team = Fleet::new(&inner, &inner.join("state"), 4, 3, 0);
    write(&inner, "state/README.md", "TODO: of ours\n");
    team.run();
    let survey = team.json();
    std::fs::remove_dir_all(inner.join("state")).unwrap();
    check_counts(&inner, &survey);
    assert_eq!(survey["hotspots"][0]["path"], "module_0/hot.rs");
    assert_eq!(survey["hotspots"][0]["churn"], 7);
    assert!(
        survey["proposals"].as_array().unwrap().iter().all(|p| p["outcome"] == "accepted"),
        "{}",
        survey["proposals"]
    );
}

#[test]
fn a_line_with_two_kinds_of_markers_is_shown_once_with_both() {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), "a.rs", "x\n// TODO and FIXME, TODO\n// HACK\n");
    let (_state, team) = surveyed(tree.path(), 1, 1, 0);
    let report = String::from_utf8(team.bytes("survey.md")).unwrap();
    let rows: Vec<&str> = report.lines().filter(|line| line.starts_with("| `a.rs:")).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].contains("`a.rs:2`") && rows[0].contains("FIXME") && rows[0].contains("TODO"));
    let kinds = team.json()["markers"].as_array().unwrap().len();
    assert_eq!(kinds, 3, "the list for machines has one entry per kind");
}
