//! Damaged files in the doors: `messages.json`, `spool/` and `commands/` are taken in or set aside, and the door stays open.

use std::fs;
use std::time::Duration;

use tachi_shared::clock::{Now, now};
use tachi_shared::layout::Topic;
use tachi_shared::store::Store;

use crate::mutation::{cases, corpus, damage, folder};

/// So late that nobody can still be writing.
fn later() -> Now {
    let (now, ahead) = (now(), Duration::from_secs(60));
    Now { wall: now.wall.after(ahead), mono: now.mono.after(ahead) }
}

#[test]
fn s26_a_view_of_any_bytes_is_taken_in_or_set_aside_and_shown_anew() {
    cases(|dice| {
        let temp = folder();
        let store = Store::create(&temp.path().join("s")).unwrap();
        let path = store.dir().view(Topic::Messages);
        let mut bytes = corpus(if dice.below(2) == 0 { "messages.json" } else { "spool.json" });
        damage(&mut bytes, dice);
        fs::write(&path, &bytes).unwrap();
        let mut view = store.view();
        let done = view.refresh(None, later()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        let count = shown["messages"].as_array().unwrap().len();
        assert_eq!(count, done.imported.min(200));
        let set_aside = fs::read_dir(store.dir().rejected()).unwrap().count();
        assert!(set_aside > 0 || done.rejected.is_empty(), "{done:?}");
        // Neither the same keeper nor the next takes anything twice.
        assert_eq!(view.refresh(None, later()).unwrap().imported, 0);
        assert_eq!(store.view().refresh(None, later()).unwrap().imported, 0);
    });
}

#[test]
fn a_spool_file_of_any_bytes_is_taken_in_or_set_aside_and_never_stays() {
    cases(|dice| {
        let temp = folder();
        let store = Store::create(&temp.path().join("s")).unwrap();
        let mut bytes = corpus("spool.json");
        damage(&mut bytes, dice);
        fs::write(store.dir().spool().join("a.json"), &bytes).unwrap();
        fs::write(store.dir().spool().join("b.json"), corpus("spool.json")).unwrap();
        let done = store.view().refresh(None, later()).unwrap();
        assert_eq!(fs::read_dir(store.dir().spool()).unwrap().count(), 0, "{done:?}");
        assert!(done.imported >= 2, "the good file beside it was not taken: {done:?}");
    });
}

#[test]
fn a_command_of_any_bytes_is_taken_or_set_aside_and_never_stays() {
    cases(|dice| {
        let temp = folder();
        let store = Store::create(&temp.path().join("s")).unwrap();
        let mut bytes = corpus("command.json");
        damage(&mut bytes, dice);
        fs::write(store.dir().commands().join("a.json"), &bytes).unwrap();
        fs::write(store.dir().commands().join("b.json"), corpus("command.json")).unwrap();
        let taken = store.commands().take(later().wall).unwrap();
        assert_eq!(taken.len(), 2);
        assert!(taken.iter().any(Result::is_ok), "the good file beside it was not taken");
        assert_eq!(fs::read_dir(store.dir().commands()).unwrap().count(), 0);
        let refused = taken.iter().filter(|one| one.is_err()).count();
        let kept = fs::read_dir(store.dir().rejected())
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap());
        assert!(refused == 0 || kept.into_iter().any(|kept| kept == bytes), "refused bytes disappeared");
    });
}
