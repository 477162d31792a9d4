//! Keeping house: views for people, and the doors for messages, on a thread of its own.
//!
//! Syncing the registry to the disk, rendering a large view or waiting a moment for the queue's lock must not delay a restart, so none of it happens on the
//! loop's thread. The loop only hints; the thread works at most once a second, looks again some seconds after the last
//! hint (files that a hand was still writing are judged then), and every two minutes otherwise: a look opens a dozen files,
//! and each of them wakes the watcher.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tachi_shared::clock;
use tachi_shared::memory::MemoryStore;
use tachi_shared::os::{Disk, Handle as _, OpenMode, Storage as _};
use tachi_shared::queue::View;
use tachi_shared::registry::Registry;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::keep::Keep;

/// Shortest time between two rounds.
const EVERY: Duration = Duration::from_secs(1);
/// Rounds are repeated this long after the last hint.
const AFTERWARDS: Duration = Duration::from_secs(6);
/// Then there is nothing to do until the next hint, unless one was lost.
const SAFETY: Duration = Duration::from_secs(120);
/// How long the memory's lock is waited for.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long the last round may take when the supervisor leaves.
const LAST_ROUND: Duration = Duration::from_secs(1);

/// The house keeper.
pub(super) struct House {
    hints: Option<Arc<SyncSender<()>>>,
    everywhere: Arc<AtomicBool>,
    words: Receiver<String>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl House {
    /// Starts keeping the house of `store`; calls `said` when there are words. Must come after the signals were blocked.
    pub(super) fn new(store: &Store, said: impl Fn() + Send + 'static) -> Self {
        // One hint says all: look.
        let (hints, hinted) = sync_channel(1);
        let (say, words) = channel();
        let (end, ended) = sync_channel(1);
        let store = store.clone();
        let everywhere = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&everywhere);
        let keep = move || {
            Keeper::new(store, say, Box::new(said)).run(&hinted, &wanted);
            let _ = end.send(());
        };
        // Without a thread there are no views; everything that matters goes on.
        let thread = std::thread::Builder::new().name("house".to_owned()).spawn(keep).ok();
        Self { hints: Some(Arc::new(hints)), everywhere, words, ended, thread }
    }

