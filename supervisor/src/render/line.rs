//! One line per event and per message — pure.

use tachi_shared::clock::Timestamp;
use tachi_shared::event::Event;
use tachi_shared::queue::Message;

use super::paint::{Tone, name_tone, paint};
use super::span::stamp;
use super::text::{clean, clean_lines};

/// `12:03:04  died         instance_2  killed by SIGKILL from outside`
#[must_use]
pub fn event(event: &Event, now: Timestamp) -> String {
    let who = event.instance.as_ref().map_or("-", |id| id.as_str());
    format!(
        "{}  {}  {}  {}",
        paint(Tone::Dim, &stamp(event.timestamp, now)),
        paint(event_tone(&event.kind), &format!("{:<14}", clean(&event.kind))),
        paint(name_tone(who), &format!("{who:<12}")),
        clean(&event.text)
    )
}

fn event_tone(kind: &str) -> Tone {
    match kind {
        "ready" | "supervisor-up" | "adopted" => Tone::Good,
        "died" | "backoff" | "stray" | "stop-latched" | "rejected" => Tone::Warn,
        "failed" | "lock-trouble" | "watch-trouble" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// `12:03:04  #17  instance_1 -> broadcast  finding  text`, following lines of the text indented.
#[must_use]
pub fn message(message: &Message, now: Timestamp) -> String {
    let draft = &message.draft;
    let from = clean(&draft.from);
    format!(
        "{}  #{}  {} -> {}  {}  {}",
        paint(Tone::Dim, &stamp(draft.timestamp, now)),
        message.seq,
        paint(name_tone(&from), &from),
        draft.to,
        paint(Tone::Title, &clean(draft.kind.word())),
        clean_lines(&draft.text(), 4)
    )
}

/// `--- instance_2 died: SIGKILL (external) ---` between the lines of a log.
#[must_use]
pub fn log_notice(name: &str, text: &str) -> String {
    paint(name_tone(name), &format!("--- {} ---", clean(text)))
}

/// The name in front of a log line, padded to `columns`.
#[must_use]
pub fn log_prefix(name: &str, columns: usize) -> String {
    paint(name_tone(name), &format!("{name:<columns$} | "))
}
