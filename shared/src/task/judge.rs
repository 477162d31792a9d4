//! The rules of the board: whether a change is allowed, and what it records — pure.
//!
//! Judged under the lock against the newest state, so that what is recorded is never disputed afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::board::{Board, LOSSES_MAX, Owner, Task, TaskStatus};
use super::change::{Change, NewTask, TaskEvent};
use crate::clock::Now;
use crate::error::{Error, Result};
use crate::id::{Incarnation, InstanceId, Seq, TaskId};

/// How long a claim holds without renewal. Owners renew every few seconds; only an owner that hangs or lost its machine
/// lets it run out, because the dead are released by the supervisor at once.
pub const LEASE: Duration = Duration::from_secs(30);

/// Judges `change` against the board: the events to record, or the reason why not. No events = it is already so.
///
/// # Errors
/// [`Error::Refused`] (wrong state, lost lease, unknown task, cycle).
pub fn decide(board: &Board, change: &Change, now: Now) -> Result<Vec<TaskEvent>> {
    let at = now.wall;
    match change {
        Change::Add(tasks) => add(board, tasks, now),
        Change::Claim { task, by, incarnation, boot_id } => {
            claim(board, task, (by, *incarnation, boot_id), now).map(|event| vec![event])
        }
        Change::Renew { task, fence } => {
            held(board, task, *fence)?;
            let expires = now.mono.after(LEASE);
            Ok(vec![TaskEvent::Renewed { task: task.clone(), fence: *fence, expires, at }])
        }
        Change::Done { task, fence, result, by } => {
            held(board, task, *fence)?;
            let (task, result, by) = (task.clone(), result.clone(), by.clone());
            Ok(vec![TaskEvent::Done { task, fence: *fence, result, by, at }])
        }
        Change::Fail { task, fence, reason, by } => {
            held(board, task, *fence)?;
            let (task, reason, by) = (task.clone(), reason.clone(), by.clone());
            Ok(vec![TaskEvent::Failed { task, fence: *fence, reason, by, at }])
        }
        Change::ReleaseOwner { owner, incarnation, reason, by } => {
            Ok(release(board, owner, *incarnation, (reason, by), now))
        }
        Change::Propose { proposal, text, payload, by } => {
            if board.proposals.contains_key(proposal) {
                return Ok(Vec::new());
            }
            let (text, payload, by) = (text.clone(), payload.clone(), by.clone());
            Ok(vec![TaskEvent::Proposed { proposal: proposal.clone(), text, payload, by, at }])
        }
        Change::Vote { proposal, approve, reason, by } => {
            let known = board
                .proposals
                .get(proposal)
                .ok_or_else(|| Error::Refused(format!("there is no proposal {proposal}")))?;
            if known.votes.contains_key(by.as_str()) {
                return Ok(Vec::new());
            }
            let (reason, by) = (reason.clone(), by.clone());
            Ok(vec![TaskEvent::Voted { proposal: proposal.clone(), approve: *approve, reason, by, at }])
        }
    }
}

/// New tasks that are not on the board yet; all or none. Each comes behind what it needs: a full disk or a death may leave
/// the first few alone, and a task must not wait for one that never came.
fn add(board: &Board, tasks: &[NewTask], now: Now) -> Result<Vec<TaskEvent>> {
    let mut fresh: BTreeMap<&TaskId, &NewTask> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !board.tasks.contains_key(&task.id)) {
        fresh.entry(&task.id).or_insert(task);
    }
    for task in fresh.values() {
        let unknown = |need: &&TaskId| !fresh.contains_key(need) && !board.tasks.contains_key(need);
        if let Some(need) = task.needs.iter().find(unknown) {
            return Err(Error::Refused(format!("task {} needs {need}, which does not exist", task.id)));
        }
    }
    let order = in_order_of_needs(&fresh)?;
    Ok(order.into_iter().filter_map(|id| fresh.get(id)).map(|task| added(task, now)).collect())
}

fn added(task: &NewTask, now: Now) -> TaskEvent {
    TaskEvent::Added {
        task: task.id.clone(),
        title: task.title.clone(),
        needs: task.needs.clone(),
        payload: task.payload.clone(),
        by: task.by.clone(),
        at: now.wall,
    }
}

