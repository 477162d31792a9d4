//! The table of statements (`infrastructure/STATEMENTS.md`) is complete and true: every number is there, and every test, checker and
//! mutant it names exists; every mutant is named, fits the tree, and names one test.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test of the tree reads the tree and stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TABLE: &str = "infrastructure/STATEMENTS.md";
const MUTANTS: &str = "infrastructure/mutants";
const CRATES: [&str; 3] = ["shared", "supervisor", "worker"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One line of the table.
struct Statement {
    /// `S7`, or `7` for a fault.
    number: String,
    tests: Vec<String>,
    checkers: Vec<String>,
    mutants: Vec<String>,
}

/// Words between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, tests, rest @ ..] = cells.as_slice() else { continue };
        let (checkers, mutants) = match rest {
            [checkers, mutants] => (quoted(checkers), quoted(mutants)),
            [mutants] => (Vec::new(), quoted(mutants)),
            _ => continue,
        };
        if !number.is_empty() {
            let tests = quoted(tests);
            found.push(Statement { number: (*number).to_owned(), tests, checkers, mutants });
        }
    }
    found
}

fn table() -> Vec<Statement> {
    statements(&fs::read_to_string(root().join(TABLE)).unwrap())
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// Names of all test functions, with how often there is one of that name.
fn tests() -> BTreeMap<String, usize> {
    let mut paths = Vec::new();
    CRATES.iter().for_each(|name| walk(&root().join(name), &mut paths));
    let mut found = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test |= line == "#[test]";
            if let Some(rest) = line.strip_prefix("fn ")
                && std::mem::take(&mut is_test)
            {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                *found.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    assert!(found.len() > 300, "the walk found only {} tests", found.len());
    found
}

/// Mutants by name, each with its text.
fn mutants() -> BTreeMap<String, String> {
    let entries = fs::read_dir(root().join(MUTANTS)).unwrap().map(|entry| entry.unwrap().path());
    let patches = entries.filter(|path| path.extension().is_some_and(|end| end == "patch"));
    let named = |path: PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
    };
    patches.map(named).collect()
}

#[track_caller]
fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn every_statement_and_every_fault_is_in_the_table_once_with_a_test() {
    let table = table();
    let wanted = (1..=33).map(|n| format!("S{n}")).chain((1..=44).map(|n| n.to_string()));
    let mut offences = Vec::new();
    for number in wanted {
        match table.iter().filter(|one| one.number == number).collect::<Vec<_>>().as_slice() {
            // S23 is the table of faults.
            [one] if one.tests.is_empty() && number != "S23" => {
                offences.push(format!("{number} has no test"));
            }
            [_] => {}
            lines => offences.push(format!("{number} is there {} times", lines.len())),
        }
    }
    none(&offences);
}

#[test]
fn every_test_checker_and_mutant_of_the_table_exists() {
    let (tests, mutants) = (tests(), mutants());
    let mut offences = Vec::new();
    for one in table() {
        let number = &one.number;
        let missing = one.tests.iter().filter(|name| !tests.contains_key(*name));
        offences.extend(missing.map(|name| format!("{number}: there is no test {name}")));
        let missing = one.mutants.iter().filter(|name| !mutants.contains_key(*name));
        offences.extend(missing.map(|name| format!("{number}: there is no mutant {name}")));
        for checker in &one.checkers {
            let (room, function) = checker.split_once("::").unwrap();
            let path = root().join(format!("shared/src/check/{room}.rs"));
            let all = fs::read_to_string(root().join("shared/src/check/all.rs")).unwrap();
            let is_there =
                fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("pub fn {function}")));
            if !is_there || !all.contains(checker.as_str()) {
                offences.push(format!("{number}: there is no checker {checker} that doctor runs"));
            }
        }
    }
    none(&offences);
}

#[test]
fn every_mutant_is_in_the_table_and_names_one_test() {
    let tests = tests();
    let named: BTreeSet<String> = table().into_iter().flat_map(|one| one.mutants).collect();
    let mut offences = Vec::new();
    for (name, text) in mutants() {
        if !named.contains(&name) {
            offences.push(format!("{name} stands in no line of {TABLE}"));
        }
        let filter = text
            .lines()
            .find_map(|line| line.strip_prefix("test: "))
            .and_then(|line| line.split(' ').next_back());
        let fits = |test: &&String| filter.is_some_and(|filter| test.contains(filter));
        match tests.keys().filter(fits).count() {
            1 => {}
            count => offences.push(format!("{name}: {filter:?} fits {count} tests")),
        }
    }
    none(&offences);
}

#[test]
fn every_mutant_still_fits_the_tree() {
    let mut offences = Vec::new();
    for (name, text) in mutants() {
        let patch = Command::new("patch")
            .args(["-p1", "-s", "-F3", "--dry-run", "-d"])
            .arg(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut patch = match patch {
            Ok(patch) => patch,
            Err(error) => return skip(&error.to_string()),
        };
        patch.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let said = patch.wait_with_output().unwrap();
        if !said.status.success() {
            offences.push(format!("{name}: {}", String::from_utf8_lossy(&said.stdout).trim()));
        }
    }
    none(&offences);
}

/// Notes that there is no `patch` here.
fn skip(reason: &str) {
    match std::env::var_os("TACHI_SKIPS") {
        Some(path) => {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            writeln!(file, "patch: {reason}").unwrap();
        }
        None => eprintln!("skipped patch: {reason}"),
    }
}

#[test]
fn the_rules_of_the_table_notice_an_offender() {
    let planted = "| | what | tests | checker | mutants |\n|---|---|---|---|---|\n| S1 | x | `a`, `b` | `c::d` | `e` |\n| 7 | y | `f` | |\n";
    let found = statements(planted);
    let numbers: Vec<&str> = found.iter().map(|one| one.number.as_str()).collect();
    assert_eq!(numbers, ["S1", "7"]);
    let first = found.first().unwrap();
    assert_eq!((first.tests.len(), first.checkers.len(), first.mutants.len()), (2, 1, 1));
    assert!(found.last().unwrap().mutants.is_empty());
}
