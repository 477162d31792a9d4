//! survey: the built-in backend over one large tree with four instances and with one, beside `wc -l` and `grep -n` over
//! the same list of files. The tree is `TACHI_BENCH_TREE`; every round begins with an empty state directory.
//! Afterwards: what supervisor and workers hold in memory while they idle.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark starts and times real processes")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(600);

/// What the survey counts, in one pass of `wc` and one of `grep` over the same files.
fn plain(list: &Path) -> Duration {
    let began = Instant::now();
    for command in [&["wc", "-l"][..], &["grep", "-n", "-w", "-E", "TODO|FIXME|XXX|HACK"]] {
        Command::new("xargs")
            .arg("-0")
            .args(command)
            .stdin(File::open(list).expect("the list"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("xargs");
    }
    began.elapsed()
}

fn tachi(arguments: &[&str], state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tachi"));
    command.args(arguments).arg("--state").arg(state).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// One survey from nothing; `look` is called with the state directory while the fleet idles afterwards.
fn survey(tree: &Path, count: usize, look: impl FnOnce(&Path)) -> Duration {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    let began = Instant::now();
    let up = ["up", &count.to_string(), "--workspace", &tree.display().to_string()];
    let mut up = tachi(&up, &state).spawn().expect("tachi up");
    let report = state.join("artifacts/survey.json");
    while !report.exists() {
        assert!(began.elapsed() < PATIENCE, "no survey in time");
        assert!(up.try_wait().expect("asked").is_none(), "tachi up ended");
        thread::sleep(Duration::from_millis(2));
    }
    let took = began.elapsed();
    look(&state);
    assert!(tachi(&["down"], &state).status().expect("tachi down").success());
    up.wait().expect("ended");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Proportional set size, kilobytes.
fn memory(pid: u64) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn print_memory(state: &Path) {
    // Long enough for the last turn to end.
    thread::sleep(Duration::from_secs(2));
    let registry = fs::read(state.join("registry.json")).expect("a registry");
    let registry: serde_json::Value = serde_json::from_slice(&registry).expect("JSON");
    let supervisor = memory(registry["supervisor"]["pid"].as_u64().expect("a pid"));
    let rows = registry["instances"].as_array().expect("rows");
    let workers: Vec<u64> = rows.iter().filter_map(|row| row["pid"].as_u64()).map(memory).collect();
    println!("  memory after the survey (PSS): supervisor {supervisor} kB, workers {workers:?} kB");
}

fn files_of(tree: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(tree).expect("the tree") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            files_of(&entry.path(), into);
        } else if kind.is_file() {
            into.push(entry.path());
        }
    }
}

fn main() {
    let Some(tree) = env::var_os("TACHI_BENCH_TREE").map(PathBuf::from) else {
        println!("survey: left out, TACHI_BENCH_TREE names no tree");
        return;
    };
    let mut files = Vec::new();
    files_of(&tree, &mut files);
    let dir = tempfile::tempdir().expect("a folder");
    let list = dir.path().join("list");
    let names: Vec<&[u8]> = files.iter().map(|path| path.as_os_str().as_encoded_bytes()).collect();
    fs::write(&list, names.join(&b"\0"[..])).expect("written");
    println!("survey: {} files in {}, warm cache, median of {ROUNDS} rounds", files.len(), tree.display());
    println!("(x = ratio to xargs wc -l + xargs grep -n over the same list)");
    plain(&list);

    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        times[0].push(plain(&list));
        times[1].push(survey(&tree, 1, |_| ()));
        times[2].push(survey(&tree, 4, |state| {
            if round + 1 == ROUNDS {
                print_memory(state);
            }
        }));
    }
    let [limit, one, four] = times.map(median);
    for (name, time) in [("wc -l + grep -n", limit), ("tachi, N = 1", one), ("tachi, N = 4", four)] {
        let ratio = time.as_secs_f64() / limit.as_secs_f64();
        println!("  {name:<18} {:>8.0} ms   x{ratio:.2}", time.as_secs_f64() * 1e3);
    }
    let one_to_limit = one.as_secs_f64() / limit.as_secs_f64();
    println!("  N = 1 takes x{one_to_limit:.2} of wc + grep (target: at most 3)");
    let speedup = one.as_secs_f64() / four.as_secs_f64();
    println!("  N = 4 is x{speedup:.2} faster than N = 1 (target on two idle cores: at least 1.6)");
}
