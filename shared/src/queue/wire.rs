//! A message as a line — pure.
//!
//! Written out, because these two take most of the time of a send and of a replay. Reading: serde's `flatten` copies every
//! field into a list before it looks at the first; the rules are the derived ones (a known field twice is an error, an
//! unknown one is kept). Writing: serde escapes every name and writes two dozen small pieces; the bytes are the same.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::{Map, Value};

use super::message::Draft;
use crate::id::Recipient;

/// Appends the message as one line without a position.
pub(super) fn write(draft: &Draft, into: &mut Vec<u8>) -> serde_json::Result<()> {
    match &draft.to {
        Recipient::Instance(id) => text("{\"to\":", id.as_str(), into)?,
        to => text("{\"to\":", &to.to_string(), into)?,
    }
    text(",\"from\":", &draft.from, into)?;
    text(",\"type\":", draft.kind.word(), into)?;
    text(",\"id\":", &draft.id, into)?;
    other(",\"timestamp\":", &draft.timestamp, into)?;
    match &draft.content {
        Value::String(content) => text(",\"content\":", content, into)?,
        content => other(",\"content\":", content, into)?,
    }
    other(",\"metadata\":", &draft.metadata, into)?;
    let words = [
        (",\"reply_to\":", &draft.reply_to),
        (",\"thread\":", &draft.thread),
        (",\"priority\":", &draft.priority),
    ];
    for (name, word) in words {
        if let Some(word) = word {
            text(name, word, into)?;
        }
    }
    if let Some(end) = &draft.expires_at {
        other(",\"expires_at\":", end, into)?;
    }
    // A position is given by the log alone, whatever an imported element claimed.
    for (name, value) in draft.extra.iter().filter(|(name, _)| *name != "seq") {
        text(",", name, into)?;
        other(":", value, into)?;
    }
    into.push(b'}');
    Ok(())
}

/// A text behind `before`; most need no escaping.
fn text(before: &str, text: &str, into: &mut Vec<u8>) -> serde_json::Result<()> {
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |any, byte| any | special(byte)) {
        return other(before, text, into);
    }
    for piece in [before, "\"", text, "\""] {
        into.extend_from_slice(piece.as_bytes());
    }
    Ok(())
}

/// Anything else behind `before`.
fn other<T: Serialize + ?Sized>(before: &str, value: &T, into: &mut Vec<u8>) -> serde_json::Result<()> {
    into.extend_from_slice(before.as_bytes());
    serde_json::to_writer(into, value)
}

/// The fields of a line.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Seq,
    To,
    From,
    Type,
    Id,
    Timestamp,
    Content,
    Metadata,
    ReplyTo,
    Thread,
    Priority,
    ExpiresAt,
    Other(String),
}

struct Line;

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Line)
    }
}

impl<'de> Visitor<'de> for Line {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft, A::Error> {
        let (mut to, mut from, mut kind, mut id, mut timestamp) = (None, None, None, None, None);
        let (mut content, mut metadata, mut reply_to, mut thread) = (None, None, None, None);
        let (mut priority, mut expires_at, mut extra) = (None, None, Map::new());
        while let Some(field) = map.next_key()? {
            match field {
                // A position is the log's to give, whatever the line says.
                Field::Seq => drop(map.next_value::<IgnoredAny>()?),
                Field::To => once(&mut to, "to", &mut map)?,
                Field::From => once(&mut from, "from", &mut map)?,
                Field::Type => once(&mut kind, "type", &mut map)?,
                Field::Id => once(&mut id, "id", &mut map)?,
                Field::Timestamp => once(&mut timestamp, "timestamp", &mut map)?,
                Field::Content => once(&mut content, "content", &mut map)?,
                Field::Metadata => once(&mut metadata, "metadata", &mut map)?,
                Field::ReplyTo => once(&mut reply_to, "reply_to", &mut map)?,
                Field::Thread => once(&mut thread, "thread", &mut map)?,
                Field::Priority => once(&mut priority, "priority", &mut map)?,
                Field::ExpiresAt => once(&mut expires_at, "expires_at", &mut map)?,
                Field::Other(name) => drop(extra.insert(name, map.next_value()?)),
            }
        }
        Ok(Draft {
            to: needed(to, "to")?,
            from: needed(from, "from")?,
            kind: needed(kind, "type")?,
            id: needed(id, "id")?,
            timestamp: needed(timestamp, "timestamp")?,
            content: needed(content, "content")?,
            metadata: metadata.unwrap_or_default(),
            reply_to: reply_to.flatten(),
            thread: thread.flatten(),
            priority: priority.flatten(),
            expires_at: expires_at.flatten(),
            extra,
        })
    }
}

