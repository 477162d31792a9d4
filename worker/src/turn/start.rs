//! The first steps: heartbeat → outbox of the predecessor → hook → inbox → patrol (DESIGN §8) — pure.

use serde_json::Value;
use tachi_shared::clock::Now;
use tachi_shared::id::{Recipient, Seq};
use tachi_shared::log::Cursor;
use tachi_shared::queue::MessageKind;

use super::action::{Action, Step};
use super::next::proceed;
use super::state::{JOINED, Phase, Turn, WORK_SILENCE};

/// One commit says that this start lives, is ready, and what it will say; then what is owed goes out.
pub(super) fn started(turn: &mut Turn, out: &mut Vec<Action>, end: Seq, damaged: Option<String>, now: Now) {
    if let Some(reason) = damaged {
        turn.log(out, now, &format!("the state file was set aside: {reason}"));
        out.push(Action::Record { kind: "rejected", text: format!("instance state set aside: {reason}") });
    }
    if turn.file.inbox.is_none() {
        turn.file.inbox = Some(Cursor::default());
        turn.file.extra.insert(JOINED.to_owned(), Value::from(end.0));
    }
    let owed = turn.file.outbox.len();
    let text =
        format!("{} ({}) started, incarnation {}", turn.who.me.id, turn.who.me.role, turn.who.incarnation);
    let presence = turn.draft(Recipient::Broadcast, MessageKind::Presence, &text, now);
    turn.file.outbox.push(presence);
    turn.file.running = true;
    turn.file.ready_at = Some(now.wall);
    turn.doing("Starting", WORK_SILENCE, now);
    turn.step(out, now, Step::Heartbeat, &format!("incarnation {}", turn.who.incarnation));
    let text = match owed {
        0 => "nothing owed by the predecessor".to_owned(),
        n => format!("{n} message(s) of the predecessor to finish"),
    };
    turn.step(out, now, Step::Outbox, &text);
    turn.commit(out, now);
    out.push(Action::Announce);
    out.push(Action::ReadControl);
    out.push(Action::Send { again: owed > 0 });
}

/// What was owed is in the queue; that is committed with whatever comes next.
pub(super) fn sent(turn: &mut Turn, out: &mut Vec<Action>, now: Now) {
    turn.file.outbox.clear();
    turn.unsaved = true;
    if turn.phase == Phase::Outbox {
        proceed(turn, out, now);
    }
}

/// Still owed: said once, tried again at the next tick.
pub(super) fn unsent(turn: &mut Turn, out: &mut Vec<Action>, reason: &str, now: Now) {
    turn.trouble(out, now, &format!("cannot send yet: {reason}"));
}
