//! Board, claim, outcome — pure.
//!
//! Order of one task: claim → commit the hook → perform (publishes its artifact) → commit what will be said → board → commit
//! the empty hook with the outbox → send. Killed anywhere, a successor finds on hook and board what is left to do.

use std::time::Duration;

use tachi_shared::clock::Now;
use tachi_shared::id::{Recipient, TaskId};
use tachi_shared::instance::Hook;
use tachi_shared::queue::Draft;

use super::action::{Action, Plan, PlanEnd, Step, Work};
use super::event::{HookFate, Look, Settlement};
use super::next::{proceed, rest};
use super::state::{LOST_CLAIMS_MAX, Phase, Turn, WORK_SILENCE};
use crate::backend::builtin::{Duty, Outcome, Remember, Say};

/// A state file costs a sync: progress is not shown more often.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// Without news the proof of life is still renewed, and so is the lease.
const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// The board was looked at.
pub(super) fn seen(turn: &mut Turn, out: &mut Vec<Action>, look: &Look, now: Now) {
    turn.unfinished = look.unfinished;
    let task = assignment(turn, out, look, now);
    let first = !turn.steps.contains(&Step::Hook);
    note_hook(turn, out, look.hook, now);
    if !first && !turn.file.paused && !super::inbox::is_first(turn) {
        turn.step(out, now, Step::Patrol, "looking for work");
    }
    match (task, &look.duty) {
        _ if turn.file.paused => rest(turn, out, now),
        (Some(task), _) => claim(turn, out, task, now),
        _ if super::inbox::is_due(turn) => proceed(turn, out, now),
        (None, Duty::Claim(task)) => claim(turn, out, task.clone(), now),
        (None, Duty::Survey) => {
            turn.doing("listing the workspace", WORK_SILENCE, now);
            turn.commit(out, now);
            turn.phase = Phase::Working;
            out.push(Action::Work(Work::Survey));
        }
        (None, Duty::Rest) => {
            turn.lost_claims = 0;
            rest(turn, out, now);
        }
    }
}

/// What this instance already holds comes before anything new; a hook whose task is over is dropped.
fn assignment(turn: &mut Turn, out: &mut Vec<Action>, look: &Look, now: Now) -> Option<TaskId> {
    match look.hook {
        HookFate::Live => turn.file.hook.as_ref().map(|hook| hook.task.clone()),
        HookFate::Empty => look.left_behind.clone(),
        HookFate::Finished | HookFate::Gone => {
            if let Some(hook) = turn.file.hook.take() {
                let done = look.hook == HookFate::Finished;
                if done {
                    turn.file.outbox.extend(hook.owed);
                    out.push(Action::RingTasks);
                }
                turn.log(
                    out,
                    now,
                    &format!("{} is {}", hook.title, if done { "done" } else { "not ours any more" }),
                );
                turn.commit_and_send(out, now);
            }
            look.left_behind.clone()
        }
    }
}

fn note_hook(turn: &mut Turn, out: &mut Vec<Action>, fate: HookFate, now: Now) {
    let text = match (fate, &turn.file.hook) {
        (HookFate::Live, Some(hook)) => format!("going on with {}", hook.title),
        (HookFate::Finished, _) => "done already".to_owned(),
        (HookFate::Gone, _) => "not ours any more".to_owned(),
        _ => "empty".to_owned(),
    };
    turn.step(out, now, Step::Hook, &text);
}

fn claim(turn: &mut Turn, out: &mut Vec<Action>, task: TaskId, now: Now) {
    if turn.lost_claims >= LOST_CLAIMS_MAX {
        return rest(turn, out, now);
    }
    turn.phase = Phase::Busy;
    out.push(Action::Work(Work::Claim(task)));
}

/// The hook is committed before the work begins.
pub(super) fn claimed(turn: &mut Turn, out: &mut Vec<Action>, hook: Hook, now: Now) {
    turn.lost_claims = 0;
    turn.renewed_at = now.mono;
    turn.doing(&hook.title, WORK_SILENCE, now);
    turn.file.hook = Some(hook.clone());
    turn.commit(out, now);
    turn.phase = Phase::Working;
    out.push(Action::Work(Work::Perform(hook)));
}