/// Tasks already on the board need only older ones, so a cycle can lie within one batch alone: take away what needs
/// nothing of the batch until nothing is left, or nothing moves.
fn in_order_of_needs<'a>(fresh: &BTreeMap<&'a TaskId, &'a NewTask>) -> Result<Vec<&'a TaskId>> {
    let mut waits: BTreeMap<&TaskId, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<&TaskId, Vec<&TaskId>> = BTreeMap::new();
    let mut free: VecDeque<&TaskId> = VecDeque::new();
    for (id, task) in fresh {
        let inside: BTreeSet<&TaskId> = task.needs.iter().filter(|need| fresh.contains_key(need)).collect();
        if inside.is_empty() {
            free.push_back(id);
        } else {
            waits.insert(id, inside.len());
        }
        for need in inside {
            waiting.entry(need).or_default().push(id);
        }
    }
    let mut order = Vec::with_capacity(fresh.len());
    while let Some(id) = free.pop_front() {
        order.push(id);
        for waiter in waiting.remove(id).unwrap_or_default() {
            let Some(count) = waits.get_mut(waiter) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                waits.remove(waiter);
                free.push_back(waiter);
            }
        }
    }
    match waits.first_key_value() {
        None => Ok(order),
        Some((id, _)) => {
            Err(Error::Refused(format!("task {id} would wait for itself: its needs form a cycle")))
        }
    }
}

fn claim(board: &Board, id: &TaskId, by: (&InstanceId, Incarnation, &str), now: Now) -> Result<TaskEvent> {
    let (instance, incarnation, boot_id) = by;
    let task = known(board, id)?;
    match (task.status, &task.owner) {
        (TaskStatus::Open, _) => {}
        (TaskStatus::Claimed, Some(owner)) if void(owner, by, now) => {
            if task.losses >= LOSSES_MAX {
                return Err(Error::Refused(format!(
                    "task {id} has lost {} owners, it is not taken over",
                    task.losses
                )));
            }
        }
        (TaskStatus::Claimed, Some(owner)) => {
            return Err(Error::Refused(format!("task {id} is claimed by {}", owner.instance)));
        }
        (status, _) => return Err(Error::Refused(format!("task {id} is {}, not open", status.word()))),
    }
    Ok(TaskEvent::Claimed {
        task: id.clone(),
        by: instance.clone(),
        incarnation,
        expires: now.mono.after(LEASE),
        boot_id: boot_id.to_owned(),
        at: now.wall,
    })
}

/// Whether `by` may take over from `owner`: as its own successor, or because the lease ran out.
fn void(owner: &Owner, by: (&InstanceId, Incarnation, &str), now: Now) -> bool {
    let (instance, incarnation, boot_id) = by;
    let successor = owner.instance == *instance && owner.incarnation < incarnation;
    let older = owner.instance == *instance && owner.incarnation > incarnation;
    successor || (!older && owner.expired(now.mono, boot_id))
}

fn release(
    board: &Board,
    owner: &InstanceId,
    incarnation: Incarnation,
    (reason, by): (&str, &str),
    now: Now,
) -> Vec<TaskEvent> {
    board
        .in_work()
        .filter_map(|task| task.owner.as_ref().map(|held| (task, held)))
        .filter(|(_, held)| held.instance == *owner && held.incarnation <= incarnation)
        .map(|(task, held)| TaskEvent::Released {
            task: task.id.clone(),
            fence: held.fence,
            reason: reason.to_owned(),
            by: by.to_owned(),
            at: now.wall,
        })
        .collect()
}

fn known<'a>(board: &'a Board, id: &TaskId) -> Result<&'a Task> {
    board.tasks.get(id).ok_or_else(|| Error::Refused(format!("there is no task {id}")))
}

/// The task, if `fence` is that of its current claim.
fn held<'a>(board: &'a Board, id: &TaskId, fence: Seq) -> Result<&'a Task> {
    let task = known(board, id)?;
    match &task.owner {
        Some(owner) if owner.fence == fence => Ok(task),
        Some(owner) => {
            Err(Error::Refused(format!("lost lease on task {id}: {} holds it now", owner.instance)))
        }
        None => Err(Error::Refused(format!("lost lease on task {id}: it is {}", task.status.word()))),
    }
}
