//! What a worker knows: its state file, and what only this process knows.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::Value;
use tachi_shared::clock::{Mono, Now};
use tachi_shared::id::{Incarnation, Recipient, Seq};
use tachi_shared::instance::{InstanceState, LOG_LINES};
use tachi_shared::log::Cursor;
use tachi_shared::queue::{Draft, Message, MessageKind};

use super::action::{Action, Plan, Reason, Step};
use crate::backend::builtin::Peer;
use crate::settings::OrphanRule;

/// How long an idle instance may be silent.
pub const IDLE_SILENCE: Duration = Duration::from_secs(60);
/// How long one chunk of work may be silent.
pub const WORK_SILENCE: Duration = Duration::from_secs(30);
/// Safety poll of an idle instance whose supervisor lives (DESIGN §5 rule 5).
pub const SAFETY_POLL: Duration = Duration::from_secs(30);
/// The same while the board holds unfinished work: whoever was to ring may have died before it rang.
pub const UNFINISHED_POLL: Duration = Duration::from_secs(2);
/// The same without a supervisor, and the pause before something failed is tried again.
pub const ALONE_POLL: Duration = Duration::from_secs(1);
/// Claims lost to others in a row before resting until the next ring or poll.
pub const LOST_CLAIMS_MAX: u32 = 5;
/// Longest line kept in the state file, in bytes.
pub const LINE_MAX: usize = 400;
/// Name of the field that remembers where a newcomer joined the queue.
pub const JOINED: &str = "joined";

/// Who this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Id and role.
    pub me: Peer,
    /// Which start.
    pub incarnation: Incarnation,
    /// Own pid.
    pub pid: u32,
    /// This boot.
    pub boot_id: String,
}

/// Who watches over this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// A live supervisor.
    Supervised,
    /// None any more, since then.
    Orphaned(Mono),
    /// None from the start: run by hand.
    Alone,
}

/// What the one thread is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Finishing the predecessor's outbox.
    Outbox,
    /// Waiting for the answer to this kind of work.
    Busy,
    /// Performing or listing: progress is expected.
    Working,
    /// The outcome is being recorded.
    Settling(Box<Plan>),
    /// The outcome is not on the board yet; tried again at the next tick.
    Unsettled(Box<Plan>),
    /// Nothing to do.
    Idle,
    /// On the way out.
    Leaving(Reason),
    /// Out.
    Left,
}

/// Messages read together whose answers are not complete.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// Position behind them, committed with the replies.
    pub(super) cursor: Cursor,
    /// Not answered yet, the first one being asked.
    pub(super) asked: VecDeque<Message>,
    /// Replies so far.
    pub(super) replies: Vec<Draft>,
    /// Whether more lay behind them.
    pub(super) more: bool,
}

/// A worker's mind.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Who this is.
    pub who: Identity,
    /// The state file as it is to be.
    pub file: InstanceState,
    /// What the thread is about.
    pub phase: Phase,
    /// Who watches.
    pub guard: Guard,
    /// Whether the tree was listed since the start.
    pub surveyed: bool,
    pub(super) orphan: OrphanRule,
    pub(super) steps: BTreeSet<Step>,
    pub(super) batch: Option<Batch>,
    pub(super) unread: bool,
    pub(super) rung_tasks: bool,
    pub(super) unfinished: bool,
    pub(super) lost_claims: u32,
    pub(super) committed_at: Mono,
    pub(super) renewed_at: Mono,
    pub(super) unsaved: bool,
}

impl Turn {
    /// The mind of a start that continues from what its predecessor left, if anything.
    #[must_use]
    pub fn new(
        who: Identity,
        predecessor: Option<InstanceState>,
        guard: Guard,
        orphan: OrphanRule,
        now: Now,
    ) -> Self {
        let file = file_of(&who, predecessor, now);
        Self {
            who,
            file,
            phase: Phase::Outbox,
            guard,
            surveyed: false,
            orphan,
            steps: BTreeSet::new(),
            batch: None,
            unread: false,
            rung_tasks: false,
            unfinished: false,
            lost_claims: 0,
            committed_at: now.mono,
            renewed_at: now.mono,
            unsaved: true,
        }
    }

