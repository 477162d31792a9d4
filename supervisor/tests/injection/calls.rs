//! One fault at one call, for every kind of call and every job.

use std::time::{Duration, Instant};

use crate::sweep::{Ground, Job};
use crate::tracer::{Fault, is_permitted, program, skip, traced};

const JOBS: [Job; 4] = [Job::Send, Job::SendDurable, Job::Remember, Job::Burst];
/// The n-th call of a kind fails, or takes its time.
const FAILURES: [Fault; 9] = [
    Fault { calls: "write,pwrite64", what: "error=ENOSPC" },
    Fault { calls: "write", what: "error=EINTR" },
    Fault { calls: "write", what: "signal=SIGKILL" },
    Fault { calls: "fdatasync,fsync", what: "error=EIO" },
    Fault { calls: "rename,renameat,renameat2", what: "error=EIO" },
    Fault { calls: "openat", what: "error=EMFILE" },
    Fault { calls: "ftruncate", what: "error=EIO" },
    Fault { calls: "flock", what: "error=EINTR" },
    Fault { calls: "flock", what: "delay_enter=20000" },
];
/// Dead before the n-th call of any kind.
const DEATH: Fault = Fault { calls: "all", what: "signal=SIGKILL" };

fn jobs() -> Vec<Job> {
    let mut jobs = JOBS.to_vec();
    if !program("tachi-bench").exists() {
        skip("strace-bench", "tachi-bench is not built (cargo build --workspace)");
        jobs.retain(|job| *job != Job::Burst);
    }
    jobs
}

#[test]
fn s23_12_whatever_call_fails_what_was_acknowledged_is_there_once_and_the_next_can_work() {
    if !is_permitted() {
        return;
    }
    let mut ground = Ground::new();
    for job in jobs() {
        for fault in FAILURES {
            ground.sweep(job, fault, 5);
        }
    }
    ground.doctor();
    assert!(ground.acknowledged > 0);
}

#[test]
fn s22_1_killed_before_any_call_a_sender_leaves_its_message_once_or_not_at_all() {
    if !is_permitted() {
        return;
    }
    let mut ground = Ground::new();
    for job in jobs() {
        ground.sweep(job, DEATH, 24);
    }
    ground.doctor();
    assert!(ground.killed > 20, "only {} were killed", ground.killed);
}

#[test]
fn s23_15_a_reader_without_inotify_still_gets_its_message() {
    if !is_permitted() {
        return;
    }
    let ground = Ground::new();
    let exhausted = Fault { calls: "inotify_init1", what: "error=EMFILE" };
    let log = ground.path().join("trace");
    let reader = traced(&program("tachi"), Some((exhausted, 1)), "inotify_init1,poll,ppoll,futex", &[], &log)
        .args(["inbox", "--wait", "--timeout", "30s", "--state"])
        .arg(ground.store.dir().root())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("(INJECTED)")) {
        assert!(Instant::now() < deadline, "it asked for no inotify instance");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let sent = std::process::Command::new(program("tachi"))
        .args(["send", "operator", "here", "--state"])
        .arg(ground.store.dir().root())
        .output();
    assert!(sent.unwrap().status.success());
    let said = reader.wait_with_output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(String::from_utf8_lossy(&said.stdout).contains("here"));
}
