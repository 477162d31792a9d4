//! Ids as newtypes: what may be written into a file name, a message header or a registry row.
//!
//! Every parse goes through one rule ([`Name`]), so no id can escape a directory, break a line or collide with a
//! reserved word. Sequence numbers order everything; clocks never do (DESIGN §5 rule 4).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Longest accepted name, in bytes.
pub const NAME_MAX: usize = 64;

/// Words that address something else than one instance.
pub const RESERVED: [&str; 5] = ["broadcast", "operator", "system", "all", "supervisor"];

/// Checks `text` against the one rule for names: 1 to 64 of `A-Z a-z 0-9 _ -`.
fn check_name(what: &'static str, text: &str) -> Result<()> {
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() > NAME_MAX {
        "it is longer than 64 characters"
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        "only letters, digits, '_' and '-' are allowed"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { what, value: text.to_owned(), reason })
}

/// A text that is only looked at: borrowed from what is parsed where that is possible.
#[derive(Deserialize)]
pub(crate) struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

impl Word<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Read as `FromStr` reads it, without a copy in between.
macro_rules! read_from_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                Word::deserialize(from)?.as_str().parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $extra:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        read_from_text!($name);

        impl $name {
            /// Parses and checks a name.
            ///
            /// # Errors
            /// [`Error::InvalidName`] with the reason.
            pub fn new(text: &str) -> Result<Self> {
                check_name($what, text)?;
                let extra: fn(&str) -> Result<()> = $extra;
                extra(text)?;
                Ok(Self(text.to_owned()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name_type!(
    /// One supervised process slot, such as `instance_1`. Stable over restarts.
    InstanceId, "instance id", |text| {
        if RESERVED.contains(&text) {
            return Err(Error::InvalidName {
                what: "instance id",
                value: text.to_owned(),
                reason: "it is a reserved word",
            });
        }
        Ok(())
    }
);

name_type!(
    /// What an instance is for: `explorer`, `builder`, `reflector`, `coordinator`, or any name from the configuration.
    Role, "role", |_| Ok(())
);

name_type!(
    /// A unit of work on the board. Builtin survey tasks derive it from content, so two coordinators are harmless.
    TaskId, "task id", |_| Ok(())
);

name_type!(
    /// One command file under `commands/`.
    CommandId, "command id", |_| Ok(())
);

/// Counts the starts of one instance: +1 per start, never reused while the registry lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The incarnation of the following start.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position in a log; strictly increasing for ever, contiguous within an epoch. 0 = before the first record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The position before the first record.
    pub const START: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who a message is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// Exactly one instance.
    Instance(InstanceId),
    /// Every instance but the sender.
    Broadcast,
    /// Every instance of a role but the sender.
    Role(Role),
    /// The person.
    Operator,
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(id) => id.fmt(f),
            Self::Broadcast => f.write_str("broadcast"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl FromStr for Recipient {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "broadcast" | "all" => Ok(Self::Broadcast),
            "operator" => Ok(Self::Operator),
            _ => match text.strip_prefix("role:") {
                Some(role) => Ok(Self::Role(Role::new(role)?)),
                None => Ok(Self::Instance(InstanceId::new(text)?)),
            },
        }
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Instance(id) => to.serialize_str(id.as_str()),
            other => to.collect_str(other),
        }
    }
}

read_from_text!(Recipient);

/// Which process: a pid alone is never enough, the kernel hands it out again (reference: proc(5) `starttime`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id.
    pub pid: u32,
    /// Kernel start time, in clock ticks since boot.
    pub pid_start: u64,
    /// Kernel boot id; another boot means another process.
    pub boot_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_a_directory_or_a_line_are_refused() {
        for bad in [
            "",
            "../x",
            "a/b",
            "a\nb",
            "a\0b",
            ".hidden",
            "ü",
            &"x".repeat(65),
            "broadcast",
            "all",
            "supervisor",
        ] {
            assert!(InstanceId::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(InstanceId::new("instance_1").is_ok());
    }

    #[test]
    fn a_recipient_survives_a_round_trip_through_text() {
        for text in ["broadcast", "operator", "role:builder", "instance_2"] {
            assert_eq!(text.parse::<Recipient>().map(|to| to.to_string()).ok().as_deref(), Some(text));
        }
        assert!("role:../x".parse::<Recipient>().is_err());
    }
}
