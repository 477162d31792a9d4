//! A process that has no descriptor left.

use std::fs::{self, File};

use tachi_shared::Error;
use tachi_shared::layout::Topic;
use tachi_shared::log::Cursor;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::place::{WAIT, given, message, process, segments, state};

/// Takes every descriptor there is.
fn exhaust() -> Vec<File> {
    let mut taken = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => taken.push(file),
            Err(_) => return taken,
        }
    }
}

fn is_without_descriptor(error: &Error) -> bool {
    // EMFILE
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(24))
}

/// Not a test of its own: with `n` descriptors left each operation works or says why not, and leaves nothing half done.
#[test]
fn process_without_descriptors() {
    let Some(root) = given() else { return };
    let store = Store::create(&root).unwrap();
    // A queue that was named while there was none: it must not take this boot for another one afterwards.
    let none = exhaust();
    let mut early = store.queue();
    drop(none);
    assert_eq!(early.send(&[message(1, "x")], WAIT).unwrap().0, 2);
    let mut sent = 2;
    let mut remembered = 0;
    for left in 0..6 {
        let mut taken = exhaust();
        taken.truncate(taken.len() - left);
        let mut refused = Vec::new();
        // Everything opened anew: lock, segment, temporary file, the old document.
        match store.queue().send(&[message(sent, "x")], WAIT) {
            Ok(_) => sent += 1,
            Err(error) => refused.push(error),
        }
        match store.memory().set_fact("k", serde_json::json!(left)) {
            Ok(_) => remembered += 1,
            Err(error) => refused.push(error),
        }
        drop(taken);
        assert!(refused.iter().all(is_without_descriptor), "{left} left: {refused:?}");
        assert!(left > 0 || refused.len() == 2, "there was a descriptor left");
        let (messages, _) = store.queue().messages(Cursor::default(), 100).unwrap();
        assert_eq!(messages.len(), sent, "{left} left: {refused:?}");
        assert_eq!(
            fs::read_dir(store.dir().tmp()).unwrap().count(),
            0,
            "{left} left: a temporary file stayed"
        );
        let rev = match store.memory().load().unwrap() {
            Loaded::Good(memory) => memory.rev,
            Loaded::Missing => 0,
            Loaded::Fallback(_, why) => panic!("{left} left: {why}"),
        };
        assert_eq!(rev, remembered, "{left} left: {refused:?}");
    }
    assert!(sent > 2 && remembered > 0, "nothing worked with five descriptors");
}

#[test]
fn s18_s23_13_without_a_descriptor_left_everything_is_refused_whole() {
    let (_temp, store) = state();
    store.queue().send(&[message(0, "x")], WAIT).unwrap();
    let limit = ["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"];
    let said =
        process(&limit, "descriptors::process_without_descriptors", store.dir().root()).output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    assert_eq!(segments(store.dir(), Topic::Messages).len(), 1);
}
