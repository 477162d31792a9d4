//! The survey by real fleets of real workers on a generated repository: the same bytes alone, as four, and as four of whom
//! six are killed on the way.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may; they play the hands and the killers"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// Instances killed while one survey runs.
const KILLS: usize = 6;
/// Files of the generated repository.
const FILES: usize = 400;

fn wait<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn output(dir: &Path, script: &str) -> Vec<u8> {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir).env("LC_ALL", "C").stdin(Stdio::null());
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

fn number(dir: &Path, script: &str) -> u64 {
    String::from_utf8(output(dir, script)).unwrap().trim().parse().unwrap()
}

/// Some megabytes in some hundred files with awkward names, and a short history.
fn repository() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        let folder =
            tree.path().join(["src", "with space", "-dash", "ünï"][n % 4]).join(format!("m{}", n % 9));
        fs::create_dir_all(&folder).unwrap();
        let line = |k: usize| match k % 97 {
            13 => format!("// TODO {k}, and FIXME\n"),
            29 => "x = 1; // HACK\n".to_owned(),
            _ => format!("let value_{k} = {n}; // nothing to see\n"),
        };
        let lines: String = (0..(n * 37) % 900).map(line).collect();
        fs::write(folder.join(format!("file {n}.rs")), lines).unwrap();
    }
    let git = "git -c user.name=Ann -c user.email=a@example.org -c commit.gpgsign=false";
    output(tree.path(), &format!("git init -q && git add -A . && {git} commit -qm one"));
    fs::write(tree.path().join("src/late.rs"), "// XXX\n").unwrap();
    output(tree.path(), &format!("git add -A . && {git} commit -qm two"));
    tree
}

/// A fleet and its state directory; ended when the test is over.
struct Fleet {
    dir: TempDir,
}

