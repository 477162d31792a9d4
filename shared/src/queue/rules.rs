//! What may be sent, to whom, and who is woken — pure.
//!
//! A line of the queue has a canonical start, `{"seq":N,"to":"…",`, so that a reader can pass over what is for others
//! without parsing it ([`is_for_another`]).

use serde_json::Value;

use super::message::{DEPTH_MAX, Draft, LINE_MAX, MessageKind};
use super::wire;
use crate::error::{Error, Result};
use crate::id::{InstanceId, NAME_MAX, Recipient, Role};
use crate::registry::{Registry, near};

/// Room in a line for `"seq":18446744073709551615,` and the newline.
const SEQ_ROOM: usize = 27 + 1;

/// Length of most lines, for which no buffer should have to grow.
const USUAL: usize = 512;

/// Longest message id and sender, in bytes.
const WORD_MAX: usize = 256;

/// Types that only Tachi itself sends: they carry its own bookkeeping.
const RESERVED: [MessageKind; 6] = [
    MessageKind::Presence,
    MessageKind::Event,
    MessageKind::Memory,
    MessageKind::Proposal,
    MessageKind::Vote,
    MessageKind::TaskComplete,
];

/// Appends a draft to `into` as the record to be stored: one line without `seq`, checked against the limits. After an error
/// what was appended is of no use.
///
/// # Errors
/// [`Error::TooLarge`] (line, depth), [`Error::InvalidName`] (type, sender, id).
pub fn write_record(draft: &Draft, into: &mut Vec<u8>) -> Result<()> {
    check_word("message type", draft.kind.word(), NAME_MAX)?;
    check_word("message sender", &draft.from, WORD_MAX)?;
    check_word("message id", &draft.id, WORD_MAX)?;
    let nested =
        draft.metadata.values().chain(draft.extra.values()).map(|value| depth(value).saturating_add(1));
    let depth = nested.chain([depth(&draft.content)]).max().unwrap_or_default();
    if depth > DEPTH_MAX {
        return Err(Error::TooLarge { what: "the message", size: depth, unit: "levels", limit: DEPTH_MAX });
    }
    let start = into.len();
    into.reserve(USUAL);
    wire::write(draft, into)
        .map_err(|error| Error::Refused(format!("the message cannot be written as JSON: {error}")))?;
    let size = (into.len() - start).saturating_add(SEQ_ROOM);
    if size > LINE_MAX {
        return Err(Error::TooLarge { what: "the message", size, unit: "bytes", limit: LINE_MAX });
    }
    Ok(())
}

fn check_word(what: &'static str, word: &str, longest: usize) -> Result<()> {
    let reason = if word.is_empty() {
        "it is empty"
    } else if word.len() > longest {
        "it is too long"
    } else if has_control(word) {
        "it holds control characters"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { what, value: word.chars().take(NAME_MAX).collect(), reason })
}

/// Most words are ASCII, and bytes are looked at faster than characters.
fn has_control(word: &str) -> bool {
    if word.is_ascii() {
        word.bytes().any(|byte| byte.is_ascii_control())
    } else {
        word.chars().any(char::is_control)
    }
}

/// Levels of nesting: 0 for a plain value. Walks its own stack, so that depth cannot overflow ours.
fn depth(value: &Value) -> usize {
    if !value.is_array() && !value.is_object() {
        return 0;
    }
    let mut deepest = 0;
    let mut todo = vec![(value, 0_usize)];
    while let Some((value, level)) = todo.pop() {
        deepest = deepest.max(level);
        match value {
            Value::Array(items) => {
                deepest = deepest.max(level + 1);
                todo.extend(items.iter().map(|item| (item, level + 1)));
            }
            Value::Object(fields) => {
                deepest = deepest.max(level + 1);
                todo.extend(fields.values().map(|field| (field, level + 1)));
            }
            _ => {}
        }
    }
    deepest
}

/// Checks that somebody in the registry is meant.
///
/// # Errors
/// [`Error::Unknown`] with names that come close.
pub fn check_recipient(to: &Recipient, registry: &Registry) -> Result<()> {
    match to {
        Recipient::Broadcast | Recipient::Operator => Ok(()),
        Recipient::Instance(id) if registry.row(id).is_some() => Ok(()),
        Recipient::Role(role) if registry.instances.iter().any(|row| row.role == *role) => Ok(()),
        Recipient::Instance(id) => {
            let ids = registry.instances.iter().map(|row| row.instance_id.as_str());
            Err(nobody("recipient", id.as_str(), ids.chain(["broadcast", "operator"])))
        }
        Recipient::Role(role) => {
            let roles = registry.instances.iter().map(|row| row.role.as_str());
            Err(nobody("role", role.as_str(), roles))
        }
    }
}

fn nobody<'a>(what: &'static str, value: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    Error::Unknown { what, value: value.to_owned(), near: near(value, &known) }
}

/// Checks that a person or a model may send this type: it is not reserved, and one plain word. Imports are not as strict
/// about the word, so that what others wrote passes through.
///
/// # Errors
/// [`Error::InvalidName`].
pub fn check_kind(kind: &MessageKind) -> Result<()> {
    let what = "message type";
    check_word(what, kind.word(), NAME_MAX)?;
    let reason = if RESERVED.contains(kind) {
        "only Tachi itself sends it"
    } else if kind.word().bytes().any(|byte| !(byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))) {
        "it must be letters, digits, `_`, `-` or `.`"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { what, value: kind.word().to_owned(), reason })
}

/// Whether the first bytes of a line show that it is for somebody else. `false` = parse it and see.
#[must_use]
pub fn is_for_another(line: &str, id: &InstanceId, role: &Role) -> bool {
    let to = line
        .strip_prefix("{\"seq\":")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        .and_then(|rest| rest.strip_prefix(",\"to\":\""))
        .and_then(|rest| rest.split_once('"'))
        .filter(|(_, rest)| rest.starts_with(','));
    match to.map(|(word, _)| word) {
        None | Some("broadcast" | "all") => false,
        Some("operator") => true,
        // Escaped or damaged: not a name anybody gave.
        Some(word) if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte)) => {
            false
        }
        Some(word) => match word.strip_prefix("role:") {
            Some(name) => name != role.as_str(),
            None => word != id.as_str(),
        },
    }
}

/// How much a message presses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before the others, and room is kept for it in a full queue.
    Urgent,
    /// In its turn.
    #[default]
    Normal,
    /// After the others.
    Low,
}

impl Priority {
    /// The word in the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// That of a message. A word we do not know presses as much as none.
    #[must_use]
    pub fn of(draft: &Draft) -> Self {
        match draft.priority.as_deref() {
            Some("urgent") => Self::Urgent,
            Some("low") => Self::Low,
            _ => Self::Normal,
        }
    }
}

/// Names of the doorbells to ring for `draft`, out of those in the directory. Without a registry a role is anybody.
#[must_use]
pub fn bells<'a>(draft: &'a Draft, registry: Option<&'a Registry>, all: &'a [String]) -> Vec<&'a str> {
    let others = all.iter().map(String::as_str).filter(|bell| *bell != draft.from && *bell != "supervisor");
    match &draft.to {
        Recipient::Instance(id) => vec![id.as_str()],
        Recipient::Operator => Vec::new(),
        Recipient::Broadcast => others.collect(),
        Recipient::Role(role) => match registry {
            None => others.collect(),
            Some(registry) => {
                let rows = registry.instances.iter().filter(|row| row.role == *role);
                rows.map(|row| row.instance_id.as_str()).filter(|id| *id != draft.from).collect()
            }
        },
    }
}
