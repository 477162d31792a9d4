//! Registry, memory and instance files of any bytes: taken, or refused and kept; never lost, never half taken.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tachi_shared::Error;
use tachi_shared::layout::StateDir;
use tachi_shared::snapshot::Loaded;

use super::{WAIT, fresh};
use crate::corpus::corpus;

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

pub(crate) fn memory(bytes: &[u8]) {
    let (_temp, store) = fresh();
    let (dir, path) = (store.dir(), store.dir().memory());
    place(&path, bytes);
    let loaded = store.memory().load();
    assert_eq!(fs::read(&path).unwrap(), bytes, "looking changed the file");
    let written = store.memory().update(WAIT, |_| Ok(()));
    judge(dir, &path, bytes, &loaded, written);
}

pub(crate) fn registry(bytes: &[u8]) {
    let (_temp, store) = fresh();
    let (dir, path) = (store.dir(), store.dir().registry());
    place(&path, bytes);
    let loaded = store.registry().load();
    assert_eq!(fs::read(&path).unwrap(), bytes, "looking changed the file");
    let written = store.registry().update(WAIT, |_| Ok(()));
    judge(dir, &path, bytes, &loaded, written);
}

pub(crate) fn instance(bytes: &[u8]) {
    let (_temp, store) = fresh();
    let id = "instance_2".parse().unwrap();
    let path = store.dir().instance(&id);
    fs::write(&path, corpus("instance.json")).unwrap();
    let Loaded::Good(state) = store.instance(&id).load().unwrap() else { panic!("the corpus is good") };
    place(&path, bytes);
    let mut files = store.instance(&id);
    let loaded = files.load();
    let written = files.replace(&state);
    match loaded {
        Ok(Loaded::Good(_)) => written.unwrap(),
        Err(Error::Rejected { .. }) => {
            written.unwrap();
            assert!(is_kept(store.dir(), bytes), "refused bytes disappeared");
        }
        Err(Error::NewerSchema { .. }) => {
            assert!(matches!(written, Err(Error::NewerSchema { .. })));
            assert_eq!(fs::read(&path).unwrap(), bytes, "a newer file was written over");
        }
        other => panic!("{other:?}"),
    }
}
