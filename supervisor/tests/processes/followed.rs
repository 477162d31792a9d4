//! `tachi logs -f` while instances die, come back and their logs are rotated.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::stage::{Stage, signal};

/// A follower and its lines as they come.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn new(stage: &Stage, arguments: &[&str]) -> Self {
        let mut command = stage.verb(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// Everything up to the line that holds `text`.
    fn until(&self, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("no {text:?} after {all:?}"));
            let found = line.contains(text);
            all.push(line);
            if found {
                return all;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn p38_followed_logs_tell_of_deaths_between_the_lines_and_go_on_over_rotation() {
    let script = "n=0; while read -r line < pipe; do echo $line of $TACHI_INCARNATION; done";
    let mut stage = Stage::new(&format!(
        "[[instances]]\nid = \"a\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\n\
         [[instances]]\nid = \"other\"\ncommand = [\"sleep\", \"TOKEN\"]\n"
    ));
    let made = std::process::Command::new("mkfifo").arg(stage.file("work/pipe")).status().unwrap();
    assert!(made.success());
    stage.up_and_ready(2);
    let say = |line: &str| fs::write(stage.file("work/pipe"), format!("{line}\n")).unwrap();
    let follower = Follower::new(&stage, &["logs", "-f", "a"]);
    say("first");
    assert_eq!(follower.until("first").last().unwrap(), "a | first of 1");
    let log = stage.state().join("logs/a.log");
    fs::rename(&log, stage.state().join("logs/a.log.1")).unwrap();
    fs::write(&log, "").unwrap();
    signal(stage.pid("other"), "KILL");
    signal(stage.pid("a"), "KILL");
    let mut notices = follower.until("a died");
    notices.extend(follower.until("a started as pid"));
    assert!(notices.contains(&"--- a died: SIGKILL (external) ---".to_owned()), "{notices:?}");
    assert!(!notices.iter().any(|line| line.contains("other")), "{notices:?}");
    stage.wait("a is back", |stage| (stage.row("a")["incarnation"] == 2).then_some(()));
    say("second");
    assert_eq!(follower.until("second").last().unwrap(), "a | second of 2");
}
