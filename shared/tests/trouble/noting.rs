//! The real disk, watched.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use tachi_shared::Result;
use tachi_shared::clock::Now;
use tachi_shared::os::disk::DiskFile;
use tachi_shared::os::{Disk, FileLock, OpenMode, Stat, Storage};

thread_local! {
    /// What a hand does at the next pause.
    static AT_PAUSE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    static HELD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static PAIRS: RefCell<BTreeSet<(String, String)>> = const { RefCell::new(BTreeSet::new()) };
}

/// Has `act` done when the store pauses next.
pub(crate) fn at_pause(act: impl FnOnce() + 'static) {
    AT_PAUSE.set(Some(Box::new(act)));
}

/// Which lock was taken while which other was held, so far in this thread.
pub(crate) fn pairs() -> BTreeSet<(String, String)> {
    PAIRS.with_borrow(Clone::clone)
}

/// The real disk that notes which lock is taken while which others are held, and lets a hand act while the store pauses.
#[derive(Clone)]
pub(crate) struct Noting;

pub(crate) struct Noted {
    name: String,
    _lock: FileLock,
}

impl Drop for Noted {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.retain(|name| *name != self.name));
    }
}

impl Storage for Noting {
    type File = DiskFile;
    type Lock = Noted;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<DiskFile> {
        Disk.open(path, mode)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Disk.stat(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        Disk.make_dir(path)
    }
    fn keep_access(&self, like: &Path, path: &Path) -> io::Result<()> {
        Disk.keep_access(like, path)
    }
    fn touch(&self, path: &Path) -> io::Result<()> {
        Disk.touch(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        Disk.exchange(a, b)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.sync_dir(dir)
    }
    fn now(&self) -> Now {
        Disk.now()
    }
    fn pause(&self, time: Duration) {
        if let Some(act) = AT_PAUSE.take() {
            act();
        }
        Disk.pause(time);
    }
    fn lock(&self, path: &Path, purpose: &str, wait: Duration) -> Result<Noted> {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        HELD.with_borrow_mut(|held| {
            PAIRS.with_borrow_mut(|pairs| {
                pairs.extend(held.iter().map(|outer| (outer.clone(), name.clone())));
            });
            held.push(name.clone());
        });
        Ok(Noted { _lock: Disk.lock(path, purpose, wait)?, name })
    }
}
