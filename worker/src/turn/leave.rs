//! Why and how it ends — pure.
//!
//! Leaving needs no look at anybody: children are ended, the claim is freed so that others go on at once, the file says so,
//! the team hears it, last words are written.

use tachi_shared::clock::Now;
use tachi_shared::id::Recipient;
use tachi_shared::queue::MessageKind;

use super::action::{Action, Reason, Work};
use super::state::{Guard, Phase, Turn};
use crate::settings::OrphanRule;

/// A signal asked for it.
pub(super) fn terminate(turn: &mut Turn, out: &mut Vec<Action>, signal: &str, now: Now) {
    begin(turn, out, Reason::Requested(signal.to_owned()), now);
}

/// The loop cannot go on.
pub(super) fn broken(turn: &mut Turn, out: &mut Vec<Action>, why: &str, now: Now) {
    begin(turn, out, Reason::Broken(why.to_owned()), now);
}

/// An orphan's time is up.
pub(super) fn orphaned(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    begin(turn, out, Reason::Orphaned, now);
}

/// Whether an orphan's time is up.
pub(super) fn overdue(turn: &Turn, now: Now) -> bool {
    turn.orphan_deadline().is_some_and(|deadline| deadline <= now.mono)
}

/// The supervisor is gone: leave now, or go on for the grace.
pub(super) fn supervisor_lost(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    if turn.guard != Guard::Supervised {
        return;
    }
    turn.guard = Guard::Orphaned(now.mono);
    match turn.orphan {
        OrphanRule::Stop => orphaned(turn, out, now),
        OrphanRule::Grace(grace) => {
            turn.log(out, now, &format!("no supervisor any more; going on for up to {} s", grace.as_secs()));
        }
    }
}

fn begin(turn: &mut Turn, out: &mut Vec<Action>, reason: Reason, now: Now) {
    if turn.is_leaving() {
        return;
    }
    turn.log(out, now, &format!("leaving: {reason}"));
    // Leaving in order is no fault of the message that is being answered.
    if let Some(first) = turn.batch.take().and_then(|batch| batch.asked.front().map(|first| first.seq)) {
        turn.file.tries.remove(&first);
    }
    turn.phase = Phase::Leaving(reason);
    out.push(Action::Work(Work::LetGo));
}

/// Nothing runs for us any more: the last commit, the last message, the end.
pub(super) fn let_go(turn: &mut Turn, out: &mut Vec<Action>, freed: bool, now: Now) {
    let Phase::Leaving(reason) = turn.phase.clone() else { return };
    if freed {
        turn.file.hook = None;
    }
    let text = format!("{} ({}) stopped: {reason}", turn.who.me.id, turn.who.me.role);
    let presence = turn.draft(Recipient::Broadcast, MessageKind::Presence, &text, now);
    turn.file.outbox.push(presence);
    turn.file.running = false;
    turn.file.current_task = "Stopped".to_owned();
    turn.file.busy_until = None;
    turn.file.last_activity = now.wall;
    turn.log(out, now, "stopped");
    turn.commit(out, now);
    out.push(Action::Send { again: false });
    turn.phase = Phase::Left;
    out.push(Action::Commit);
    out.push(Action::Leave(reason));
}