    /// Whether the process is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_) | Phase::Left)
    }

    /// How long the loop may sleep if nothing happens.
    #[must_use]
    pub fn rest(&self, now: Now) -> Duration {
        let owed = self.unsaved || !self.file.outbox.is_empty() || matches!(self.phase, Phase::Unsettled(_));
        let unread = self.unread && !self.file.paused && self.batch.is_none();
        let poll = if owed || unread || self.guard != Guard::Supervised {
            ALONE_POLL
        } else if self.unfinished && !self.file.paused {
            UNFINISHED_POLL
        } else {
            SAFETY_POLL
        };
        match self.orphan_deadline() {
            Some(deadline) => poll.min(deadline.since(now.mono)),
            None => poll,
        }
    }

    /// When an orphan's time is up.
    pub(super) fn orphan_deadline(&self) -> Option<Mono> {
        match (self.guard, self.orphan) {
            (Guard::Orphaned(since), OrphanRule::Grace(grace)) => Some(since.after(grace)),
            (Guard::Orphaned(since), OrphanRule::Stop) => Some(since),
            _ => None,
        }
    }

    /// A new message of this instance, with the next id.
    pub(super) fn draft(&mut self, to: Recipient, kind: MessageKind, text: &str, now: Now) -> Draft {
        self.file.sent = self.file.sent.saturating_add(1);
        let id = format!("{}.{}.{}", self.who.me.id, self.who.incarnation, self.file.sent);
        Draft::new(to, self.who.me.id.as_str(), kind, id, now.wall, text)
    }

    /// Tells people: in the state file's last lines and on the output.
    pub(super) fn log(&mut self, actions: &mut Vec<Action>, now: Now, text: &str) {
        let line = format!("{} {}", now.wall, one_line(text));
        if self.file.logs.len() >= LOG_LINES {
            let surplus = self.file.logs.len() + 1 - LOG_LINES;
            self.file.logs.drain(..surplus);
        }
        self.file.logs.push(line.clone());
        self.unsaved = true;
        actions.push(Action::Print(line));
    }

    /// As [`Turn::log`], but a trouble that lasts is told once.
    pub(super) fn trouble(&mut self, actions: &mut Vec<Action>, now: Now, text: &str) {
        if !self.file.logs.last().is_some_and(|last| last.ends_with(&one_line(text))) {
            self.log(actions, now, text);
        }
    }

    /// Records one of the first steps, the first time only.
    pub(super) fn step(&mut self, actions: &mut Vec<Action>, now: Now, step: Step, text: &str) {
        if self.steps.insert(step) {
            let text = format!("{}: {text}", step.word());
            self.log(actions, now, &text);
            actions.push(Action::Record { kind: "step", text });
        }
    }

    /// Says what is being done, and until when it may be silent.
    pub(super) fn doing(&mut self, text: &str, silence: Duration, now: Now) {
        self.file.current_task = one_line(text);
        self.file.last_activity = now.wall;
        self.file.progress_at = now.mono;
        self.file.busy_until = Some(now.mono.after(silence));
        self.unsaved = true;
    }

    /// Asks for the state file to be replaced.
    pub(super) fn commit(&mut self, actions: &mut Vec<Action>, now: Now) {
        self.committed_at = now.mono;
        self.unsaved = false;
        actions.push(Action::Commit);
    }

    /// Commits the plan in the outbox, then carries it out.
    pub(super) fn commit_and_send(&mut self, actions: &mut Vec<Action>, now: Now) {
        self.commit(actions, now);
        if !self.file.outbox.is_empty() {
            actions.push(Action::Send { again: false });
        }
    }

    /// One more of something, for people.
    pub(super) fn count(&mut self, what: &str) {
        let count = self.file.usage.get(what).and_then(Value::as_u64).unwrap_or(0);
        self.file.usage.insert(what.to_owned(), Value::from(count.saturating_add(1)));
    }

    /// The file could not be replaced: try again at the next tick.
    pub fn not_committed(&mut self) {
        self.unsaved = true;
    }

    /// Broadcasts up to here are older than this instance.
    pub(super) fn joined(&self) -> Seq {
        Seq(self.file.extra.get(JOINED).and_then(Value::as_u64).unwrap_or(0))
    }
}

/// The state file a start begins with: everything owed and remembered stays, everything about the process is new.
fn file_of(who: &Identity, predecessor: Option<InstanceState>, now: Now) -> InstanceState {
    let fresh = InstanceState {
        schema: 1,
        instance_id: who.me.id.clone(),
        instance_role: who.me.role.clone(),
        incarnation: who.incarnation,
        pid: who.pid,
        boot_id: who.boot_id.clone(),
        running: false,
        current_task: "Starting".to_owned(),
        iteration: 0,
        last_activity: now.wall,
        progress_at: now.mono,
        busy_until: Some(now.mono.after(WORK_SILENCE)),
        ready_at: None,
        last_message_check: None,
        inbox: None,
        taken: None,
        tries: std::collections::BTreeMap::new(),
        outbox: Vec::new(),
        sent: 0,
        hook: None,
        paused: false,
        logs: Vec::new(),
        usage: serde_json::Map::new(),
        extra: serde_json::Map::new(),
    };
    match predecessor {
        None => fresh,
        Some(old) => InstanceState {
            iteration: old.iteration,
            last_message_check: old.last_message_check,
            inbox: old.inbox,
            tries: old.tries,
            outbox: old.outbox,
            sent: old.sent,
            hook: old.hook,
            logs: old.logs,
            usage: old.usage,
            extra: old.extra,
            ..fresh
        },
    }
}

/// Text on one line, cut at a character boundary: messages of others may not forge lines of the log.
fn one_line(text: &str) -> String {
    let mut line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE_MAX).collect();
    while line.len() > LINE_MAX {
        line.pop();
    }
    line
}
