//! The one place that waits: signals, doorbell, the supervisor's end, answers of a model — or the time.
//!
//! A supervised worker has no watcher and no thread. One run by hand watches `messages/` and `tasks/`, because nobody may ring
//! for it; the watcher rings the worker's own doorbell.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::os::doorbell::{Doorbell, Ring, ring};
use tachi_shared::os::watch::{Hint, Watch};
use tachi_shared::store::Store;

use super::supervisor::SupervisorWatch;
use crate::error::{Error, Result};
use crate::settings::{Settings, Thinker};
use crate::turn::Event;

/// Everything the loop listens to.
pub(super) struct Senses {
    signals: SignalFd,
    bell: Doorbell,
    supervisor: Option<SupervisorWatch>,
    thoughts: Option<Thoughts>,
    _watch: Option<Watch>,
}

/// Answers of a model come from a thread of their own.
struct Thoughts {
    wake: PipeReader,
    waker: PipeWriter,
    answers: Receiver<Thought>,
    sender: Sender<Thought>,
}

/// One answer.
pub(super) struct Thought {
    /// Id of the message answered.
    pub(super) message: String,
    /// The text, or what went wrong.
    pub(super) text: String,
}

/// Where a thinking thread leaves its answer.
pub(super) struct Reply {
    sender: Sender<Thought>,
    waker: PipeWriter,
}

impl Reply {
    /// Hands the answer over and ends the wait.
    pub(super) fn give(mut self, thought: Thought) {
        if self.sender.send(thought).is_ok() {
            let _closed = self.waker.write(b"a");
        }
    }
}

impl Senses {
    /// Opens everything.
    pub(super) fn open(signals: &SigSet, store: &Store, settings: &Settings) -> Result<Self> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let by_hand = settings.incarnation.is_none();
        let dir = store.dir();
        Ok(Self {
            signals: SignalFd::with_flags(signals, flags)
                .map_err(|error| Error::system("read signals from a descriptor", error))?,
            bell: Doorbell::open(&dir.doorbell(&settings.id))?,
            supervisor: (!by_hand).then(|| SupervisorWatch::new(dir.clone())),
            thoughts: match settings.thinker {
                Thinker::Builtin => None,
                Thinker::Http(_) => Some(Thoughts::open()?),
            },
            _watch: if by_hand { watch(dir, settings) } else { None },
        })
    }

    /// What has happened, after at most `timeout`. Nothing = the time is up.
    pub(super) fn wait(&mut self, timeout: Duration) -> Result<Vec<Event>> {
        let [signalled, rung, ended, thought] = self.poll(timeout)?;
        let mut events = Vec::new();
        if signalled {
            self.read_signals(&mut events);
        }
        if rung {
            self.read_bell(&mut events)?;
        }
        if ended {
            events.extend(self.look_at_supervisor());
        }
        if thought {
            self.read_thoughts(&mut events);
        }
        Ok(events)
    }

    /// Looks who supervises now; the change, if there is one.
    pub(super) fn look_at_supervisor(&mut self) -> Option<Event> {
        self.supervisor.as_mut().and_then(SupervisorWatch::look)
    }

    /// Whether a supervisor is known to live.
    pub(super) fn is_supervised(&self) -> bool {
        self.supervisor.as_ref().is_some_and(SupervisorWatch::is_there)
    }

    /// Where a thinking thread leaves its answer.
    pub(super) fn reply(&self) -> Option<Reply> {
        let thoughts = self.thoughts.as_ref()?;
        Some(Reply { sender: thoughts.sender.clone(), waker: thoughts.waker.try_clone().ok()? })
    }

    fn poll(&self, timeout: Duration) -> Result<[bool; 4]> {
        let mut descriptors =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.bell, PollFlags::IN)];
        let supervisor = self.supervisor.as_ref().and_then(SupervisorWatch::descriptor);
        let places = [supervisor, self.thoughts.as_ref().map(|thoughts| thoughts.wake.as_fd())];
        for descriptor in places.iter().flatten() {
            descriptors.push(PollFd::from_borrowed_fd(*descriptor, PollFlags::IN));
        }
        let limit = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        match poll(&mut descriptors, Some(&limit)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok([false; 4]),
            Err(error) => return Err(Error::system("wait for events", error)),
        }
        let mut found = descriptors.iter().map(|descriptor| !descriptor.revents().is_empty());
        let mut following = || found.next().unwrap_or(false);
        let (signalled, rung) = (following(), following());
        let [ended, thought] = places.map(|place| place.is_some() && following());
        Ok([signalled, rung, ended, thought])
    }

    fn read_signals(&self, events: &mut Vec<Event>) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let name = i32::try_from(info.ssi_signo)
                .ok()
                .and_then(|number| Signal::try_from(number).ok())
                .map_or_else(|| info.ssi_signo.to_string(), |signal| signal.as_str().to_owned());
            events.push(Event::Terminate(name));
        }
    }

    fn read_bell(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let rings = self.bell.drain()?;
        let has = |wanted: Ring| rings.contains(&wanted);
        let control = has(Ring::Control);
        if control {
            events.extend(self.look_at_supervisor());
        }
        events.push(Event::Rung { messages: has(Ring::Messages), tasks: has(Ring::Tasks), control });
        Ok(())
    }

    fn read_thoughts(&mut self, events: &mut Vec<Event>) {
        let Some(thoughts) = &mut self.thoughts else { return };
        let mut wake = [0_u8; 1];
        let _one_per_answer = thoughts.wake.read(&mut wake);
        match thoughts.answers.try_recv() {
            Ok(thought) => events.push(Event::Answered { message: thought.message, text: thought.text }),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
    }
}

impl Thoughts {
    fn open() -> Result<Self> {
        let (wake, waker) = std::io::pipe().map_err(|error| Error::system("make a pipe", error))?;
        let (sender, answers) = channel();
        Ok(Self { wake, waker, answers, sender })
    }
}

/// No watches left is no reason to fail: the safety poll of a worker run by hand is short.
fn watch(dir: &StateDir, settings: &Settings) -> Option<Watch> {
    let bell = dir.doorbell(&settings.id);
    let tasks = dir.segments(Topic::Tasks);
    let places = [dir.segments(Topic::Messages), tasks.clone()];
    Watch::start(&places, move |hint| match hint {
        Hint::Changed(path) if path.starts_with(&tasks) => ring(&bell, Ring::Tasks),
        Hint::Changed(_) => ring(&bell, Ring::Messages),
        Hint::Rescan => {
            ring(&bell, Ring::Messages);
            ring(&bell, Ring::Tasks);
        }
    })
    .ok()
}