impl Fleet {
    fn up(tree: &Path, count: usize) -> Self {
        let fleet = Self { dir: tempfile::tempdir().unwrap() };
        fleet.tachi(&["up", &count.to_string(), "--detach", "--workspace", tree.to_str().unwrap()]);
        fleet
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn tachi(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(tachi());
        command.args(arguments).arg("--state").arg(self.state()).current_dir(self.dir.path());
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn rows(&self) -> Vec<Value> {
        let registry: Value =
            serde_json::from_slice(&fs::read(self.state().join("registry.json")).unwrap()).unwrap();
        registry["instances"].as_array().unwrap().clone()
    }

    fn artifact(&self, name: &str) -> Vec<u8> {
        fs::read(self.state().join("artifacts").join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.artifact(name)).unwrap()
    }

    fn is_reported(&self) -> bool {
        // Written last.
        self.state().join("artifacts/survey.md").exists()
    }

    fn reported(self) -> Self {
        wait("the report", || self.is_reported().then_some(()));
        self
    }

    /// The board's events, in order.
    fn board(&self) -> Vec<Value> {
        let mut segments: Vec<PathBuf> =
            fs::read_dir(self.state().join("tasks")).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
        segments.sort();
        let text: String = segments.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Kills one that is ready and was killed `most` times at most; tells which.
    fn kill_one(&self, turn: usize, most: u64) -> Option<Value> {
        let rows = self.rows();
        let row = &rows[(turn * 7 + 3) % rows.len()];
        let (ready, pid) = (row["status"] == "ready", row["pid"].as_u64()?);
        if !ready || row["restarts"].as_u64()? >= most {
            return None;
        }
        let kill = Command::new("kill").arg("-9").arg(pid.to_string()).status().unwrap();
        kill.success().then(|| row.clone())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let mut down = Command::new(tachi());
        down.arg("down").arg("--state").arg(self.state()).current_dir(self.dir.path());
        // The test has its verdict already.
        let _ = down.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The program, with the worker beside it: built on the way if only this package is tested.
fn tachi() -> &'static Path {
    let tachi = Path::new(env!("CARGO_BIN_EXE_tachi"));
    if !tachi.with_file_name("tachi-worker").exists() {
        let build = ["build", "--quiet", "--locked", "-p", "tachi-worker"];
        assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
    }
    tachi
}

/// No task is done twice, and none is claimed by two at a time.
fn assert_exactly_once(board: &[Value]) {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut held: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    for event in board {
        let task = event["task"].as_str().unwrap_or_default();
        match event["kind"].as_str().unwrap() {
            "claimed" => {
                let by = (event["by"].as_str().unwrap(), event["incarnation"].as_u64().unwrap());
                let before = held.insert(task, by);
                let taken_over = before.is_none_or(|(owner, start)| owner == by.0 && start < by.1);
                assert!(taken_over && !done.contains(task), "{task}: {before:?}, then {by:?}");
            }
            "done" => {
                assert!(done.insert(task), "{task} was done twice");
                held.remove(task);
            }
            "released" | "failed" => drop(held.remove(task)),
            _ => {}
        }
    }
    assert!(held.is_empty(), "left claimed: {held:?}");
}

#[test]
fn m05_the_survey_of_real_fleets_is_byte_equal_alone_as_four_and_with_six_kills() {
    let tree = repository();
    let alone = Fleet::up(tree.path(), 1).reported();
    let four = Fleet::up(tree.path(), 4).reported();
    let killed = Fleet::up(tree.path(), 4);
    let mut victims = Vec::new();
    let mut turn = 0;
    while victims.len() < KILLS && !killed.is_reported() {
        turn += 1;
        victims.extend(killed.kill_one(turn, 3));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(victims.len() >= KILLS / 2, "the survey was over after {} kills", victims.len());
    let killed = killed.reported();
    for other in [&four, &killed] {
        for name in ["survey.json", "survey.md"] {
            assert!(alone.artifact(name) == other.artifact(name), "{name} differs");
        }
        wait("all tasks are let go of", || {
            let count = |kind| other.board().iter().filter(|event| event["kind"] == kind).count();
            (count("done") == count("added")).then_some(())
        });
        assert_exactly_once(&other.board());
    }
    assert!(killed.json("survey-run.json")["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty()));
    // M6: every victim is back, and its row says what happened.
    let restarts = wait("all are back", || {
        let rows = killed.rows();
        let back = rows.iter().all(|row| row["status"] == "ready");
        back.then(|| rows.iter().map(|row| row["restarts"].as_u64().unwrap()).sum::<u64>())
    });
    assert_eq!(restarts, u64::try_from(victims.len()).unwrap());
    for victim in &victims {
        let rows = killed.rows();
        let row = rows.iter().find(|row| row["instance_id"] == victim["instance_id"]).unwrap();
        assert_eq!(row["last_death"]["signal"], "SIGKILL", "{row}");
    }
}

#[test]
fn m04_m07b_the_counts_are_those_of_git_wc_and_grep_and_four_share_the_work() {
    let tree = repository();
    let fleet = Fleet::up(tree.path(), 4).reported();
    let survey = fleet.json("survey.json");
    let list = "git ls-files -z -co --exclude-standard --deduplicate";
    let totals = &survey["totals"];
    assert_eq!(totals["files"], number(tree.path(), &format!("{list} | tr -dc '\\0' | wc -c")));
    assert_eq!(totals["lines"], number(tree.path(), &format!("{list} | xargs -0 cat -- | wc -l")));
    assert_eq!(totals["bytes"], number(tree.path(), &format!("{list} | xargs -0 cat -- | wc -c")));
    for kind in survey["marker_lines"].as_array().unwrap() {
        let word = kind["kind"].as_str().unwrap();
        let grep = format!("{list} | xargs -0 grep -hwa {word} -- | wc -l");
        assert_eq!(kind["lines"], number(tree.path(), &grep), "{word}");
    }
    let run = fleet.json("survey-run.json");
    let shares: Vec<u64> =
        run["owners"].as_array().unwrap().iter().map(|owner| owner["bytes"].as_u64().unwrap()).collect();
    let total: u64 = shares.iter().sum();
    assert!(shares.len() >= 3, "{run}");
    assert!(shares.iter().all(|share| share * 100 <= total * 60), "{shares:?}");
    let list_by = |kind: &str| {
        let claims = fleet.board();
        let by = claims.iter().find(|event| {
            event["kind"] == "done" && event["task"].as_str().unwrap_or_default().starts_with(kind)
        });
        by.unwrap_or_else(|| panic!("no {kind}"))["by"].as_str().unwrap().to_owned()
    };
    assert_eq!(list_by("assemble-"), "instance_2", "the builder assembles");
    assert_eq!(list_by("derive-"), "instance_3", "the reflector derives");

    // A question during the next survey is answered at once, and that survey reads only what changed.
    let parts = |fleet: &Fleet| {
        let added = |event: &&Value| event["kind"] == "added" && event["payload"]["kind"] == "part";
        fleet.board().iter().filter(added).count()
    };
    let before = parts(&fleet);
    fleet.tachi(&["down"]);
    fs::write(tree.path().join("src/m0/file 0.rs"), "// TODO: one line\n").unwrap();
    fs::remove_file(fleet.state().join("artifacts/survey.md")).unwrap();
    fleet.tachi(&["up", "4", "--detach", "--workspace", tree.path().to_str().unwrap()]);
    let asked = Instant::now();
    fleet.tachi(&["send", "instance_1", "how far are you?"]);
    wait("an answer", || fleet.tachi(&["messages", "--json"]).contains("\"reply_to\"").then_some(()));
    assert!(asked.elapsed() < Duration::from_secs(5), "answered after {:?}", asked.elapsed());
    let fleet = fleet.reported();
    let read = parts(&fleet) - before;
    assert!((1..=3).contains(&read), "{read} parts were read for one changed file");
}
