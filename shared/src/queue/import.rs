//! Taking over what others wrote: elements of `messages.json` without `seq`, and files in `spool/` — pure.
//!
//! Whoever follows the original format reads the whole file, adds an element and writes it back, without a lock, maybe from
//! a version we have replaced since. So an element without `seq` may be new or an echo of one taken over before. They are
//! told apart by counting: as often as an element stands in the file, so often may it stand in the queue, both counted from
//! the oldest position that the file still shows. Two equal elements with equal timestamps are two messages; an equal
//! element in a file that lost its numbered twin is an echo.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::message::{Draft, Message};
use super::rules::write_record;
use super::view::BOX_MAX;
use crate::clock::Timestamp;
use crate::error::bare;
use crate::id::Seq;

/// Why an element is not taken that may be an old copy.
const DOUBTFUL: &str =
    "it may be a copy of a message from before what is remembered; give it a new timestamp";

/// How often each content was seen.
pub(super) type Counts = BTreeMap<String, usize>;

/// An element without a position.
#[derive(Debug, PartialEq)]
pub(super) struct Fresh {
    pub(super) content: String,
    /// When its writer says it was written.
    pub(super) at: Option<Timestamp>,
    /// Without an id yet.
    pub(super) draft: Draft,
}

/// What a file asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Import {
    /// Elements that carry a position: their contents, to be counted.
    pub(super) echoes: Vec<(Seq, String)>,
    /// Elements without a position.
    pub(super) fresh: Vec<Fresh>,
    /// Elements that cannot be taken, with the reason.
    pub(super) refused: Vec<(String, String)>,
}

/// Reads a file, as [`parse`] does its text.
///
/// # Errors
/// As [`parse`]; also if it is too large or no text.
pub(super) fn parse_bytes(bytes: &[u8], now: Timestamp) -> Result<Import, String> {
    if bytes.len() as u64 > BOX_MAX {
        return Err(format!("1:1: too many bytes, the limit is {BOX_MAX}"));
    }
    parse(std::str::from_utf8(bytes).map_err(|error| format!("1:1: not UTF-8: {error}"))?, now)
}

/// Reads `{"messages":[…]}`, a bare list, or one message.
///
/// # Errors
/// Why the text as a whole is not JSON of this form, as `line:column: reason`.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Import, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("{}:{}: {}", error.line(), error.column(), bare(&error)))?;
    let elements = match value {
        Value::Array(elements) => elements,
        Value::Object(mut fields) => match fields.remove("messages") {
            Some(Value::Array(elements)) => elements,
            Some(_) => return Err("1:1: \"messages\" is not a list".to_owned()),
            None => vec![Value::Object(fields)],
        },
        _ => return Err("1:1: neither an object nor a list".to_owned()),
    };
    let mut import = Import::default();
    for element in elements {
        match element {
            Value::Object(fields) => import.take(fields, now),
            other => import.refused.push((other.to_string(), "it is not an object".to_owned())),
        }
    }
    Ok(import)
}

impl Import {
    fn take(&mut self, fields: Map<String, Value>, now: Timestamp) {
        if let Some(seq) = fields.get("seq").and_then(Value::as_u64) {
            self.echoes.push((Seq(seq), fingerprint(&fields)));
            return;
        }
        let (content, at) = (fingerprint(&fields), time(&fields));
        let shown = Value::Object(fields.clone()).to_string();
        match draft(fields, now) {
            Ok(draft) => self.fresh.push(Fresh { content, at, draft }),
            Err(reason) => self.refused.push((shown, reason)),
        }
    }

    /// The oldest position the file still shows, of those that exist; the beginning if it shows none.
    #[must_use]
    pub(super) fn oldest(&self, end: Seq) -> Seq {
        self.echoes.iter().map(|(seq, _)| *seq).filter(|seq| *seq <= end).min().unwrap_or_default()
    }

    /// Whether some of the elements are not in the queue, which holds `queued` since the oldest position shown.
    #[must_use]
    pub(super) fn has_news(&self, queued: &Counts) -> bool {
        self.news(queued).contains(&true)
    }

    /// Which of the elements are not in the queue.
    fn news(&self, queued: &Counts) -> Vec<bool> {
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, content) in &self.echoes {
            *shown.entry(content).or_default() += 1;
        }
        let contents = self.fresh.iter().map(|fresh| fresh.content.as_str());
        let is_news = contents.map(|content| {
            let shown = shown.entry(content).or_default();
            *shown += 1;
            *shown > queued.get(content).copied().unwrap_or_default()
        });
        is_news.collect()
    }

    /// Takes out the drafts that are not in the queue yet, which holds `queued` since the oldest position shown. `next`
    /// makes the ids unique: it is the position behind the end of the queue. What `is_doubtful` by its time is refused.
    #[must_use]
    pub(super) fn missing(
        &mut self,
        queued: &Counts,
        next: Seq,
        is_doubtful: impl Fn(Option<Timestamp>) -> bool,
    ) -> Vec<Draft> {
        let news = self.news(queued);
        let mut drafts = Vec::new();
        for (mut fresh, _) in std::mem::take(&mut self.fresh).into_iter().zip(news).filter(|(_, new)| *new) {
            if is_doubtful(fresh.at) {
                let shown = serde_json::to_string(&fresh.draft).unwrap_or_default();
                self.refused.push((shown, DOUBTFUL.to_owned()));
                continue;
            }
            let number = next.0.saturating_add(drafts.len() as u64);
            fresh.draft.id = format!("import.{}.{number}", fresh.content);
            drafts.push(fresh.draft);
        }
        drafts
    }
}