/// Takes the value of a field that may be there once.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

fn needed<T, E: Error>(slot: Option<T>, name: &'static str) -> Result<T, E> {
    slot.ok_or_else(|| E::missing_field(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::queue::MessageKind;
    use proptest::prelude::*;
    use serde_json::json;

    fn whole() -> Value {
        json!({ "seq": 7, "to": "role:builder", "from": "instance_1", "type": "finding", "id": "instance_1.1.1",
            "timestamp": "2025-12-10T02:00:00.123456Z", "content": {"a": [1]}, "metadata": {"m": 1},
            "reply_to": "r", "thread": "t", "priority": "low", "expires_at": "2025-12-10T02:00:00.000000Z",
            "mood": "fine", "deep": {"x": null} })
    }

    #[test]
    fn a_line_is_read_and_written_without_losing_a_field_and_without_its_position() {
        let mut expected = whole();
        let draft: Draft = serde_json::from_str(&expected.to_string()).unwrap();
        let from_value: Draft = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(draft, from_value);
        assert_eq!(draft.extra.keys().collect::<Vec<_>>(), ["deep", "mood"]);
        expected.as_object_mut().unwrap().remove("seq");
        assert_eq!(serde_json::to_value(&draft).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_twice_or_of_the_wrong_kind_is_told_by_name() {
        for name in ["to", "from", "type", "id", "timestamp", "content"] {
            let mut without = whole();
            without.as_object_mut().unwrap().remove(name);
            let error = serde_json::from_value::<Draft>(without).unwrap_err().to_string();
            assert_eq!(error, format!("missing field `{name}`"));
        }
        for name in ["metadata", "reply_to", "thread", "priority", "expires_at", "mood", "deep", "seq"] {
            let mut without = whole();
            without.as_object_mut().unwrap().remove(name);
            serde_json::from_value::<Draft>(without).unwrap();
        }
        for (field, value) in whole().as_object().unwrap() {
            let twice = format!("{{\"{field}\":{value},{}", whole().to_string().trim_start_matches('{'));
            let known = !["seq", "mood", "deep"].contains(&field.as_str());
            assert_eq!(serde_json::from_str::<Draft>(&twice).is_err(), known, "{field} twice");
        }
        for bad in ["[]", "7", "null", r#"{"to":7}"#, r#"{"to":"../x"}"#, r#"{"to":"a","from":null}"#] {
            assert!(serde_json::from_str::<Draft>(bad).is_err(), "{bad}");
        }
        let mut nulls = whole();
        for name in ["reply_to", "thread", "priority", "expires_at"] {
            nulls[name] = Value::Null;
        }
        assert_eq!(serde_json::from_value::<Draft>(nulls).unwrap().reply_to, None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_serde_writes(
            to in prop::sample::select(vec!["instance_1", "broadcast", "role:builder", "operator"]),
            words in prop::collection::vec("\\PC{0,8}|[\"\\\\\u{0}-\u{20}é]{0,8}", 9),
            given in prop::collection::vec(any::<bool>(), 6),
        ) {
            let [from, kind, id, content, a, b, c, name, value] = <[String; 9]>::try_from(words).unwrap();
            let kind = MessageKind::from(kind.as_str());
            let mut draft = Draft::new(to.parse().unwrap(), &from, kind, id, Timestamp::EPOCH, &content);
            draft.reply_to = given[0].then_some(a);
            draft.thread = given[1].then_some(b);
            draft.priority = given[2].then_some(c);
            draft.expires_at = given[3].then_some(Timestamp::EPOCH);
            if given[4] {
                draft.content = json!({ &name: [1, null, &value] });
                draft.metadata.insert(name.clone(), json!(value));
            }
            if given[5] {
                draft.extra.insert(name, json!({"deep": value}));
            }
            let mut line = Vec::new();
            write(&draft, &mut line).unwrap();
            prop_assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(&draft).unwrap());
        }

        #[test]
        fn whatever_the_line_is_reading_never_panics(text in "\\PC{0,60}") {
            let _ = serde_json::from_str::<Draft>(&text);
            let _ = serde_json::from_str::<Draft>(&format!("{{\"to\":{text}}}"));
        }
    }
}
