//! P27, P28, P52: a supervisor on a terminal that is stopped, continued and closed; and one whose output nobody takes.

use std::fs::{self, File};
use std::io::{PipeReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::stage::{Stage, signal};

/// One letter: how a process is.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim().chars().next()
}

/// A supervisor in front of a terminal of its own, and the other end of the terminal.
fn on_terminal(stage: &mut Stage, count: usize) -> (u32, File) {
    let pty = nix::pty::openpty(None, None).unwrap();
    for end in [&pty.master, &pty.slave] {
        // Or the fleet itself would keep the terminal open.
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
    }
    let up = stage.up_command();
    // The terminal becomes the controlling one of a new session.
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(up.get_program()).args(up.get_args());
    command.current_dir(up.get_current_dir().unwrap());
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    let pid = stage.begin(command.stdin(slave()).stdout(slave()).stderr(slave()));
    stage.wait_ready(pid, count);
    (pid, File::from(pty.master))
}

/// Reads a terminal or pipe empty for ever, as a person would.
fn watch(mut end: File) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while end.read(&mut bytes).is_ok_and(|read| read > 0) {}
    });
}

#[test]
fn p28_ctrl_z_stops_the_instances_too_and_going_on_is_no_death() {
    let mut stage = Stage::workers(2);
    let (supervisor, mut keyboard) = on_terminal(&mut stage, 2);
    watch(keyboard.try_clone().unwrap());
    let all = [supervisor, stage.pid("instance_1"), stage.pid("instance_2")];
    keyboard.write_all(b"\x1a").unwrap();
    stage.wait("everybody is stopped", |_| all.iter().all(|pid| state(*pid) == Some('T')).then_some(()));
    // Longer than the lateness that is forgiven.
    let begin = std::time::Instant::now();
    stage.wait("time passes", |_| (begin.elapsed().as_millis() > 2500).then_some(()));
    signal(supervisor, "CONT");
    stage.wait("everybody goes on", |_| all.iter().all(|pid| state(*pid) != Some('T')).then_some(()));
    // It answers again, nobody was replaced or called frozen.
    stage.ask(&["kill", "-s", "KILL", "instance_1"]);
    stage.wait("a death after that is noticed", |stage| {
        (stage.row("instance_1")["incarnation"] == 2 && stage.row("instance_1")["status"] == "ready")
            .then_some(())
    });
    assert_eq!(stage.row("instance_2")["incarnation"], 1);
    let kinds: Vec<_> =
        stage.events().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert!(!kinds.iter().any(|kind| kind == "watchdog" || kind == "stalled"), "{kinds:?}");
    keyboard.write_all(b"\x03").unwrap();
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}

#[test]
fn p27_a_closed_terminal_ends_everybody_in_order() {
    let mut stage = Stage::workers(2);
    let (_, keyboard) = on_terminal(&mut stage, 2);
    drop(keyboard);
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
    assert!(stage.rows().iter().all(|row| row["status"] == "stopped" || row["pid"].is_null()));
    let left = stage.events().iter().filter(|event| event["kind"] == "left").count();
    assert_eq!(left, 2, "they were asked, not killed");
}

/// A supervisor that prints into this.
fn into(stage: &mut Stage, output: impl Into<Stdio>) -> u32 {
    let mut command = stage.up_command();
    let pid = stage.begin(command.stdout(output).stderr(Stdio::null()));
    stage.wait_ready(pid, 1);
    pid
}

/// Kills so often that what is told about it fills any small pipe.
fn make_noise(stage: &Stage) {
    for n in 2..32_u32 {
        stage.ask(&["restart", "a"]);
        stage.wait("a is back", |stage| (stage.row("a")["incarnation"] == n).then_some(()));
    }
}

fn noisy() -> Stage {
    Stage::new("[[instances]]\nid = \"a\"\ncommand = [\"sleep\", \"TOKEN\"]\n")
}

#[test]
fn p52_output_that_nobody_reads_holds_nobody_up() {
    let mut stage = noisy();
    let (reader, writer): (PipeReader, _) = std::io::pipe().unwrap();
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    into(&mut stage, writer);
    make_noise(&stage);
    let mut filled = [PollFd::new(&reader, PollFlags::IN)];
    assert_eq!(
        poll(&mut filled, Some(&Timespec::default())),
        Ok(1),
        "nothing was printed, so nothing was tested"
    );
    stage.ask(&["down"]);
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}

#[test]
fn p52_output_whose_reader_went_away_holds_nobody_up() {
    let mut stage = noisy();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    into(&mut stage, writer);
    make_noise(&stage);
    stage.ask(&["down"]);
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}
