//! Modes: what the caller's umask and a directory's group bits may and may not change.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tachi_shared::store::Store;

use crate::place::{WAIT, given, message, process};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn walk(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        into.push(path.clone());
        if path.is_dir() {
            walk(&path, into);
        }
    }
}

/// Not a test of its own: makes one of everything, twice, so that files are replaced too.
#[test]
fn process_with_another_umask() {
    let Some(root) = given() else { return };
    for _ in 0..2 {
        let store = Store::create(&root).unwrap();
        store.queue().send(&[message(0, "x")], WAIT).unwrap();
        store.memory().set_fact("k", serde_json::json!(1)).unwrap();
        store.view().refresh(None, tachi_shared::clock::now()).unwrap();
    }
}

#[test]
fn s23_35_whatever_the_umask_everything_is_for_its_owner_alone_and_usable() {
    for umask in ["077", "000", "277"] {
        // A umask that takes write from the owner as well is undone by nobody; only root does not feel it.
        if umask == "277"
            && fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) != 0)
        {
            continue;
        }
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("state");
        let shell = format!("umask {umask}; exec \"$@\"");
        let said = process(&["sh", "-c", &shell, "sh"], "access::process_with_another_umask", &root)
            .output()
            .unwrap();
        assert!(said.status.success(), "{umask}: {}", String::from_utf8_lossy(&said.stdout));
        let mut paths = Vec::new();
        walk(&root, &mut paths);
        assert!(paths.len() > 15, "{paths:?}");
        for path in paths {
            assert_eq!(mode(&path) & 0o077, 0, "umask {umask}: {}", path.display());
        }
    }
}

#[test]
fn s23_35_a_directory_that_a_group_shares_stays_shared() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("state");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o2770)).unwrap();
    let store = Store::create(&root).unwrap();
    store.memory().set_fact("k", serde_json::json!(1)).unwrap();
    assert_eq!(mode(&root), 0o2770);
    // Somebody opens one file to the group; its replacements stay open.
    fs::set_permissions(store.dir().memory(), fs::Permissions::from_mode(0o660)).unwrap();
    store.memory().set_fact("k", serde_json::json!(2)).unwrap();
    assert_eq!(mode(&store.dir().memory()), 0o660);
}
