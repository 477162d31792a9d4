//! Carries out whatever the mind asks for that needs no board; work on the board is put aside for the loop.

use std::collections::VecDeque;
use std::time::Duration;

use tachi_shared::clock::{self, Mono, Now};
use tachi_shared::id::Seq;
use tachi_shared::instance::{ExitRecord, Hook, InstanceStore};
use tachi_shared::log::{DeadLetter, dead_letter};
use tachi_shared::os::Disk;
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::queue::{Message, Queue};
use tachi_shared::registry::Desired;
use tachi_shared::store::Store;
use tachi_shared::task::{Change, TaskStore};

use super::inbox::{Mailbox, Team};
use super::journal::Journal;
use super::outbox::{Postman, wake};
use super::output::Output;
use super::row;
use super::senses::Senses;
use crate::error::{EXIT_FAILED, EXIT_OK};
use crate::settings::Settings;
use crate::turn::{Action, Event, Reason, Turn, Work};

/// How long the board's lock is waited for.
pub(super) const BOARD_PATIENCE: Duration = Duration::from_secs(2);

/// The instance's files and ears.
pub(super) struct Hands {
    /// What was settled at the start.
    pub(super) settings: Settings,
    /// The state directory.
    pub(super) store: Store,
    /// What is listened to.
    pub(super) senses: Senses,
    /// Who else is there.
    pub(super) team: Team,
    /// Lines for `events/`.
    pub(super) journal: Journal,
    /// Work asked for and not begun.
    pub(super) pending: VecDeque<Work>,
    /// Exit code, once everything is done.
    pub(super) left: Option<u8>,
    /// Why the loop cannot go on, until the mind has heard it.
    pub(super) broken: Option<String>,
    instance: InstanceStore,
    queue: Queue,
    mailbox: Mailbox,
    postman: Postman,
    output: Output,
    renewals: Option<TaskStore>,
    committed: bool,
    /// When the ears were opened last during work.
    pub(super) breathed: Mono,
    started: Mono,
    ticked: Mono,
}

impl Hands {
    /// Opens the instance's own files.
    pub(super) fn new(settings: Settings, store: Store, senses: Senses) -> Self {
        let now = clock::now().mono;
        Self {
            team: Team::new(store.dir().clone(), store.registry()),
            journal: Journal::new(store.events()),
            instance: store.instance(&settings.id),
            queue: store.queue(),
            mailbox: Mailbox::new(),
            postman: Postman::new(),
            output: Output::new(store.dir().log_file(&settings.id)),
            pending: VecDeque::new(),
            left: None,
            broken: None,
            renewals: None,
            committed: false,
            breathed: now,
            started: now,
            ticked: now,
            settings,
            store,
            senses,
        }
    }

    /// Whether the safety poll is due although the loop never slept; notes that it is made.
    pub(super) fn tick_is_due(&mut self, turn: &Turn, now: Now) -> bool {
        let due = now.mono.since(self.ticked) >= turn.rest(now);
        if due {
            self.ticked = now.mono;
        }
        due
    }

    /// How long the loop may sleep.
    pub(super) fn sleep(&self, turn: &Turn, now: Now) -> Duration {
        turn.rest(now).saturating_sub(now.mono.since(self.ticked))
    }

    /// The end of the queue now.
    pub(super) fn queue_end(&self) -> Seq {
        self.queue.end().map(|cursor| cursor.seq).unwrap_or_default()
    }

    /// Does one thing; what comes of it at once is returned.
    pub(super) fn carry_out(&mut self, turn: &mut Turn, action: Action) -> Option<Event> {
        match action {
            Action::Commit => self.commit(turn),
            Action::Send { again } => return Some(self.send(turn, again)),
            Action::Record { kind, text } => self.journal.note(&turn.who, clock::now().wall, kind, &text),
            Action::Print(line) => self.output.line(&line),
            Action::ReadInbox => {
                let (cursor, now) = (turn.file.inbox.as_ref(), clock::now());
                return Some(self.mailbox.take(&self.queue, &turn.who, cursor, &mut self.team, now));
            }
            Action::ReadControl => return self.read_control(turn),
            Action::Announce => self.announce(turn),
            Action::GiveUp(message, why) => self.give_up(turn, &message, &why),
            Action::Renew(hook) => self.renew(&hook),
            Action::RingTasks => self.store.tasks().wake(Some(&turn.who.me.id)),
            Action::RingSupervisor => self.ring_supervisor(),
            Action::Work(work) => self.pending.push_back(work),
            Action::Leave(reason) => self.leave(turn, &reason),
            Action::Answer(_) => {}
        }
        None
    }

