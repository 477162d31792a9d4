//! Places with difficult names.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;

use tachi_shared::Error;
use tachi_shared::log::Cursor;
use tachi_shared::store::Store;

use crate::place::{WAIT, message};

/// Creates, sends, remembers and reads back.
fn works(root: &std::path::Path) {
    let store = Store::create(root).unwrap();
    store.queue().send(&[message(0, "x")], WAIT).unwrap();
    store.memory().set_fact("k", serde_json::json!(1)).unwrap();
    let again = Store::open(root).unwrap();
    assert_eq!(again.queue().messages(Cursor::default(), 10).unwrap().0.len(), 1);
}

#[test]
fn s23_44_a_place_with_an_odd_name_works() {
    let temp = tempfile::tempdir().unwrap();
    for name in [&b"with spaces"[..], b"new\nline", b"not \xff\xfe UTF-8", b"-rf", b"*", b"'\"$(x)`"] {
        works(&temp.path().join(OsString::from_vec(name.to_vec())));
    }
}

#[test]
fn s23_44_a_place_with_a_very_long_name_works_or_is_refused_with_the_reason_and_nothing_is_made() {
    let temp = tempfile::tempdir().unwrap();
    let mut deep = temp.path().to_owned();
    while deep.as_os_str().len() < 3_700 {
        deep = deep.join("d".repeat(100));
    }
    fs::create_dir_all(&deep).unwrap();
    works(&deep.join("state"));
    // Just room for the directory itself, none for what goes inside.
    let tight = deep.join("s".repeat(4_070 - deep.as_os_str().len() - 1));
    // Longer than any path may be.
    let endless = deep.join("s".repeat(200)).join("t".repeat(200)).join("u".repeat(200));
    for root in [tight, endless] {
        let error = Store::create(&root).unwrap_err();
        assert!(matches!(error, Error::NotAStateDir { .. } | Error::Io { .. }), "{error}");
        assert!(error.to_string().contains("too long"), "{error}");
        assert!(fs::symlink_metadata(&root).is_err(), "something was made: {error}");
    }
}

#[test]
fn s22_s23_36_a_link_to_a_place_is_that_place_and_nothing_is_written_beside_it() {
    let temp = tempfile::tempdir().unwrap();
    let (real, link) = (temp.path().join("real"), temp.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    works(&link);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "something was made beside the two");
    assert!(real.join(".tachi/store.json").exists());
}
