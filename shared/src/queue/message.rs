//! One message, and who sees it — pure.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::id::{InstanceId, Recipient, Role, Seq, Word};

/// Longest line in the queue, in bytes, newline included.
pub const LINE_MAX: usize = 1024 * 1024;
/// Deepest nesting of content or metadata.
pub const DEPTH_MAX: usize = 64;

/// A message in the queue. Field order is canonical: readers filter on the first bytes of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Position in the queue.
    pub seq: Seq,
    /// The rest, as it was sent.
    #[serde(flatten)]
    pub draft: Draft,
}

/// A message that has no position yet. How it is read stands in `wire.rs`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Draft {
    /// For whom.
    pub to: Recipient,
    /// By whom: an instance id, `operator`, `system`, or any word a hand import carried.
    pub from: String,
    /// What it is; decides whether it may cause a think.
    #[serde(rename = "type")]
    pub kind: MessageKind,
    /// `<instance>.<incarnation>.<k>`: unique, the idempotency key.
    pub id: String,
    /// When it was written. For display.
    pub timestamp: Timestamp,
    /// Text, or an object kept as it is.
    pub content: Value,
    /// Anything else the sender wants carried.
    pub metadata: Map<String, Value>,
    /// Id of the message this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// `urgent`, `normal`, `low`; orders within an uncommitted batch only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// After this the message is not delivered any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Draft {
    /// A plain message with everything optional left out.
    #[must_use]
    pub fn new(
        to: Recipient,
        from: &str,
        kind: MessageKind,
        id: String,
        at: Timestamp,
        content: &str,
    ) -> Self {
        Self {
            to,
            from: from.to_owned(),
            kind,
            id,
            timestamp: at,
            content: Value::String(content.to_owned()),
            metadata: Map::new(),
            reply_to: None,
            thread: None,
            priority: None,
            expires_at: None,
            extra: Map::new(),
        }
    }

    /// Content as text; objects as JSON.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &self.content {
            Value::String(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// Whether `id` of `role` is to receive this: never its own broadcast.
    #[must_use]
    pub fn is_for(&self, id: &InstanceId, role: &Role) -> bool {
        match &self.to {
            Recipient::Instance(to) => to == id,
            Recipient::Broadcast => self.from != id.as_str(),
            Recipient::Role(to) => to == role && self.from != id.as_str(),
            Recipient::Operator => false,
        }
    }
}

/// Types of message; open, so that unknown ones pass through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// From a person.
    Human,
    /// Something found out.
    Finding,
    /// Wants an answer.
    Question,
    /// Answers a question.
    Answer,
    /// A task is done.
    TaskComplete,
    /// Put to the vote.
    Proposal,
    /// A vote.
    Vote,
    /// Came, left, crashed.
    Presence,
    /// Answers a human message.
    Reply,
    /// The memory changed.
    Memory,
    /// Anything lifecycle.
    Event,
    /// A word we do not know.
    Other(String),
}

impl MessageKind {
    /// The word in the line.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Human => "human",
            Self::Finding => "finding",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::TaskComplete => "task_complete",
            Self::Proposal => "proposal",
            Self::Vote => "vote",
            Self::Presence => "presence",
            Self::Reply => "reply",
            Self::Memory => "memory",
            Self::Event => "event",
            Self::Other(word) => word,
        }
    }

    /// Whether it may make a backend think (DESIGN §5 rule 8).
    #[must_use]
    pub fn causes_think(&self) -> bool {
        matches!(self, Self::Human | Self::Question)
    }
}

impl From<&str> for MessageKind {
    fn from(word: &str) -> Self {
        match word {
            "human" => Self::Human,
            "finding" => Self::Finding,
            "question" => Self::Question,
            "answer" => Self::Answer,
            "task_complete" => Self::TaskComplete,
            "proposal" => Self::Proposal,
            "vote" => Self::Vote,
            "presence" => Self::Presence,
            "reply" => Self::Reply,
            "memory" => Self::Memory,
            "event" => Self::Event,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl Serialize for MessageKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for MessageKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Word::deserialize(from).map(|word| Self::from(word.as_str()))
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
