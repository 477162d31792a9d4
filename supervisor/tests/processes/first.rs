//! P48: as the first process of a container, a supervisor hears its signals, buries strangers' children and ends with the
//! right code. The container is a pid namespace, for which one must be root.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::restarts::zombies_of;
use super::stage::{Stage, lives, signal};

/// Whether a pid namespace can be had; says why not.
fn is_permitted() -> bool {
    let why = match Command::new("unshare").args(["-pf", "--mount-proc", "true"]).output() {
        Ok(said) if said.status.success() => return true,
        Ok(said) => String::from_utf8_lossy(&said.stderr).trim().replace('\n', ", "),
        Err(error) => format!("unshare: {error}"),
    };
    if let Some(path) = std::env::var_os("TACHI_SKIPS") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "pid-namespace: {why}").unwrap();
    }
    false
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn p48_the_first_process_hears_signals_buries_the_dead_and_ends_with_the_right_code() {
    if !is_permitted() {
        return;
    }
    let mut stage = Stage::sleepers(&["a"]);
    let up = stage.up_command();
    let mut command = Command::new("unshare");
    command.args(["-pf", "--mount-proc"]).arg(up.get_program()).args(up.get_args());
    command.current_dir(up.get_current_dir().unwrap()).stdin(Stdio::null());
    let outer = stage.begin_told(&mut command);
    stage.wait_ready(1, 1);
    let first = children(outer)[0];
    let before = children(first).len();
    // Somebody comes into the container, leaves a child behind and goes: it falls to the first process.
    let orphan = "(echo begun >begun; while [ ! -e over ]; do sleep 0.05; done) &";
    let entered = Command::new("nsenter")
        .args(["-t", &first.to_string(), "-p", "sh", "-c", orphan])
        .current_dir(stage.file("work"))
        .stdin(Stdio::null())
        .status();
    assert!(entered.unwrap().success());
    let strays = stage.wait("it has the stranger", |_| {
        let now = children(first);
        (now.len() > before).then_some(now)
    });
    fs::write(stage.file("work/over"), "").unwrap();
    stage.wait("the stranger is buried", |_| {
        (zombies_of(first) == 0 && children(first).len() == before).then_some(())
    });
    assert!(strays.iter().filter(|pid| lives(**pid)).count() <= before);
    assert_eq!(stage.row("a")["restarts"], 0);
    signal(first, "TERM");
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.row("a")["last_death"]["signal"], "SIGTERM", "it was asked to end");
    assert_eq!(stage.survivors(), [""; 0]);
}
