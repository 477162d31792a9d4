//! A limit on the size of files (`ulimit -f`): a write comes back short. Only one that begins at the limit would meet the
//! signal that kills; what was written short is cut off again, so none does.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tachi_shared::Error;
use tachi_shared::id::Seq;
use tachi_shared::layout::Topic;
use tachi_shared::log::{Cursor, Entry, Log};
use tachi_shared::os::Disk;
use tachi_shared::store::Store;

const ROOT: &str = "TACHI_TEST_LIMITED";
const WAIT: Duration = Duration::from_secs(10);

fn record(number: u64) -> String {
    format!("{{\"n\":{number},\"text\":\"{}\"}}", "x".repeat(700))
}

fn log(store: &Store) -> Log {
    Log::new(Disk, store.dir(), Topic::Messages)
}

/// Not a test of its own: appends until it is stopped; the last acknowledged number goes to a file of its own.
#[test]
fn limited_process() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let store = Store::create(Path::new(&root)).unwrap();
    let mut log = log(&store);
    for number in 1.. {
        match log.append(&[record(number)], WAIT) {
            Ok(done) => fs::write(store.dir().root().join("acked"), done.last.0.to_string()).unwrap(),
            Err(Error::DiskFull { .. }) => {
                // Refused again: what did not fit left nothing behind that could let it fit.
                assert!(matches!(log.append(&[record(number)], WAIT), Err(Error::DiskFull { .. })));
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn under_a_limit(root: &Path, before: &str) -> ExitStatus {
    Command::new("sh")
        .args(["-c", &format!("{before} ulimit -f 40; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["size_limit::limited_process", "--exact", "--test-threads=1"])
        .env(ROOT, root)
        .output()
        .unwrap()
        .status
}

/// Everything acknowledged is there, nothing else, and without the limit it goes on.
fn check(root: &Path) {
    let store = Store::create(root).unwrap();
    let acked: u64 = fs::read_to_string(root.join("acked")).unwrap().parse().unwrap();
    assert!(acked > 5, "only {acked} were acknowledged");
    assert_eq!(log(&store).append(&[record(acked + 1)], WAIT).unwrap().last, Seq(acked + 1));
    let entries = log(&store).reader(Cursor::default()).read(usize::MAX).unwrap();
    assert_eq!(entries.len() as u64, acked + 1);
    for (entry, number) in entries.iter().zip(1..) {
        let bare = record(number);
        assert!(
            matches!(entry, Entry::Record { seq: Seq(seq), line } if *seq == number && line.ends_with(&bare[1..]))
        );
    }
}

#[test]
fn s23_12_a_write_over_the_size_limit_is_refused_and_cut_off_again() {
    for before in ["", "trap '' XFSZ;"] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("state");
        let status = under_a_limit(&root, before);
        assert!(status.success(), "{before} {status}");
        check(&root);
    }
}
