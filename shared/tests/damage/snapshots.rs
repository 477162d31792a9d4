//! Damaged snapshots: registry, memory and instance files are taken, or refused and kept; never lost, never half taken.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tachi_shared::Error;
use tachi_shared::layout::StateDir;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::mutation::{cases, corpus, damage, folder};

const WAIT: Duration = Duration::from_secs(10);

/// As an editor leaves it that has been closed for a while.
fn place(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

fn is_kept(dir: &StateDir, bytes: &[u8]) -> bool {
    fs::read_dir(dir.rejected()).unwrap().any(|entry| fs::read(entry.unwrap().path()).unwrap() == bytes)
}

/// What the file is, must agree with what a write then does to it.
fn judge<D>(
    dir: &StateDir,
    path: &Path,
    bytes: &[u8],
    loaded: &Result<Loaded<D>, Error>,
    written: Result<(), Error>,
) {
    match loaded {
        Ok(Loaded::Good(_)) => written.unwrap(),
        Ok(Loaded::Fallback(_, reason)) => {
            assert!(reason.contains(':'), "a reason without a place: {reason}");
            written.unwrap();
            assert!(is_kept(dir, bytes), "refused bytes disappeared");
        }
        Ok(Loaded::Missing) => panic!("the file is there"),
        Err(Error::NewerSchema { .. }) => {
            assert!(matches!(written, Err(Error::NewerSchema { .. })));
            assert_eq!(fs::read(path).unwrap(), bytes, "a newer file was written over");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn s13_a_memory_of_any_bytes_is_taken_or_refused_and_kept() {
    cases(|dice| {
        let temp = folder();
        let store = Store::create(&temp.path().join("s")).unwrap();
        let (dir, path) = (store.dir(), store.dir().memory());
        let mut bytes = corpus("memory.json");
        damage(&mut bytes, dice);
        place(&path, &bytes);
        let loaded = store.memory().load();
        assert_eq!(fs::read(&path).unwrap(), bytes, "looking changed the file");
        let written = store.memory().update(WAIT, |_| Ok(()));
        judge(dir, &path, &bytes, &loaded, written);
    });
}

#[test]
fn s13_a_registry_of_any_bytes_is_taken_or_refused_and_kept() {
    cases(|dice| {
        let temp = folder();
        let store = Store::create(&temp.path().join("s")).unwrap();
        let (dir, path) = (store.dir(), store.dir().registry());
        let mut bytes = corpus("registry.json");
        damage(&mut bytes, dice);
        place(&path, &bytes);
        let loaded = store.registry().load();
        assert_eq!(fs::read(&path).unwrap(), bytes, "looking changed the file");
        let written = store.registry().update(WAIT, |_| Ok(()));
        judge(dir, &path, &bytes, &loaded, written);
    });
}

#[test]
fn s13_an_instance_file_of_any_bytes_is_taken_or_refused_and_kept() {
    cases(|dice| {
        let temp = folder();
        let store = Store::create(&temp.path().join("s")).unwrap();
        let id = "instance_2".parse().unwrap();
        let path = store.dir().instance(&id);
        let good = corpus("instance.json");
        fs::write(&path, &good).unwrap();
        let Loaded::Good(state) = store.instance(&id).load().unwrap() else { panic!("the corpus is good") };
        let mut bytes = good;
        damage(&mut bytes, dice);
        place(&path, &bytes);
        let mut files = store.instance(&id);
        let loaded = files.load();
        let written = files.replace(&state);
        match loaded {
            Ok(Loaded::Good(_)) => written.unwrap(),
            Err(Error::Rejected { .. }) => {
                written.unwrap();
                assert!(is_kept(store.dir(), &bytes), "refused bytes disappeared");
            }
            Err(Error::NewerSchema { .. }) => {
                assert!(matches!(written, Err(Error::NewerSchema { .. })));
                assert_eq!(fs::read(&path).unwrap(), bytes, "a newer file was written over");
            }
            other => panic!("{other:?}"),
        }
    });
}
