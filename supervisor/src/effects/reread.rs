//! Reading the configuration again, on a thread of its own: files, ports and environment files of a slow disk must not hold
//! the loop up..

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tachi_shared::id::CommandId;

use super::poll::wake_up;
use crate::error::Result;
use crate::fleet::Event;
use crate::settings::Settings;

/// Settles the settings anew, as `up` did; the sentence says why they cannot be taken.
pub type Settle = Arc<dyn Fn() -> std::result::Result<Settings, String> + Send + Sync>;

/// Readings on their way.
pub(super) struct Reread {
    settle: Settle,
    done: (Sender<Event>, Receiver<Event>),
    wake: Arc<OwnedFd>,
}

impl Reread {
    /// Nothing asked for yet.
    pub(super) fn new(settle: Settle) -> Result<Self> {
        Ok(Self { settle, done: channel(), wake: Arc::new(wake_up()?) })
    }

    /// Becomes readable when something was read.
    pub(super) fn wake(&self) -> impl AsFd {
        self.wake.as_fd()
    }

    /// Begins to read for this command.
    pub(super) fn begin(&self, command: CommandId, dry_run: bool) {
        let (settle, done, wake) = (Arc::clone(&self.settle), self.done.0.clone(), Arc::clone(&self.wake));
        let asked = command.clone();
        let read = move || {
            let outcome = settle().map(Box::new);
            // The loop is gone only when we are to end, and a full counter wakes just as well.
            let _ = done.send(Event::Reread { command, dry_run, outcome });
            let _ = rustix::io::write(&*wake, &1_u64.to_ne_bytes());
        };
        if let Err(error) = std::thread::Builder::new().name("reread".to_owned()).spawn(read) {
            let outcome = Err(format!("the configuration cannot be read: {error}"));
            let _ = self.done.0.send(Event::Reread { command: asked, dry_run, outcome });
            let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// What was read since the last call.
    pub(super) fn taken(&self) -> Vec<Event> {
        let mut counter = [0; 8];
        // Nothing to read is fine: the channel decides.
        let _ = rustix::io::read(&*self.wake, &mut counter);
        self.done.1.try_iter().collect()
    }
}
