//! What arrives and what is answered — pure.
//!
//! Only a human message or a question makes anything think (DESIGN §5 rule 8). The cursor is committed together with the
//! replies it caused, in one file: killed before, a successor reads and answers again; killed after, it only finishes sending.

use tachi_shared::clock::Now;
use tachi_shared::id::{InstanceId, Recipient};
use tachi_shared::log::{Cursor, Gap};
use tachi_shared::queue::{Arrival, Message, MessageKind};

use super::action::{Action, Step};
use super::next::proceed;
use super::state::{Batch, Phase, Turn};
use crate::backend::builtin::Peer;

/// So often a message is begun; one that ended so many starts is given up, so that what lies behind it is reached.
const DELIVERIES_MAX: u32 = 5;

/// What was taken from the inbox.
pub(super) struct Delivery {
    pub(super) arrivals: Vec<Arrival>,
    pub(super) cursor: Cursor,
    pub(super) more: bool,
    pub(super) peers: Vec<Peer>,
}

/// Whether the first reading after the start is still to come.
pub(super) fn is_first(turn: &Turn) -> bool {
    !turn.steps.contains(&Step::Inbox) && turn.steps.contains(&Step::Hook)
}

/// Whether the inbox is to be read before anything else.
pub(super) fn is_due(turn: &Turn) -> bool {
    may_read(turn) && (turn.unread || is_first(turn))
}

/// Not before the hook's turn, not while idling on request, not while earlier messages are being answered.
fn may_read(turn: &Turn) -> bool {
    turn.steps.contains(&Step::Hook) && !turn.file.paused && turn.batch.is_none() && !turn.is_leaving()
}

/// Reads now if that is allowed, else later.
pub(super) fn read(turn: &mut Turn, out: &mut Vec<Action>) {
    turn.unread = !may_read(turn);
    if !turn.unread {
        out.push(Action::ReadInbox);
    }
}

/// Notes what came and has the thinking ones answered, one after the other.
pub(super) fn arrived(turn: &mut Turn, out: &mut Vec<Action>, delivery: Delivery, now: Now) {
    let Delivery { arrivals, cursor, more, peers } = delivery;
    turn.file.last_message_check = Some(now.wall);
    turn.step(out, now, Step::Inbox, &format!("{} new", arrivals.len()));
    let noted = !arrivals.is_empty();
    let mut asked = std::collections::VecDeque::new();
    for arrival in arrivals {
        match arrival {
            Arrival::Gap(gap) => note_gap(turn, out, &gap, now),
            Arrival::Expired(message) => note_expired(turn, out, &message, now),
            Arrival::Message(message) => {
                if is_older_than_us(turn, &message) {
                    continue;
                }
                let text =
                    format!("{} from {}: {}", message.draft.kind, message.draft.from, message.draft.text());
                turn.log(out, now, &text);
                turn.count("messages");
                if message.draft.kind.causes_think() && speaks(&message, &turn.who.me, &peers) {
                    asked.push_back(*message);
                }
            }
        }
    }
    answer_next(turn, out, Batch { cursor, asked, replies: Vec::new(), more }, noted, now);
}

/// Has the next message answered. That it was begun is committed first: a start that dies over it is counted, and senders are
/// shown that it was seen, because an answer may take long.
fn answer_next(turn: &mut Turn, out: &mut Vec<Action>, mut batch: Batch, noted: bool, now: Now) {
    while let Some(first) = batch.asked.pop_front() {
        let tries = turn.file.tries.entry(first.seq).or_default();
        if *tries < DELIVERIES_MAX {
            *tries += 1;
            turn.file.taken = Some(batch.cursor.seq);
            turn.commit(out, now);
            out.push(Action::Answer(Box::new(first.clone())));
            batch.asked.push_front(first);
            turn.batch = Some(batch);
            return;
        }
        let why = format!("{DELIVERIES_MAX} starts ended while they handled it");
        let text = format!("message {} from {} is given up: {why}", first.seq, first.draft.from);
        turn.log(out, now, &text);
        turn.count("dead_letters");
        out.push(Action::Record { kind: "dead-letter", text });
        let answer = format!("This could not be handled and is given up: {why}.");
        batch.replies.push(reply(turn, &first, &answer, now));
        out.push(Action::GiveUp(Box::new(first), why));
    }
    finish(turn, out, batch, noted, now);
}

