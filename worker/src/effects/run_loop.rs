//! The loop: one thread, one wait, one mind.
//!
//! While work is under way it keeps asking [`Hands::breathe`] whether to go on; there the same mind hears signals, messages and
//! the supervisor's end, so that nothing has to wait for the work — except for more work.

use std::collections::VecDeque;
use std::time::Duration;

use tachi_shared::clock;
use tachi_shared::task::{Board, TaskStore};

use super::children;
use super::hands::Hands;
use crate::backend::builtin::Site;
use crate::error::Result;
use crate::turn::{Action, Event, Turn, next};

/// While working, the ears are opened this often at most.
const BREATH: Duration = Duration::from_millis(20);

/// One instance at work.
pub(super) struct Runner {
    pub(super) hands: Hands,
    pub(super) turn: Turn,
    pub(super) site: Site,
    pub(super) tasks: TaskStore,
}

/// Where an answer finds the board: in the store, or lent out to work.
enum Facts<'a> {
    Store(&'a mut TaskStore),
    Lent(&'a Board),
}

impl Runner {
    /// Puts the parts together.
    pub(super) fn new(hands: Hands, turn: Turn, site: Site, tasks: TaskStore) -> Self {
        Self { hands, turn, site, tasks }
    }

    /// Runs until the instance has left; returns the exit code.
    ///
    /// # Errors
    /// When the system refuses to let us wait.
    pub(super) fn run(mut self, damaged: Option<String>) -> Result<u8> {
        let end = self.hands.queue_end();
        self.feed(Event::Started { end, damaged });
        if let Some(event) = self.hands.senses.look_at_supervisor() {
            self.feed(event);
        }
        loop {
            for event in self.listen()? {
                self.feed(event);
            }
            if let Some(why) = self.hands.broken.take() {
                self.feed(Event::Broken(why));
            }
            if let Some(work) = self.hands.pending.pop_front() {
                let event = self.work(work);
                self.feed(event);
            }
            if let Some(code) = self.hands.left {
                return Ok(code);
            }
        }
    }

    /// Waits, unless there is work; the tick comes when its time is up, whether or not anything else happened.
    fn listen(&mut self) -> Result<Vec<Event>> {
        let mut timeout = Duration::ZERO;
        if self.hands.pending.is_empty() {
            children::bury();
            self.hands.journal.flush();
            timeout = self.hands.sleep(&self.turn, clock::now());
        }
        let mut events = self.hands.senses.wait(timeout)?;
        if self.hands.tick_is_due(&self.turn, clock::now()) {
            events.extend(self.hands.senses.look_at_supervisor());
            events.push(Event::Tick);
        }
        Ok(events)
    }

    fn feed(&mut self, event: Event) {
        let facts = Facts::Store(&mut self.tasks);
        feed(&mut self.hands, &mut self.turn, &self.site, facts, event);
    }
}

impl Hands {
    /// Hears what has happened while work goes on; `false` = break it off.
    pub(super) fn breathe(&mut self, turn: &mut Turn, site: &Site, board: &Board, what: &str) -> bool {
        let now = clock::now();
        if now.mono.since(self.breathed) < BREATH {
            return !turn.is_leaving();
        }
        self.breathed = now.mono;
        let mut events = self.senses.wait(Duration::ZERO).unwrap_or_default();
        if self.tick_is_due(turn, now) {
            events.extend(self.senses.look_at_supervisor());
            events.push(Event::Tick);
        }
        events.push(Event::Progress(what.to_owned()));
        for event in events {
            feed(self, turn, site, Facts::Lent(board), event);
        }
        !turn.is_leaving()
    }
}

/// Tells the mind, carries out what it asks for, tells it what came of that, depth first.
fn feed(hands: &mut Hands, turn: &mut Turn, site: &Site, mut facts: Facts<'_>, event: Event) {
    let mut actions = VecDeque::from(next(turn, event, clock::now()));
    while let Some(action) = actions.pop_front() {
        let outcome = match action {
            Action::Answer(message) => match &mut facts {
                Facts::Lent(board) => hands.answer(turn, site, board, &message),
                Facts::Store(tasks) => match tasks.board() {
                    Ok(board) => hands.answer(turn, site, board, &message),
                    Err(_) => hands.answer(turn, site, &Board::default(), &message),
                },
            },
            other => hands.carry_out(turn, other),
        };
        if let Some(event) = outcome {
            for action in next(turn, event, clock::now()).into_iter().rev() {
                actions.push_front(action);
            }
        }
    }
}
