//! One slot per lock path and process: mutual exclusion between threads, the open lock file, and the waiting helper.
//!
//! flock is per open file: a second take in the same process through another descriptor would wait for itself. So threads
//! queue here first, and only the one that is let in touches the kernel's lock. The slot keeps the lock file open between
//! takes. When the kernel's queue must be waited in, a helper thread does it, because a blocking flock has no deadline; a
//! helper whose waiter gave up is used again by the next one, so there is at most one per slot.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::lock::LockFile;

/// More lock files than this are not kept open: a store has about ten, tests open many stores.
const KEPT_OPEN: usize = 32;

/// What threads of this process share about one lock path.
#[derive(Debug)]
pub(super) struct Slot {
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    /// Whether a thread of ours holds or is taking the lock.
    taken: bool,
    /// Threads that wait for it; without any, nobody needs to be woken.
    waiting: usize,
    open: Option<LockFile>,
    helper: Option<Arc<Helper>>,
}

/// All slots of this process.
fn slots() -> MutexGuard<'static, HashMap<PathBuf, Arc<Slot>>> {
    static SLOTS: OnceLock<Mutex<HashMap<PathBuf, Arc<Slot>>>> = OnceLock::new();
    SLOTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// The slot of a path.
pub(super) fn of(path: &Path) -> Arc<Slot> {
    let mut slots = slots();
    if let Some(slot) = slots.get(path) {
        return Arc::clone(slot);
    }
    if slots.len() >= KEPT_OPEN {
        // Whoever uses a slot has a second reference to it, taken under the same mutex.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1);
    }
    let slot = Arc::new(Slot { inside: Mutex::default(), left: Condvar::new() });
    slots.insert(path.to_owned(), Arc::clone(&slot));
    slot
}

impl Slot {
    /// Enters as the only thread, with the open lock file if there is one; `None` = not before the deadline.
    pub(super) fn enter(&self, deadline: Option<Instant>) -> Option<Option<LockFile>> {
        let mut inside = self.inside();
        while inside.taken {
            let left = deadline?.checked_duration_since(Instant::now())?;
            inside.waiting += 1;
            inside = self.left.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
            inside.waiting -= 1;
        }
        inside.taken = true;
        Some(inside.open.take())
    }

    /// Leaves, handing the (unlocked) lock file to the next one.
    pub(super) fn leave(&self, open: Option<LockFile>) {
        let mut inside = self.inside();
        inside.taken = false;
        inside.open = open;
        let waiting = inside.waiting;
        drop(inside);
        if waiting > 0 {
            self.left.notify_one();
        }
    }

    /// Waits in the kernel's queue until the deadline; the file returned is locked.
    pub(super) fn await_helper(&self, path: &Path, deadline: Instant) -> io::Result<Option<LockFile>> {
        let helper = {
            let mut inside = self.inside();
            let pending = inside.helper.take().filter(|helper| helper.adopt());
            let helper = match pending {
                Some(helper) => helper,
                None => Helper::start(path)?,
            };
            inside.helper = Some(Arc::clone(&helper));
            helper
        };
        helper.wait(deadline)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits in flock, and what became of it.
#[derive(Debug)]
struct Helper {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Debug)]
enum Stage {
    /// Somebody wants the lock.
    Wanted,
    /// The waiter left; whoever comes next may adopt the helper while it still waits.
    Abandoned,
    /// Locked, or failed; the waiter takes it.
    Granted(io::Result<LockFile>),
    /// Over.
    Done,
}

impl Helper {
    fn start(path: &Path) -> io::Result<Arc<Self>> {
        let file = LockFile::open(path)?;
        let helper = Arc::new(Self { stage: Mutex::new(Stage::Wanted), changed: Condvar::new() });
        let own = Arc::clone(&helper);
        std::thread::Builder::new().name("lock-waiter".to_owned()).stack_size(64 * 1024).spawn(
            move || {
                let result = file.exclusive();
                let mut stage = own.stage();
                if matches!(*stage, Stage::Wanted) {
                    *stage = Stage::Granted(result.map(|()| file));
                    own.changed.notify_one();
                } else {
                    file.unlock();
                    *stage = Stage::Done;
                }
            },
        )?;
        Ok(helper)
    }

    /// Makes a helper whose waiter left ours, if it still waits.
    fn adopt(&self) -> bool {
        let mut stage = self.stage();
        let waiting = matches!(*stage, Stage::Abandoned);
        if waiting {
            *stage = Stage::Wanted;
        }
        waiting
    }

    fn wait(&self, deadline: Instant) -> io::Result<Option<LockFile>> {
        let mut stage = self.stage();
        loop {
            if let Stage::Granted(_) = *stage {
                return match std::mem::replace(&mut *stage, Stage::Done) {
                    Stage::Granted(result) => result.map(Some),
                    _ => Ok(None),
                };
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                *stage = Stage::Abandoned;
                return Ok(None);
            };
            stage = self.changed.wait_timeout(stage, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
