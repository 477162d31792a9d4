//! Making, marking, opening and finding a state directory.
#![expect(clippy::disallowed_methods, reason = "a test touches files itself and fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tachi_shared::Error;
use tachi_shared::store::Store;

fn reason(root: &Path) -> String {
    match Store::create(root) {
        Err(Error::NotAStateDir { reason, .. }) => reason,
        Err(other) => format!("another error: {other}"),
        Ok(_) => "it was taken".to_owned(),
    }
}

#[test]
fn a_new_directory_is_made_private_marked_and_opened_again() {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path().join("state");
    assert!(matches!(Store::open(&root), Err(Error::NotAStateDir { .. })));
    assert!(!root.exists(), "reading makes nothing");
    let store = Store::create(&root).unwrap();
    for path in store.dir().directories() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", path.display());
    }
    let mark = fs::read_to_string(store.dir().mark()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&mark).unwrap();
    assert_eq!(value["schema"], 1);
    assert!(value["store_id"].as_str().unwrap().len() > 10 && value["created"].is_string());
    Store::create(&root).unwrap();
    Store::open(&root).unwrap();
    assert_eq!(fs::read_to_string(store.dir().mark()).unwrap(), mark, "the mark is written once");
}

#[test]
fn a_directory_with_foreign_content_is_refused_and_untouched() {
    let tmp = tempfile::tempdir().unwrap();
    for name in ["README.md", ".gitignore", ".gitkeep"] {
        fs::write(tmp.path().join(name), "x").unwrap();
    }
    let foreign = tmp.path().join("thesis.tex");
    fs::write(&foreign, "x").unwrap();
    assert!(reason(tmp.path()).contains("thesis.tex"));
    assert!(!tmp.path().join(".tachi").exists());
    fs::remove_file(&foreign).unwrap();
    Store::create(tmp.path()).unwrap();
}

#[test]
fn every_impossible_place_is_refused_with_its_reason() {
    let tmp = tempfile::tempdir().unwrap();
    let file = tmp.path().join("file");
    fs::write(&file, "x").unwrap();
    let link = tmp.path().join("link");
    symlink(tmp.path().join("nowhere"), &link).unwrap();
    assert!(reason(&file).contains("is a file"));
    assert!(reason(&file.join("state")).contains("does not exist"));
    assert!(reason(&tmp.path().join("a/b/c")).contains("does not exist"));
    assert!(reason(&link).contains("link to nowhere"));
}

#[test]
fn a_damaged_or_newer_mark_is_never_overwritten() {
    let tmp = tempfile::tempdir().unwrap();
    let store = Store::create(&tmp.path().join("state")).unwrap();
    let root = store.dir().root();
    fs::write(store.dir().mark(), "{\"schema\":2}").unwrap();
    for result in [Store::create(root), Store::open(root)] {
        assert!(matches!(result, Err(Error::NewerSchema { found: 2, .. })));
    }
    fs::write(store.dir().mark(), "{").unwrap();
    assert!(reason(root).contains("damaged"));
    assert_eq!(fs::read_to_string(store.dir().mark()).unwrap(), "{");
}

#[test]
fn a_start_that_died_before_the_mark_is_taken_over() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join(".tachi/tmp")).unwrap();
    fs::create_dir_all(tmp.path().join(".tachi/locks")).unwrap();
    Store::create(tmp.path()).unwrap();
}

#[test]
fn two_first_starts_at_once_agree_on_one_mark() {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path().join("state");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let root = root.clone();
            std::thread::spawn(move || {
                Store::create(&root).map(|store| fs::read(store.dir().mark()).unwrap())
            })
        })
        .collect();
    let marks: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
    assert!(marks.windows(2).all(|pair| pair.first() == pair.last()));
}

#[test]
fn s23_36_s23_44_links_spaces_newlines_and_foreign_bytes_in_the_path_work() {
    let tmp = tempfile::tempdir().unwrap();
    for name in [&b"a b\nc"[..], b"\xff\xfe", "ünï".as_bytes()] {
        let root = tmp.path().join(OsStr::from_bytes(name));
        Store::create(&root).unwrap();
        Store::open(&root).unwrap();
    }
    let real = tmp.path().join("real");
    let link = tmp.path().join("link");
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let store = Store::create(&link).unwrap();
    assert_eq!(store.dir().root(), real.canonicalize().unwrap());
}

#[test]
fn the_nearest_state_directory_upwards_is_found() {
    let tmp = tempfile::tempdir().unwrap();
    let top = tmp.path().canonicalize().unwrap();
    let deep = top.join("a/b/c");
    fs::create_dir_all(&deep).unwrap();
    assert_eq!(Store::find(&deep), deep.join("state"), "none anywhere: here");
    Store::create(&top.join("state")).unwrap();
    assert_eq!(Store::find(&deep), top.join("state"));
    Store::create(&top.join("a/state")).unwrap();
    assert_eq!(Store::find(&deep), top.join("a/state"));
    assert_eq!(Store::find(&top.join("a/state/instances")), top.join("a/state"));
}