/// Somebody was faster.
pub(super) fn claim_lost(turn: &mut Turn, out: &mut Vec<Action>, task: &TaskId, reason: &str, now: Now) {
    if turn.file.hook.as_ref().is_some_and(|hook| hook.task == *task) {
        turn.log(out, now, &format!("{task} cannot be gone on with: {reason}"));
    }
    turn.lost_claims = turn.lost_claims.saturating_add(1);
    proceed(turn, out, now);
}

/// Shows what is being done, rarely enough.
pub(super) fn progress(turn: &mut Turn, out: &mut Vec<Action>, what: &str, now: Now) {
    if turn.phase != Phase::Working {
        return;
    }
    let age = now.mono.since(turn.committed_at);
    if age >= RENEWED_EVERY || (age >= SHOWN_EVERY && turn.file.current_task != what) {
        let text = if what.is_empty() { turn.file.current_task.clone() } else { what.to_owned() };
        turn.doing(&text, WORK_SILENCE, now);
        turn.commit(out, now);
    }
    if now.mono.since(turn.renewed_at) >= RENEWED_EVERY {
        turn.renewed_at = now.mono;
        if let Some(hook) = turn.file.hook.clone() {
            out.push(Action::Renew(hook));
        }
    }
}

/// Work ended: the plan is committed, then recorded on the board.
pub(super) fn ended(turn: &mut Turn, out: &mut Vec<Action>, outcome: Outcome, now: Now) {
    let end = match outcome {
        Outcome::Interrupted => return proceed(turn, out, now),
        Outcome::Failed(reason) => {
            turn.log(out, now, &format!("failed: {reason}"));
            turn.surveyed |= turn.file.hook.is_none();
            PlanEnd::Failed(reason)
        }
        Outcome::Done { result, changes, mut say, remember } => {
            say.extend(remember.iter().map(Remember::news));
            plan_words(turn, out, say, now);
            PlanEnd::Done { result, changes, remember }
        }
    };
    let plan = Box::new(Plan { hook: turn.file.hook.clone(), end });
    turn.phase = Phase::Settling(plan.clone());
    out.push(Action::Work(Work::Settle(plan)));
}

/// Keeps what will be said with the hook, so that it is said exactly if the task is done by us.
fn plan_words(turn: &mut Turn, out: &mut Vec<Action>, say: Vec<Say>, now: Now) {
    let words: Vec<Draft> =
        say.into_iter().map(|say| turn.draft(Recipient::Broadcast, say.kind, &say.text, now)).collect();
    match &mut turn.file.hook {
        Some(hook) if words.is_empty() => hook.owed.clear(),
        Some(hook) => {
            hook.owed = words;
            turn.commit(out, now);
        }
        None => turn.file.outbox.extend(words),
    }
}

/// The board knows, or refused.
pub(super) fn settled(turn: &mut Turn, out: &mut Vec<Action>, settlement: Settlement, now: Now) {
    let fruitless = match &turn.phase {
        Phase::Settling(plan) => plan.hook.is_none() && matches!(plan.end, PlanEnd::Failed(_)),
        _ => false,
    };
    match settlement {
        Settlement::Later(reason) => return wait_to_settle(turn, out, &reason, now),
        Settlement::Lost(reason) => {
            turn.log(out, now, &format!("the outcome does not count: {reason}"));
            turn.file.hook = None;
        }
        Settlement::Recorded => {
            turn.file.iteration = turn.file.iteration.saturating_add(1);
            turn.file.last_activity = now.wall;
            match turn.file.hook.take() {
                Some(hook) => {
                    turn.count("tasks");
                    turn.log(out, now, &format!("finished {}", hook.title));
                    turn.file.outbox.extend(hook.owed);
                }
                None => turn.surveyed = true,
            }
        }
    }
    turn.unsaved = true;
    if !turn.file.outbox.is_empty() {
        turn.commit_and_send(out, now);
    }
    if fruitless {
        // The board may ask for the same listing again at once: not before the next poll.
        return rest(turn, out, now);
    }
    proceed(turn, out, now);
}

/// The board could not be written: the plan stays for the next tick.
fn wait_to_settle(turn: &mut Turn, out: &mut Vec<Action>, reason: &str, now: Now) {
    turn.trouble(out, now, &format!("cannot record the outcome yet: {reason}"));
    if let Phase::Settling(plan) = &turn.phase {
        turn.phase = Phase::Unsettled(plan.clone());
    }
}