/// The contents a queued message counts under.
pub(super) fn contents(message: &Message) -> impl Iterator<Item = String> + use<> {
    let draft = &message.draft;
    let content = imported(&draft.id).map_or_else(|| hash(&[&draft.id]), str::to_owned);
    // Others may strip what they do not know, so a message counts under its plain fields too.
    let (to, kind) = (draft.to.to_string(), draft.kind.word());
    let plain = plain(&draft.from, &to, kind, &draft.content, Some(draft.timestamp));
    let plain = (plain != content).then_some(plain);
    std::iter::once(content).chain(plain)
}

/// The content of an element, as a short word: that of its id if it has one, else that of its fields.
fn fingerprint(fields: &Map<String, Value>) -> String {
    let text = |name: &str, default: &'static str| {
        fields.get(name).and_then(Value::as_str).unwrap_or(default).to_owned()
    };
    let id = text("id", "");
    match imported(&id) {
        Some(content) => content.to_owned(),
        None if !id.is_empty() => hash(&[&id]),
        None => {
            let at = time(fields);
            let content = fields.get("content").unwrap_or(&Value::Null);
            plain(&text("from", "operator"), &text("to", ""), &text("type", "human"), content, at)
        }
    }
}

fn time(fields: &Map<String, Value>) -> Option<Timestamp> {
    fields.get("timestamp").and_then(Value::as_str).and_then(Timestamp::parse)
}

fn plain(from: &str, to: &str, kind: &str, content: &Value, at: Option<Timestamp>) -> String {
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    hash(&[from, to, kind, &content.to_string(), &at])
}

/// The content inside an id that an import gave.
pub(super) fn imported(id: &str) -> Option<&str> {
    id.strip_prefix("import.").and_then(|rest| rest.rsplit_once('.')).map(|(content, _)| content)
}

/// A draft out of an element; what is missing and harmless is filled in.
fn draft(mut fields: Map<String, Value>, now: Timestamp) -> Result<Draft, String> {
    if !fields.contains_key("to") {
        return Err(
            "it has no \"to\" (an instance id, \"broadcast\", \"role:<name>\" or \"operator\")".to_owned()
        );
    }
    if fields.get("content").is_none_or(Value::is_null) {
        return Err("it has no \"content\"".to_owned());
    }
    fields.remove("seq");
    let at = time(&fields);
    let told = fields.insert("timestamp".to_owned(), Value::String(at.unwrap_or(now).to_string()));
    for (name, default) in [("from", "operator"), ("type", "human")] {
        if fields.get(name).is_none_or(Value::is_null) {
            fields.insert(name.to_owned(), Value::String(default.to_owned()));
        }
    }
    if fields.get("metadata").is_some_and(Value::is_null) {
        fields.remove("metadata");
    }
    // What was meant by the writer but cannot stand in its place is kept beside the message.
    let mut kept = Map::new();
    // The longest id an import can give stands in until the position is known, so that the size is judged with it.
    let longest = format!("import.{}.{}", hash(&[]), u64::MAX);
    if let Some(id) = fields.insert("id".to_owned(), Value::String(longest)) {
        kept.insert("original_id".to_owned(), id);
    }
    if let (None, Some(told)) = (at, told) {
        kept.insert("original_timestamp".to_owned(), told);
    }
    let mut draft: Draft =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    draft.metadata.extend(kept);
    write_record(&draft, &mut Vec::new()).map_err(|error| error.to_string())?;
    Ok(draft)
}

/// FNV-1a over 128 bits: stable for ever, unlike the standard hasher. Told apart are messages of one file, not attackers.
fn hash(parts: &[&str]) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    let mut state: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
        state = (state ^ u128::from(byte)).wrapping_mul(PRIME);
    }
    format!("{state:032x}")
}

