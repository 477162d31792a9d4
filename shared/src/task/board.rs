//! The board: fold of task events — pure.
//!
//! The same fold runs live and at recovery. It trusts nothing: an event that makes no sense in the state it meets changes
//! nothing but the position, so no damaged or hand-written line can give a task two owners or finish it twice.
//! Deliberately absent: judging what may be asked ([`super::judge`]) and time (events carry it).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::change::TaskEvent;
pub use super::row::{Owner, Proposal, Task, TaskStatus, Vote};
use crate::clock::{Mono, Timestamp};
use crate::id::{InstanceId, Seq, TaskId};

/// Attempts that may fail before a task is given up.
pub const ATTEMPTS_MAX: u32 = 5;

/// Owners that may die over a task before it is given up. Far above what a person kills by hand (those deaths are no fault
/// of the task), and still a bound for a task that kills whoever touches it.
pub const LOSSES_MAX: u32 = 30;

/// Everything on the board.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// Position of the last event folded in.
    pub seq: Seq,
    /// All tasks. Change them through [`Board::apply`] only: the indexes below follow it.
    pub tasks: BTreeMap<TaskId, Task>,
    /// All proposals.
    pub proposals: BTreeMap<TaskId, Proposal>,
    /// Claimable tasks, so that a claim does not search a board of thousands.
    open: BTreeSet<TaskId>,
    /// Tasks somebody works on.
    working: BTreeSet<TaskId>,
    /// For each blocked task, how many of its needs are not done.
    missing: BTreeMap<TaskId, usize>,
    /// For each needed task, who waits for it.
    waiting: BTreeMap<TaskId, Vec<TaskId>>,
}

impl Board {
    /// Folds one event in; an event that makes no sense in this state changes nothing but `seq`.
    pub fn apply(&mut self, seq: Seq, event: &TaskEvent) {
        self.seq = self.seq.max(seq);
        match event {
            TaskEvent::Added { .. } => self.added(event),
            TaskEvent::Claimed { .. } => self.claimed(seq, event),
            TaskEvent::Renewed { task, fence, expires, .. } => {
                if let Some(owner) = self.held_mut(task, *fence).and_then(|task| task.owner.as_mut()) {
                    owner.expires = *expires;
                }
            }
            TaskEvent::Done { task, fence, result, by, at } => self.done(task, *fence, result, by, *at),
            TaskEvent::Failed { task, fence, reason, by, at } => {
                if let Some(held) = self.held_mut(task, *fence) {
                    held.failures = held.failures.saturating_add(1);
                    held.history.push(format!("failed by {by}: {reason}"));
                    let last = held.failures >= ATTEMPTS_MAX;
                    self.give_back(task, last.then_some((by, *at)));
                }
            }
            TaskEvent::Released { task, fence, reason, at, .. } => {
                if let Some(held) = self.held_mut(task, *fence) {
                    let owner = held.owner.clone();
                    held.losses = held.losses.saturating_add(1);
                    held.history.push(format!("released: {reason}"));
                    let last = owner.filter(|_| held.losses >= LOSSES_MAX).map(|owner| owner.instance);
                    self.give_back(task, last.as_ref().map(|owner| (owner, *at)));
                }
            }
            TaskEvent::Cancelled { task, reason, at, .. } => self.cancelled(task, reason, *at),
            TaskEvent::Proposed { proposal, text, payload, by, .. } => {
                self.proposals.entry(proposal.clone()).or_insert_with(|| Proposal {
                    id: proposal.clone(),
                    text: text.clone(),
                    payload: payload.clone(),
                    by: by.clone(),
                    votes: BTreeMap::new(),
                });
            }
            TaskEvent::Voted { proposal, approve, reason, by, at } => {
                if let Some(proposal) = self.proposals.get_mut(proposal) {
                    let vote = Vote { approve: *approve, reason: reason.clone(), at: *at };
                    proposal.votes.entry(by.to_string()).or_insert(vote);
                }
            }
        }
    }

    /// Tasks that can be claimed now, in order of their ids.
    pub fn ready(&self) -> impl Iterator<Item = &Task> {
        self.open.iter().filter_map(|id| self.tasks.get(id))
    }

    /// Tasks somebody works on, in order of their ids.
    pub fn in_work(&self) -> impl Iterator<Item = &Task> {
        self.working.iter().filter_map(|id| self.tasks.get(id))
    }

    /// Tasks whose lease has run out. Before taking one, look whether its owner's alive lock is free: a slow owner is not
    /// a dead one.
    pub fn overdue<'a>(&'a self, now: Mono, boot_id: &'a str) -> impl Iterator<Item = &'a Task> {
        self.in_work()
            .filter(move |task| task.owner.as_ref().is_some_and(|owner| owner.expired(now, boot_id)))
    }

