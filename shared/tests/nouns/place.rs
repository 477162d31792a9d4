//! A state directory of its own for one test.

use std::time::{Duration, Instant};

use tachi_shared::clock::{Now, now};
use tachi_shared::id::{InstanceId, Role};
use tachi_shared::layout::StateDir;
use tempfile::TempDir;

/// Longest wait for a lock in tests.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// A fresh directory with everything the stores expect; removed on drop.
pub(crate) fn state() -> (TempDir, StateDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::new(temp.path().join("state"));
    for path in dir.directories() {
        std::fs::create_dir_all(path).unwrap();
    }
    (temp, dir)
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::new(text).unwrap()
}

pub(crate) fn role(text: &str) -> Role {
    Role::new(text).unwrap()
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The clocks, `ahead` of what they show.
pub(crate) fn later(ahead: Duration) -> Now {
    let now = now();
    Now { wall: now.wall.after(ahead), mono: now.mono.after(ahead) }
}

/// Names in `rejected/`, sorted.
pub(crate) fn rejected(dir: &StateDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir.rejected())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