/// A word for the bytes of a file, for ids and names that must come out the same when the same file is met again.
#[must_use]
pub(super) fn word(parts: &[&str]) -> String {
    hash(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(messages: Value) -> Import {
        parse(&json!({ "messages": messages }).to_string(), Timestamp::EPOCH).unwrap()
    }

    /// The messages an import would leave in the queue from `first` on.
    fn queued(first: u64, drafts: &[Draft]) -> Vec<Message> {
        (first..).zip(drafts).map(|(seq, draft)| Message { seq: Seq(seq), draft: draft.clone() }).collect()
    }

    fn count(messages: &[Message]) -> Counts {
        let mut counts = Counts::new();
        messages.iter().flat_map(contents).for_each(|content| *counts.entry(content).or_default() += 1);
        counts
    }

    fn missing(mut import: Import, log: &[Message], next: u64) -> Vec<Draft> {
        import.missing(&count(log), Seq(next), |_| false)
    }

    fn hello(at: &str) -> Value {
        json!({ "from": "me", "to": "instance_1", "type": "human", "content": "hello", "timestamp": at })
    }

    #[test]
    fn s26_an_element_counts_as_often_as_it_stands_in_the_file() {
        let (one, two) = (hello("2025-12-10T02:00:00"), hello("2025-12-10T02:00:01"));
        let first = missing(read(json!([one, one, two])), &[], 1);
        assert_eq!(first.len(), 3, "two equal elements are two messages");
        let log = queued(1, &first);
        for (what, file, fresh) in [
            ("the same file again", json!([one, one, two]), 0),
            ("a third equal one", json!([one, one, two, one]), 1),
            ("what we rendered", json!(log), 0),
            ("what we rendered and one more", json!([log[0], log[1], log[2], one]), 1),
            (
                "a copy of before the render, and one more",
                json!([one, one, two, hello("2025-12-10T02:00:02")]),
                1,
            ),
            ("removals", json!([two]), 0),
        ] {
            let missing = missing(read(file), &log, 4);
            assert_eq!(missing.len(), fresh, "{what}");
        }
    }

    #[test]
    fn s26_fields_that_others_strip_do_not_make_a_message_new() {
        let sent = Draft::new(
            "instance_2".parse().unwrap(),
            "instance_1",
            super::super::MessageKind::Finding,
            "instance_1.1.1".to_owned(),
            Timestamp::EPOCH,
            "found",
        );
        let imported =
            read(json!([hello("2025-12-10T02:00:00"), { "to": "operator", "content": "no time" }]));
        let mut drafts = missing(imported, &[], 1);
        drafts.push(sent);
        let log = queued(1, &drafts);
        let stripped = |fields: &[&str]| -> Value {
            log.iter()
                .map(|message| {
                    let mut value = serde_json::to_value(message).unwrap();
                    fields.iter().for_each(|field| drop(value.as_object_mut().unwrap().remove(*field)));
                    value
                })
                .collect()
        };
        for fields in [&["seq"][..], &["seq", "id"], &["seq", "id", "metadata"]] {
            assert_eq!(missing(read(stripped(fields)), &log, 4), [], "without {fields:?}");
        }
    }

    #[test]
    fn s26_what_may_be_older_than_all_that_is_remembered_is_refused_with_the_reason() {
        let mut import = read(json!([hello("2025-12-10T02:00:00"), hello("2025-12-11T02:00:00")]));
        let forgotten = Timestamp::parse("2025-12-10T12:00:00");
        let drafts = import.missing(&Counts::new(), Seq(1), |at| at <= forgotten);
        assert_eq!((drafts.len(), import.refused.len()), (1, 1));
        assert!(import.refused[0].0.contains("2025-12-10T02") && import.refused[0].1.contains("timestamp"));
    }

    #[test]
    fn s26_a_malformed_element_is_refused_alone() {
        let import = read(json!([
            hello("2025-12-10T02:00:00"), "text", { "content": "to nobody" }, { "to": "../x", "content": "out" },
            { "to": "operator" }, { "to": "operator", "content": "x", "metadata": 5 },
            { "to": "operator", "content": "x".repeat(super::super::message::LINE_MAX) },
        ]));
        assert_eq!((import.fresh.len(), import.refused.len()), (1, 6));
        for (element, reason) in &import.refused {
            assert!(!element.is_empty() && !reason.is_empty());
        }
    }

    #[test]
    fn what_is_missing_and_harmless_is_filled_in_and_what_was_meant_is_kept() {
        let import = read(
            json!([{ "to": "all", "content": { "a": 1 }, "id": "mine", "timestamp": "noon", "x": [1] }]),
        );
        let draft = missing(import, &[], 9).remove(0);
        assert_eq!(
            (draft.from.as_str(), draft.kind.word(), draft.to.to_string().as_str()),
            ("operator", "human", "broadcast")
        );
        assert!(draft.id.starts_with("import.") && draft.id.ends_with(".9"), "{}", draft.id);
        assert_eq!(draft.metadata["original_id"], "mine");
        assert_eq!(draft.metadata["original_timestamp"], "noon");
        assert_eq!(draft.extra["x"], json!([1]));
    }

    #[test]
    fn a_file_of_another_form_is_refused_with_the_place() {
        for (text, place) in [
            ("", "1:0"),
            ("{\"messages\": [\n{]}", "2:2"),
            ("{\"messages\": 5}", "1:1"),
            ("5", "1:1"),
            ("[1] x", "1:5"),
        ] {
            let why = parse(text, Timestamp::EPOCH).unwrap_err();
            assert!(why.starts_with(place), "{text:?}: {why}");
        }
        assert_eq!(parse("\u{feff}[]", Timestamp::EPOCH), Ok(Import::default()));
    }
}
