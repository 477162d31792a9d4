//! Signals that interrupt calls of the kernel.

use std::process::Command;

use tachi_shared::log::Cursor;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::place::{WAIT, given, message, process, skip, state};

const SENDS: usize = 50;

/// Not a test of its own: sends, reads and remembers; nothing may go wrong.
#[test]
fn interrupted_process() {
    let Some(root) = given() else { return };
    let store = Store::create(&root).unwrap();
    let mut queue = store.queue();
    for k in 0..SENDS {
        queue.send(&[message(k, "x")], WAIT).unwrap();
        if k % 10 == 0 {
            store.memory().set_fact("k", serde_json::json!(k)).unwrap();
        }
    }
    let (messages, _) = queue.messages(Cursor::default(), SENDS * 2).unwrap();
    assert_eq!(messages.len(), SENDS);
    assert!(matches!(store.memory().load().unwrap(), Loaded::Good(memory) if memory.rev == 5));
}

#[test]
fn s23_14_interrupted_calls_are_taken_up_again_and_nobody_notices() {
    if let Err(why) = Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
        return skip("strace", &why.to_string());
    }
    for call in ["write", "pread64", "flock", "openat", "fdatasync,fsync", "ftruncate"] {
        let (_temp, store) = state();
        let inject = format!("inject={call}:error=EINTR:when=3+4");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
        let said = process(&strace, "interrupted::interrupted_process", store.dir().root()).output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        if text.contains("ptrace") && !said.status.success() {
            return skip("strace", &text.replace('\n', " "));
        }
        assert!(said.status.success(), "{call}: {text}");
    }
}
