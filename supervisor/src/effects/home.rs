//! Our hold on the state directory, and what to do when somebody takes the directory away.
//!
//! A directory that was removed leaves the processes alone: what they are doing may still matter to somebody. A directory
//! that was removed *and made again by another supervisor* has the same name and is not ours: nothing is read from it
//! or written to it any more, and our instances, which would write there too, end at once.

use tachi_shared::clock::Now;
use tachi_shared::event;
use tachi_shared::os::AliveLock;

use super::run_loop::Supervisor;
use crate::fleet::Event;

/// The directory as we hold it.
pub(super) struct Home {
    alive: AliveLock,
    state: State,
}

/// Whose the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ours,
    Gone,
    Anothers,
}

impl Home {
    /// Held by this lock.
    pub(super) fn new(alive: AliveLock) -> Self {
        Self { alive, state: State::Ours }
    }

    /// Whether somebody else has the directory of our name now.
    pub(super) fn is_anothers(&self) -> bool {
        self.state == State::Anothers
    }

    /// Looks; a new state is returned once.
    fn look(&mut self) -> Option<State> {
        let state = match (self.alive.is_intact(), self.state) {
            // Who has taken it keeps it: we have forgotten what it holds.
            (_, State::Anothers) => State::Anothers,
            (true, _) => State::Ours,
            (false, _) if self.alive.is_replaced() => State::Anothers,
            (false, _) => State::Gone,
        };
        (std::mem::replace(&mut self.state, state) != state).then_some(state)
    }
}

impl Supervisor {
    /// Notices that the directory was removed or taken.
    pub(super) fn look_after_home(&mut self, now: Now) {
        let why = match self.home.look() {
            None | Some(State::Ours) => return,
            Some(State::Gone) => {
                "the state directory was removed; the instances go on, nothing is written down"
            }
            Some(State::Anothers) => "the state directory was removed and another supervisor has it; we end",
        };
        if self.home.is_anothers() {
            // Asked twice: no grace, they would write into what is not theirs.
            for _ in 0..2 {
                self.events
                    .push_back(Event::Terminate { why: "the state directory is another's".to_owned() });
            }
        }
        self.record(event::Event::new(now.wall, "directory-lost", why));
        for line in std::mem::take(&mut self.later.log) {
            self.own_log.write(format!("{line}\n").as_bytes());
        }
    }
}
