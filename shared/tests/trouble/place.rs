//! A state directory of its own for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tachi_shared::clock::now;
use tachi_shared::id::{InstanceId, Role};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::store::Store;
use tempfile::TempDir;

/// Longest wait for a lock in tests.
pub(crate) const WAIT: Duration = Duration::from_secs(10);
/// Names the state directory to a process of a test.
pub(crate) const ROOT: &str = "TACHI_TEST_TROUBLE";

/// A fresh directory; removed on drop.
pub(crate) fn state() -> (TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::create(&temp.path().join("state")).unwrap();
    (temp, store)
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::new(text).unwrap()
}

pub(crate) fn role() -> Role {
    Role::new("builder").unwrap()
}

/// A message to `instance_2`; its id counts.
pub(crate) fn message(k: usize, text: &str) -> Draft {
    let to = "instance_2".parse().unwrap();
    Draft::new(to, "instance_1", MessageKind::Finding, format!("instance_1.1.{k}"), now().wall, text)
}

/// Segments of a topic, in order.
pub(crate) fn segments(dir: &StateDir, topic: Topic) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.segments(topic)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The state directory a test process was given; `None` = this is the ordinary run of the test.
pub(crate) fn given() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}

/// The test `name` of this program as a process of its own on `root`, started through the words `before`.
pub(crate) fn process(before: &[&str], name: &str, root: &Path) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut words: Vec<std::ffi::OsString> = before.iter().map(Into::into).collect();
    words.push(own.into_os_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args([name, "--exact", "--test-threads=1", "--nocapture"]);
    command.env(ROOT, root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Ends a process when the test is over.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Notes that the job `name` did not run.
pub(crate) fn skip(name: &str, reason: &str) {
    use std::io::Write as _;
    match std::env::var_os("TACHI_SKIPS") {
        Some(path) => {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            writeln!(file, "{name}: {reason}").unwrap();
        }
        None => eprintln!("skipped {name}: {reason}"),
    }
}