    fn commit(&mut self, turn: &mut Turn) {
        match self.instance.replace(&turn.file) {
            Ok(()) => self.committed = true,
            Err(error) => {
                let news = std::mem::replace(&mut self.committed, false);
                turn.not_committed();
                if error.is_not_found() {
                    self.broken = Some(format!("the state directory is gone: {error}"));
                } else if news {
                    self.output.line(&format!("{} cannot save: {error}", clock::now().wall));
                }
            }
        }
    }

    fn give_up(&mut self, turn: &Turn, message: &Message, why: &str) {
        let (by, now) = (turn.who.me.id.as_str(), clock::now().wall);
        let letter = DeadLetter::message(now, message.seq, by, why, &message.draft.text());
        if let Err(error) = dead_letter::add(&Disk, self.store.dir(), &[letter], BOARD_PATIENCE) {
            self.output.line(&format!("{now} cannot list message {} as given up: {error}", message.seq));
        }
    }

    /// A plan that is not committed is not carried out.
    fn send(&mut self, turn: &Turn, again: bool) -> Event {
        if !self.committed {
            return Event::Unsent("the state file could not be written".to_owned());
        }
        let since = turn.file.inbox.clone().unwrap_or_default();
        match self.postman.send(&mut self.queue, &turn.file.outbox, again, &since) {
            Ok(()) => {
                wake(&self.queue, &turn.file.outbox);
                Event::Sent
            }
            Err(error) => Event::Unsent(error.to_string()),
        }
    }

    fn read_control(&mut self, turn: &Turn) -> Option<Event> {
        let registry = self.team.registry()?;
        let row = registry.row(&turn.who.me.id)?;
        Some(Event::Control { paused: row.desired == Desired::Paused })
    }

    /// While a supervisor lives it alone writes the rows of what it started.
    fn writes_row(&self) -> bool {
        self.settings.incarnation.is_none() || !self.senses.is_supervised()
    }

    fn announce(&mut self, turn: &Turn) {
        if self.writes_row() {
            let mut registry = self.store.registry();
            if let Err(error) = row::register(&mut registry, &turn.who, &self.settings, clock::now()) {
                self.output.line(&format!("{} cannot register: {error}", clock::now().wall));
            }
        }
        self.ring_supervisor();
    }

    fn ring_supervisor(&self) {
        ring(&self.store.dir().supervisor_doorbell(), Ring::Instance);
    }

    /// Uses a board of its own, because the one being worked on is lent out; made only when something lasts that long.
    fn renew(&mut self, hook: &Hook) {
        let store = &self.store;
        let change = Change::Renew { task: hook.task.clone(), fence: Seq(hook.fence) };
        let tasks = self.renewals.get_or_insert_with(|| store.tasks());
        if let Err(error) = tasks.change(&change, clock::now(), BOARD_PATIENCE) {
            self.output.line(&format!("{} cannot renew the claim: {error}", clock::now().wall));
        }
    }

    fn leave(&mut self, turn: &Turn, reason: &Reason) {
        let now = clock::now();
        self.journal.note(&turn.who, now.wall, "left", &format!("left: {reason}"));
        self.journal.flush();
        let code = if matches!(reason, Reason::Broken(_)) { EXIT_FAILED } else { EXIT_OK };
        if self.writes_row() {
            let uptime = now.mono.since(self.started);
            let mut registry = self.store.registry();
            let _told_by_the_record =
                row::deregister(&mut registry, &turn.who, &self.settings, reason, uptime, now);
        }
        let record = ExitRecord {
            instance_id: turn.who.me.id.clone(),
            incarnation: turn.who.incarnation,
            pid: turn.who.pid,
            at: now.wall,
            code: Some(i32::from(code)),
            signal: None,
            reason: reason.to_string(),
            last_line: turn.file.logs.last().cloned(),
        };
        if let Err(error) = self.instance.write_exit_record(&record) {
            self.output.line(&format!("{} cannot write last words: {error}", now.wall));
        }
        self.ring_supervisor();
        self.left = Some(code);
    }
}
