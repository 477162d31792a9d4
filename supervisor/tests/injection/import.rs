//! A supervisor that fails or dies while it takes a message out of the spool.

use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use tachi_shared::layout::Topic;

use crate::sweep::Ground;
use crate::tracer::{Fault, calls_in, chosen, is_permitted, program, traced};

/// A fleet needs somebody; this one ends at once and leaves nobody behind.
const CONFIG: &str =
    "[fleet]\ncount = 0\n[[instances]]\nid = \"a\"\ncommand = [\"true\"]\nrestart = \"never\"\n";
const CALLS: &str = "file,desc";
const FAULTS: [Fault; 3] = [
    Fault { calls: CALLS, what: "signal=SIGKILL" },
    Fault { calls: "write", what: "error=ENOSPC" },
    Fault { calls: "unlink,unlinkat,rename,renameat2", what: "error=EIO" },
];

fn wait_until(what: &str, mut cond: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !cond() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn tachi(ground: &Ground, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("tachi"));
    command.args(arguments).arg("--state").arg(ground.store.dir().root()).current_dir(ground.path());
    command.env_remove("TACHI_STATE_DIR").output().unwrap()
}

/// A supervisor whose calls on the spool and the queue are traced.
fn traced_fleet(ground: &Ground, fault: Option<(Fault, usize)>, calls: &str, log: &Path) -> Child {
    let dir = ground.store.dir();
    let segment =
        std::fs::read_dir(dir.segments(Topic::Messages)).unwrap().map(|entry| entry.unwrap().path()).max();
    let (spool, letter) = (dir.spool(), dir.spool().join("letter.json"));
    let segment = segment.unwrap_or_else(|| dir.segments(Topic::Messages).join("00000000000000000001.jsonl"));
    let only = [spool.as_path(), letter.as_path(), segment.as_path()];
    let mut command = traced(&program("tachi"), fault, calls, &only, log);
    command.arg("up").arg("--state").arg(dir.root()).current_dir(ground.path()).spawn().unwrap()
}

/// One letter in the spool, one fleet with a fault, one without: the letter is delivered once. Returns the calls seen.
fn round(ground: &Ground, number: usize, fault: Option<(Fault, usize)>, calls: &str) -> usize {
    let (dir, log) = (ground.store.dir(), ground.path().join("trace"));
    let letter = dir.spool().join("letter.json");
    let text = format!(
        "{{\"to\":\"operator\",\"from\":\"cron\",\"type\":\"finding\",\"content\":\"letter {number}\"}}"
    );
    std::fs::write(dir.tmp().join("letter"), text).unwrap();
    std::fs::rename(dir.tmp().join("letter"), &letter).unwrap();
    let mut fleet = traced_fleet(ground, fault, calls, &log);
    let is_taken = || {
        let messages = ground.store.queue().newest(9).unwrap();
        !letter.exists() && messages.iter().any(|message| message.draft.text() == format!("letter {number}"))
    };
    wait_until("the letter is taken or the fleet dead", || is_taken() || fleet.try_wait().unwrap().is_some());
    if fleet.try_wait().unwrap().is_none() {
        tachi(ground, &["down"]);
    }
    fleet.wait().unwrap();
    if !is_taken() {
        let up = tachi(ground, &["up", "--detach"]);
        assert!(dir.supervisor_alive().exists(), "{}", String::from_utf8_lossy(&up.stderr));
        wait_until("the letter is taken", is_taken);
        tachi(ground, &["down"]);
    }
    let (messages, _) =
        ground.store.queue().messages(tachi_shared::log::Cursor::default(), usize::MAX).unwrap();
    for known in 1..=number {
        let found =
            messages.iter().filter(|message| message.draft.text() == format!("letter {known}")).count();
        assert_eq!(found, 1, "letter {known} after {fault:?}");
    }
    calls_in(&log)
}

#[test]
fn s16_42_a_letter_in_the_spool_is_delivered_once_whatever_befalls_the_supervisor() {
    if !is_permitted() {
        return;
    }
    let ground = Ground::new();
    std::fs::write(ground.path().join("tachi.toml"), CONFIG).unwrap();
    let mut number = 0;
    for (fault, at_most) in FAULTS.into_iter().zip([5, 1, 1]) {
        number += 1;
        let calls = round(&ground, number, None, fault.calls);
        for n in chosen(calls, at_most) {
            number += 1;
            round(&ground, number, Some((fault, n)), fault.calls);
        }
    }
    ground.check("import");
    ground.doctor();
}
