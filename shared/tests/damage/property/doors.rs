//! Files of any bytes in the doors: `messages.json`, `spool/` and `commands/` are taken in or set aside, and the door stays open.

use std::fs;

use tachi_shared::layout::Topic;

use super::{fresh, later};
use crate::corpus::corpus;

/// A view is taken in or set aside, and shown anew; neither the same keeper nor the next takes anything twice.
pub(crate) fn viewed(bytes: &[u8]) {
    let (_temp, store) = fresh();
    let path = store.dir().view(Topic::Messages);
    fs::write(&path, bytes).unwrap();
    let mut view = store.view();
    let done = view.refresh(None, later()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let count = shown["messages"].as_array().unwrap().len();
    assert_eq!(count, done.imported.min(200));
    let set_aside = fs::read_dir(store.dir().rejected()).unwrap().count();
    assert!(set_aside > 0 || done.rejected.is_empty(), "{done:?}");
    assert_eq!(view.refresh(None, later()).unwrap().imported, 0);
    assert_eq!(store.view().refresh(None, later()).unwrap().imported, 0);
}

/// A spool file is taken in or set aside and never stays, and the good one beside it is taken.
pub(crate) fn spooled(bytes: &[u8]) {
    let (_temp, store) = fresh();
    fs::write(store.dir().spool().join("a.json"), bytes).unwrap();
    fs::write(store.dir().spool().join("b.json"), corpus("spool.json")).unwrap();
    let done = store.view().refresh(None, later()).unwrap();
    assert_eq!(fs::read_dir(store.dir().spool()).unwrap().count(), 0, "{done:?}");
    assert!(done.imported >= 2, "the good file beside it was not taken: {done:?}");
}

/// A command is taken or set aside and never stays, and the good one beside it is taken.
pub(crate) fn commanded(bytes: &[u8]) {
    let (_temp, store) = fresh();
    fs::write(store.dir().commands().join("a.json"), bytes).unwrap();
    fs::write(store.dir().commands().join("b.json"), corpus("command.json")).unwrap();
    let taken = store.commands().take(later().wall).unwrap();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().any(Result::is_ok), "the good file beside it was not taken");
    assert_eq!(fs::read_dir(store.dir().commands()).unwrap().count(), 0);
    let refused = taken.iter().filter(|one| one.is_err()).count();
    let kept =
        fs::read_dir(store.dir().rejected()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    assert!(refused == 0 || kept.into_iter().any(|kept| kept == bytes), "refused bytes disappeared");
}