/// One answer more; after the last one, replies and cursor are committed and sent.
pub(super) fn answered(turn: &mut Turn, out: &mut Vec<Action>, id: &str, text: &str, now: Now) {
    let Some(mut batch) = turn.batch.take() else { return };
    if let Some(message) = batch.asked.front().filter(|message| message.draft.id == id).cloned() {
        batch.asked.pop_front();
        turn.file.tries.remove(&message.seq);
        batch.replies.push(reply(turn, &message, text, now));
        turn.count("answers");
    }
    answer_next(turn, out, batch, true, now);
}

fn finish(turn: &mut Turn, out: &mut Vec<Action>, batch: Batch, noted: bool, now: Now) {
    let moved = turn.file.inbox.as_ref() != Some(&batch.cursor);
    turn.file.inbox = Some(batch.cursor);
    turn.file.taken = None;
    turn.file.tries.clear();
    turn.unsaved |= moved;
    if noted {
        turn.file.iteration = turn.file.iteration.saturating_add(1);
        turn.file.last_activity = now.wall;
    }
    // What is only noted is committed with the next tick or commit: the chatter of a large team costs no sync each.
    if !batch.replies.is_empty() {
        turn.file.outbox.extend(batch.replies);
        turn.commit_and_send(out, now);
    }
    if batch.more || turn.unread {
        read(turn, out);
    } else if turn.phase == Phase::Idle && !turn.steps.contains(&Step::Patrol) {
        proceed(turn, out, now);
    }
}

fn reply(turn: &mut Turn, message: &Message, text: &str, now: Now) -> tachi_shared::queue::Draft {
    let to = InstanceId::new(&message.draft.from).map_or(Recipient::Operator, Recipient::Instance);
    let kind = match message.draft.kind {
        MessageKind::Question => MessageKind::Answer,
        _ => MessageKind::Reply,
    };
    let mut draft = turn.draft(to, kind, text, now);
    draft.reply_to = Some(message.draft.id.clone());
    draft.thread.clone_from(&message.draft.thread);
    draft
}

/// A newcomer gets everything that was ever addressed to it by name, but not what the team told itself before.
fn is_older_than_us(turn: &Turn, message: &Message) -> bool {
    message.seq <= turn.joined() && !matches!(message.draft.to, Recipient::Instance(_))
}

/// Its time is over: it is counted, not handled.
fn note_expired(turn: &mut Turn, out: &mut Vec<Action>, message: &Message, now: Now) {
    if is_older_than_us(turn, message) {
        return;
    }
    let end = message.draft.expires_at.map(|end| end.to_string()).unwrap_or_default();
    let text = format!("message {} from {} expired at {end}, unread", message.seq, message.draft.from);
    turn.log(out, now, &text);
    turn.count("expired");
    out.push(Action::Record { kind: "expired", text });
}

fn note_gap(turn: &mut Turn, out: &mut Vec<Action>, gap: &Gap, now: Now) {
    let (kind, text) = match gap {
        Gap::Lagged { to, .. } if *to <= turn.joined() => return,
        Gap::Lagged { from, to } => ("lagged", format!("messages {from} to {to} are gone, unread")),
        Gap::Epoch { after, next } => {
            ("epoch", format!("numbers go on at {next} after {after}, nothing is lost"))
        }
        Gap::Unnumbered { .. } => return,
        Gap::Poison { segment, offset, reason } => {
            ("lagged", format!("segment {segment} has an unreadable line at byte {offset}: {reason}"))
        }
    };
    turn.log(out, now, &text);
    turn.count("gaps");
    out.push(Action::Record { kind, text });
}

/// Whether `me` is the one to answer: of several addressed, one speaks. A coordinator for everybody if there is one,
/// the lowest id otherwise; the sender never answers itself.
fn speaks(message: &Message, me: &Peer, peers: &[Peer]) -> bool {
    let lowest = |accept: &dyn Fn(&Peer) -> bool| {
        peers
            .iter()
            .chain(std::iter::once(me))
            .filter(|peer| peer.id.as_str() != message.draft.from && accept(peer))
            .map(|peer| &peer.id)
            .min()
            .cloned()
    };
    let speaker = match &message.draft.to {
        Recipient::Instance(id) => return *id == me.id,
        Recipient::Role(role) => lowest(&|peer| peer.role == *role),
        Recipient::Broadcast => {
            lowest(&|peer| peer.role.as_str() == "coordinator").or_else(|| lowest(&|_| true))
        }
        Recipient::Operator => None,
    };
    speaker.as_ref() == Some(&me.id)
}