    /// A way to hint from another thread, without waking the loop; it does not keep the house open.
    pub(super) fn hinter(&self) -> impl Fn() + Send + 'static {
        let hints = self.hints.as_ref().map(Arc::downgrade).unwrap_or_default();
        let everywhere = Arc::clone(&self.everywhere);
        move || {
            everywhere.store(true, Ordering::Release);
            if let Some(hints) = hints.upgrade() {
                let _ = hints.try_send(());
            }
        }
    }

    /// Something may have changed.
    pub(super) fn hint(&self) {
        self.everywhere.store(true, Ordering::Release);
        self.hint_registry();
    }

    /// The registry was replaced, and that is all.
    pub(super) fn hint_registry(&self) {
        if let Some(hints) = &self.hints {
            let _ = hints.try_send(());
        }
    }

    /// What could not be accepted since the last call, as sentences.
    pub(super) fn words(&self) -> Vec<String> {
        self.words.try_iter().collect()
    }

    /// One last round, with little patience.
    pub(super) fn end(&mut self) {
        self.hint();
        self.hints = None;
        if self.ended.recv_timeout(LAST_ROUND).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Keeper {
    store: Store,
    view: View,
    board: tachi_shared::task::TaskStore,
    memory: MemoryStore,
    /// What is wrong with the memory's file, told once.
    bad_memory: Option<String>,
    say: Sender<String>,
    said: Box<dyn Fn() + Send>,
    keep: Keep,
    last_error: Option<String>,
    /// The registry as it was when it was last on the disk for certain.
    synced: Option<i128>,
}

impl Keeper {
    fn new(store: Store, say: Sender<String>, said: Box<dyn Fn() + Send>) -> Self {
        let (view, board, memory) = (store.view(), store.tasks(), store.memory());
        let keep = Keep::new(&store);
        Self { store, view, board, memory, bad_memory: None, say, said, keep, last_error: None, synced: None }
    }

    fn run(&mut self, hinted: &Receiver<()>, everywhere: &AtomicBool) {
        let mut until = Instant::now() + AFTERWARDS;
        let mut open = true;
        let mut look = true;
        while open {
            let round = Instant::now();
            if look {
                self.round();
            } else {
                self.sync_registry();
            }
            let wait = if round < until { EVERY * 3 } else { SAFETY };
            match hinted.recv_timeout(wait) {
                Ok(()) => {
                    // What comes within the same second is done in one round.
                    open = self.rest(hinted, EVERY.saturating_sub(round.elapsed()));
                    look = everywhere.swap(false, Ordering::AcqRel);
                    if look {
                        until = Instant::now() + AFTERWARDS;
                    }
                }
                Err(RecvTimeoutError::Timeout) => look = true,
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
        }
        self.round();
    }

    /// Waits until `rest` is over; `false` when the supervisor leaves.
    fn rest(&self, hinted: &Receiver<()>, rest: Duration) -> bool {
        let end = Instant::now() + rest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match hinted.recv_timeout(left) {
                Ok(()) if !left.is_zero() => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Merges what a hand left in the memory, and tells what is wrong with its file.
    fn look_at_memory(&mut self) -> tachi_shared::Result<()> {
        let bad = self.memory.settle(PATIENCE)?;
        self.memory.notes().into_iter().for_each(|text| self.tell(text));
        if bad != self.bad_memory {
            bad.iter().for_each(|why| self.tell(format!("{why}; the last good state stays in force")));
            self.bad_memory = bad;
        }
        Ok(())
    }

    fn round(&mut self) {
        self.sync_registry();
        self.keep.round(clock::now()).into_iter().for_each(|text| self.tell(text));
        let registry = self.registry();
        let mut trouble = None;
        match self.view.refresh(registry.as_ref(), clock::now()) {
            Ok(done) => done.rejected.into_iter().chain(done.warnings).for_each(|text| self.tell(text)),
            // Somebody else is at it, or the queue is busy: the next round comes.
            Err(tachi_shared::Error::LockTimeout { .. }) => {}
            Err(error) => trouble = Some(error.to_string()),
        }
        match self.board.write_view(clock::now()) {
            Ok(view) => view.rejected.into_iter().for_each(|text| self.tell(text)),
            Err(error) => trouble = trouble.or_else(|| Some(error.to_string())),
        }
        match self.look_at_memory() {
            Ok(()) | Err(tachi_shared::Error::LockTimeout { .. } | tachi_shared::Error::Rejected { .. }) => {}
            Err(error) => trouble = trouble.or_else(|| Some(error.to_string())),
        }
        // The same trouble every second is told once.
        if trouble != self.last_error {
            trouble.iter().cloned().for_each(|text| self.tell(text));
            self.last_error = trouble;
        }
    }

    /// Writers of the registry do not wait for the disk; a power loss costs what was written since the last round.
    fn sync_registry(&mut self) {
        let path = self.store.dir().registry();
        // Opening it would wake the watcher.
        if Disk.stat(&path).ok().map(|stat| stat.mtime_ns) == self.synced {
            return;
        }
        let Ok(file) = Disk.open(&path, OpenMode::Read) else { return };
        let Ok(written) = file.stat().map(|stat| stat.mtime_ns) else { return };
        if file.sync().is_ok() {
            self.synced = Some(written);
        }
    }

    fn registry(&self) -> Option<Registry> {
        match self.store.registry().load() {
            Ok(Loaded::Good(registry) | Loaded::Fallback(registry, _)) => Some(registry),
            Ok(Loaded::Missing) | Err(_) => None,
        }
    }

    fn tell(&self, text: String) {
        // The loop is gone only when we are to end.
        let _ = self.say.send(text);
        (self.said)();
    }
}
