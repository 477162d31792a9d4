//! Sleeping until a file changes, at most until a deadline. Watch events are hints; callers look for themselves.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use tachi_shared::clock::{self, Mono};
use tachi_shared::os::watch::Watch;

/// How often callers look again where no watch is to be had, and behind a watch while something is urgent.
const POLL: Duration = Duration::from_millis(250);

/// Wakes its owner when something changes below the given directories.
pub(super) struct Waiter {
    rings: Receiver<()>,
    bell: Sender<()>,
    watch: Option<Watch>,
}

impl Waiter {
    /// Watches the directories; without a watch every wait is short instead.
    pub(super) fn on(dirs: &[PathBuf]) -> Self {
        let (bell, rings) = mpsc::channel();
        let mine = bell.clone();
        let watch = Watch::start(dirs, move |_| {
            let _ = mine.send(());
        })
        .ok();
        Self { rings, bell, watch }
    }

    /// Something that wakes this waiter from another thread.
    pub(super) fn bell(&self) -> Sender<()> {
        self.bell.clone()
    }

    /// Sleeps until a hint, at most `longest`; then forgets all hints so far. Returns whether there was one.
    pub(super) fn sleep(&self, longest: Duration) -> bool {
        let longest = if self.watch.is_some() { longest } else { longest.min(POLL) };
        let rang = self.rings.recv_timeout(longest).is_ok();
        while self.rings.try_recv().is_ok() {}
        rang
    }
}

/// A moment after which waiting ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    end: Mono,
    /// The whole time, for messages.
    pub(super) length: Duration,
}

impl Deadline {
    /// From now on.
    pub(super) fn within(length: Duration) -> Self {
        Self { end: clock::now().mono.after(length), length }
    }

    /// What is left, nothing once it has passed.
    pub(super) fn left(self) -> Option<Duration> {
        let left = self.end.since(clock::now().mono);
        (!left.is_zero()).then_some(left)
    }
}

/// Looks until `look` finds something: at every hint and every 250 ms, at most until the deadline.
///
/// # Errors
/// Whatever `look` meets.
pub(super) fn until<T, E>(
    waiter: &Waiter,
    deadline: Deadline,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        let Some(left) = deadline.left() else { return look() };
        waiter.sleep(left.min(POLL));
    }
}
