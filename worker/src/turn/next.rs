//! `next`: one arm per event, one call per arm — pure.

use std::time::Duration;

use tachi_shared::clock::Now;

use super::action::{Action, Work};
use super::event::Event;
use super::state::{Guard, IDLE_SILENCE, Phase, SAFETY_POLL, Turn};
use super::{inbox, leave, start, work};

/// A proof of life is renewed this long before the next poll could come too late.
const MARGIN: Duration = Duration::from_secs(5);

/// What follows from `event`; changes `turn` and returns what to do, in order.
pub fn next(turn: &mut Turn, event: Event, now: Now) -> Vec<Action> {
    let mut actions = Vec::new();
    let out = &mut actions;
    match event {
        Event::LetGo { freed } => leave::let_go(turn, out, freed, now),
        Event::Sent => start::sent(turn, out, now),
        Event::Settled(settlement) => work::settled(turn, out, settlement, now),
        _ if turn.is_leaving() => {}
        Event::Started { end, damaged } => start::started(turn, out, end, damaged, now),
        Event::Unsent(reason) => start::unsent(turn, out, &reason, now),
        Event::Rung { messages, tasks, control } => rung(turn, out, [messages, tasks, control]),
        Event::Arrived { arrivals, cursor, more, peers } => {
            inbox::arrived(turn, out, inbox::Delivery { arrivals, cursor, more, peers }, now);
        }
        Event::Answered { message, text } => inbox::answered(turn, out, &message, &text, now),
        Event::Control { paused } => control(turn, out, paused, now),
        Event::Board(look) => work::seen(turn, out, &look, now),
        Event::Claimed(hook) => work::claimed(turn, out, hook, now),
        Event::ClaimLost { task, reason } => work::claim_lost(turn, out, &task, &reason, now),
        Event::Progress(what) => work::progress(turn, out, &what, now),
        Event::Ended(outcome) => work::ended(turn, out, outcome, now),
        Event::Unreadable { inbox, why } => unreadable(turn, out, inbox, &why, now),
        Event::SupervisorFound => found(turn, out, now),
        Event::SupervisorLost => leave::supervisor_lost(turn, out, now),
        Event::Terminate(signal) => leave::terminate(turn, out, &signal, now),
        Event::Broken(why) => leave::broken(turn, out, &why, now),
        Event::Tick => tick(turn, out, now),
    }
    actions
}

/// Decides what comes after something ended: the next of the first steps, or a look at the board, or rest.
pub(super) fn proceed(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    if turn.is_leaving() {
        return;
    }
    if leave::overdue(turn, now) {
        return leave::orphaned(turn, out, now);
    }
    if inbox::is_due(turn) {
        turn.phase = Phase::Idle;
        inbox::read(turn, out);
    } else if turn.file.paused {
        rest(turn, out, now);
    } else {
        turn.phase = Phase::Busy;
        turn.rung_tasks = false;
        out.push(Action::Work(Work::Look));
    }
}

/// Nothing to do: says so, once.
pub(super) fn rest(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    turn.phase = Phase::Idle;
    let text = if turn.file.paused { "Paused" } else { "Waiting" };
    let declared = turn.file.busy_until.is_some_and(|until| until >= now.mono.after(SAFETY_POLL + MARGIN));
    if turn.file.current_task != text || !declared {
        turn.doing(text, IDLE_SILENCE, now);
    }
    if turn.unsaved {
        turn.commit(out, now);
    }
    if turn.rung_tasks && !turn.file.paused {
        proceed(turn, out, now);
    }
}

fn rung(turn: &mut Turn, out: &mut Vec<Action>, [messages, tasks, control]: [bool; 3]) {
    if control {
        out.push(Action::ReadControl);
    }
    if messages {
        inbox::read(turn, out);
    }
    if tasks {
        look_if_idle(turn, out);
    }
}

/// Asks for a look at the board, now or as soon as the thread is free.
fn look_if_idle(turn: &mut Turn, out: &mut Vec<Action>) {
    turn.lost_claims = 0;
    if turn.phase == Phase::Idle && !turn.file.paused && !inbox::is_first(turn) {
        turn.phase = Phase::Busy;
        turn.rung_tasks = false;
        out.push(Action::Work(Work::Look));
    } else {
        turn.rung_tasks = true;
    }
}

fn control(turn: &mut Turn, out: &mut Vec<Action>, paused: bool, now: Now) {
    if turn.file.paused == paused {
        return;
    }
    turn.file.paused = paused;
    turn.log(out, now, if paused { "paused on request" } else { "resumed" });
    turn.commit(out, now);
    out.push(Action::RingSupervisor);
    if turn.phase == Phase::Idle {
        proceed(turn, out, now);
    }
}

fn found(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    if matches!(turn.guard, Guard::Orphaned(_)) {
        turn.guard = Guard::Supervised;
        turn.log(out, now, "a supervisor watches over this instance");
        out.push(Action::ReadControl);
        out.push(Action::RingSupervisor);
    }
}

/// The store could not be read: said once, tried again at the next tick.
fn unreadable(turn: &mut Turn, out: &mut Vec<Action>, inbox: bool, why: &str, now: Now) {
    turn.trouble(out, now, why);
    if inbox {
        turn.unread = true;
    } else {
        turn.unfinished = true;
        turn.rung_tasks = false;
        rest(turn, out, now);
    }
}

fn tick(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    if leave::overdue(turn, now) && !matches!(turn.phase, Phase::Working | Phase::Busy) {
        return leave::orphaned(turn, out, now);
    }
    if !turn.file.outbox.is_empty() {
        turn.commit(out, now);
        out.push(Action::Send { again: true });
    }
    if let Phase::Unsettled(plan) = &turn.phase {
        let plan = plan.clone();
        turn.phase = Phase::Busy;
        out.push(Action::Work(Work::Settle(plan)));
    }
    inbox::read(turn, out);
    look_if_idle(turn, out);
    if turn.phase == Phase::Idle {
        rest_quietly(turn, out, now);
    }
}

/// A poll of an instance that may not look at the board (paused): proof of life only.
fn rest_quietly(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    turn.rung_tasks = false;
    rest(turn, out, now);
}
