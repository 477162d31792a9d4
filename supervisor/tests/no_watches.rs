//! A machine without inotify instances left: the fleet runs, polls, says so, and still obeys.
//!
//! The limit is set inside of a user namespace of its own, so nobody else on the machine feels it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs and stops at the first surprise"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// `tachi` on `state`, where no inotify instance can be had.
fn tachi(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-current-user", "sh", "-c"]);
    command.arg("echo 0 >/proc/sys/user/max_inotify_instances || exit 99; exec \"$@\"");
    command.args(["sh", env!("CARGO_BIN_EXE_tachi")]).args(arguments).arg("--state").arg(state);
    command.current_dir(state.parent().unwrap()).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn skip(reason: &str) {
    if let Some(path) = std::env::var_os("TACHI_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "inotify-limit: {reason}").unwrap();
    }
}

#[test]
fn s23_15_without_inotify_a_fleet_starts_obeys_and_ends_and_says_that_it_polls() {
    let works = Command::new("unshare")
        .args(["--user", "--map-current-user", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_instances"])
        .output();
    match works {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skip(&said(&output).replace('\n', " ")),
        Err(error) => return skip(&format!("unshare: {error}")),
    }
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("state");
    std::fs::write(temp.path().join("a.txt"), "one line\n").unwrap();
    let fleet = tachi(&state, &["up", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = tachi(&state, &["status", "--check"]).output().unwrap();
        if status.status.success() {
            break;
        }
        assert!(Instant::now() < deadline, "not ready: {}", said(&status));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let restarted = tachi(&state, &["restart", "instance_1"]).output().unwrap();
    assert!(restarted.status.success(), "{}", said(&restarted));
    let down = tachi(&state, &["down"]).output().unwrap();
    assert!(down.status.success(), "{}", said(&down));
    let ended = fleet.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    let log = std::fs::read_to_string(state.join("logs/supervisor.log")).unwrap_or_default();
    let everything = format!("{}{log}", said(&ended));
    let warnings = everything.lines().filter(|line| line.contains("watch")).count();
    assert!(warnings >= 1, "nobody said that it polls: {everything}");
}