    fn added(&mut self, event: &TaskEvent) {
        let TaskEvent::Added { task, title, needs, payload, at, .. } = event else { return };
        if self.tasks.contains_key(task) {
            return;
        }
        let needs: BTreeSet<TaskId> = needs.iter().cloned().collect();
        let unmet: Vec<&TaskId> = needs.iter().filter(|need| !self.is_done(need)).collect();
        let missing = unmet.len();
        for need in unmet {
            self.waiting.entry(need.clone()).or_default().push(task.clone());
        }
        let status = if missing == 0 { TaskStatus::Open } else { TaskStatus::Blocked };
        if missing == 0 {
            self.open.insert(task.clone());
        } else {
            self.missing.insert(task.clone(), missing);
        }
        self.tasks.insert(
            task.clone(),
            Task {
                id: task.clone(),
                title: title.clone(),
                status,
                needs: needs.into_iter().collect(),
                payload: payload.clone(),
                owner: None,
                attempts: 0,
                failures: 0,
                losses: 0,
                history: Vec::new(),
                result: Value::Null,
                created_at: *at,
                finished_at: None,
                finished_by: None,
            },
        );
    }

    /// A claim of an open task, or of one whose owner's claim was judged void when the event was recorded.
    fn claimed(&mut self, seq: Seq, event: &TaskEvent) {
        let TaskEvent::Claimed { task: id, by, incarnation, expires, boot_id, at } = event else { return };
        let Some(task) = self.tasks.get_mut(id) else { return };
        match (&task.status, &task.owner) {
            (TaskStatus::Open, None) => {}
            (TaskStatus::Claimed, Some(lost)) => {
                let line =
                    format!("lost by {} start {}, taken over by {by}", lost.instance, lost.incarnation);
                task.losses = task.losses.saturating_add(1);
                task.history.push(line);
            }
            _ => return,
        }
        task.status = TaskStatus::Claimed;
        task.attempts = task.attempts.saturating_add(1);
        task.owner = Some(Owner {
            instance: by.clone(),
            incarnation: *incarnation,
            fence: seq,
            since: *at,
            expires: *expires,
            boot_id: boot_id.clone(),
        });
        self.open.remove(id);
        self.working.insert(id.clone());
    }

    fn done(&mut self, id: &TaskId, fence: Seq, result: &Value, by: &InstanceId, at: Timestamp) {
        let Some(task) = self.held_mut(id, fence) else { return };
        task.result = result.clone();
        task.history.push(format!("done by {by}"));
        self.finish(id, TaskStatus::Done, Some(by), at);
        for waiter in self.waiting.remove(id).unwrap_or_default() {
            let Some(missing) = self.missing.get_mut(&waiter) else { continue };
            *missing = missing.saturating_sub(1);
            if *missing == 0 {
                self.missing.remove(&waiter);
                if let Some(task) = self.tasks.get_mut(&waiter) {
                    task.status = TaskStatus::Open;
                    self.open.insert(waiter);
                }
            }
        }
    }

    fn cancelled(&mut self, id: &TaskId, reason: &str, at: Timestamp) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if matches!(task.status, TaskStatus::Done | TaskStatus::Failed | TaskStatus::Cancelled) {
            return;
        }
        task.history.push(format!("cancelled: {reason}"));
        self.finish(id, TaskStatus::Cancelled, None, at);
    }

    /// Ends a claim without a result: open again, or given up for good.
    fn give_back(&mut self, id: &TaskId, last: Option<(&InstanceId, Timestamp)>) {
        match last {
            Some((by, at)) => self.finish(id, TaskStatus::Failed, Some(by), at),
            None => {
                let Some(task) = self.tasks.get_mut(id) else { return };
                task.status = TaskStatus::Open;
                task.owner = None;
                self.working.remove(id);
                self.open.insert(id.clone());
            }
        }
    }

    fn finish(&mut self, id: &TaskId, status: TaskStatus, by: Option<&InstanceId>, at: Timestamp) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.status = status;
        task.owner = None;
        task.finished_at = Some(at);
        task.finished_by = by.cloned();
        self.open.remove(id);
        self.working.remove(id);
        self.missing.remove(id);
    }

    fn is_done(&self, id: &TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| task.status == TaskStatus::Done)
    }

    /// The task, if `fence` is that of its current claim.
    #[must_use]
    pub fn held(&self, id: &TaskId, fence: Seq) -> Option<&Task> {
        self.tasks.get(id).filter(|task| task.owner.as_ref().is_some_and(|owner| owner.fence == fence))
    }

    fn held_mut(&mut self, id: &TaskId, fence: Seq) -> Option<&mut Task> {
        self.tasks.get_mut(id).filter(|task| task.owner.as_ref().is_some_and(|owner| owner.fence == fence))
    }
}
