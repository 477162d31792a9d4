//! The recipes of `state/README.md` for programs that write with the lock, run as they stand there and then in a crowd.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tachi_shared::clock::now;
use tachi_shared::layout::StateDir;
use tachi_shared::memory::{EntryKind, MemoryStore};
use tachi_shared::os::Disk;

use crate::place::{rejected, state};

const TIMES: usize = 8;

/// The block of the README that starts with this fence and holds this word.
fn recipe(fence: &str, word: &str) -> String {
    let readme = include_str!("../../../state/README.md");
    let blocks = readme.split(fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.contains(word)).expect("the recipe").to_owned()
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Says that a test could not run here; `infrastructure/test.sh` fails on a skip it does not know.
fn skip(name: &str, reason: &str) {
    eprintln!("skipped {name}: {reason}");
    if let Some(path) = std::env::var_os("TACHI_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{name}: {reason}").unwrap();
    }
}

fn run(program: &str, flag: &str, text: &str, above: &Path) {
    let output = Command::new(program).args([flag, text]).current_dir(above).output().unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn memory(dir: &StateDir) -> Value {
    serde_json::from_slice(&std::fs::read(dir.memory()).unwrap()).unwrap()
}

fn add(dir: &StateDir, n: usize) {
    MemoryStore::new(Disk, dir).add(EntryKind::Finding, &format!("f{n}"), "me", "found", now()).unwrap();
}

/// Runs the recipe as it stands; then again and again with `count` in the place of `as_written`, beside our own writers.
fn check(program: &str, flag: &str, text: &str, (as_written, count): (&str, &str)) {
    let (temp, dir) = state();
    add(&dir, 0);
    drop(std::fs::File::create(dir.lock("memory")).unwrap());
    run(program, flag, text, temp.path());
    assert_eq!(memory(&dir)["facts"]["owner"], "ops");
    assert!(text.contains(as_written), "the recipe was changed: {text}");
    let counting = text.replace(as_written, count);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..TIMES).for_each(|_| run(program, flag, &counting, temp.path())));
        (1..=TIMES * 3).for_each(|n| add(&dir, n));
    });
    let memory = memory(&dir);
    assert_eq!(memory["facts"]["n"], TIMES, "a change of the recipe was lost");
    assert_eq!(memory["findings"].as_array().unwrap().len(), TIMES * 3 + 1, "a change of ours was lost");
    assert_eq!(rejected(&dir), [""; 0]);
}

#[test]
fn s12_the_recipe_with_flock_and_jq_loses_nothing() {
    if !(has("flock") && has("jq")) {
        return skip("recipe-flock", "flock or jq is not installed");
    }
    let change = (r#".facts.owner = \"ops\""#, ".facts.n = (.facts.n // 0) + 1");
    check("sh", "-ec", &recipe("```sh", "flock "), change);
}

#[test]
fn s12_the_recipe_in_python_loses_nothing() {
    if !has("python3") {
        return skip("recipe-python", "python3 is not installed");
    }
    let change =
        (r#"memory["facts"]["owner"] = "ops""#, r#"memory["facts"]["n"] = memory["facts"].get("n", 0) + 1"#);
    check("python3", "-c", &recipe("```python", "fcntl"), change);
}
