//! What may be remembered, and finding it again — pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Entry, EntryKind, Memory, VALUE_MAX};
use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// Longest entry id or fact name, in bytes.
const KEY_MAX: usize = 256;

/// What to look for; an absent part matches everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// In this list only.
    pub kind: Option<EntryKind>,
    /// By this author only.
    pub author: Option<&'a str>,
    /// Holding this text, whatever its case.
    pub text: Option<&'a str>,
    /// Not older than this. An entry without a time is never old.
    pub since: Option<Timestamp>,
    /// Not younger than this. An entry without a time is never young.
    pub until: Option<Timestamp>,
}

impl Query<'_> {
    /// Whether an entry of this list is meant.
    #[must_use]
    pub fn matches(&self, kind: EntryKind, entry: &Entry) -> bool {
        let holds = |text: &str| entry.content.to_lowercase().contains(&text.to_lowercase());
        self.kind.is_none_or(|wanted| wanted == kind)
            && self.author.is_none_or(|author| author == entry.instance)
            && self.since.is_none_or(|since| entry.timestamp.is_none_or(|at| at >= since))
            && self.until.is_none_or(|until| entry.timestamp.is_none_or(|at| at <= until))
            && self.text.is_none_or(holds)
    }
}

/// Entries that match, oldest first within each list.
#[must_use]
pub fn search<'a>(memory: &'a Memory, query: &Query<'_>) -> Vec<(EntryKind, &'a Entry)> {
    EntryKind::ALL
        .into_iter()
        .flat_map(|kind| memory.list(kind).iter().map(move |entry| (kind, entry)))
        .filter(|(kind, entry)| query.matches(*kind, entry))
        .collect()
}

/// Adds an entry, or returns the one that has this id already.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::InvalidName`].
pub fn add(
    memory: &mut Memory,
    kind: EntryKind,
    id: &str,
    by: &str,
    content: &str,
    at: Timestamp,
) -> Result<Entry> {
    check_key("memory id", id)?;
    check_size(content.len())?;
    let known =
        EntryKind::ALL.into_iter().find_map(|kind| memory.list(kind).iter().find(|entry| entry.id == id));
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let entry = Entry {
        id: id.to_owned(),
        instance: by.to_owned(),
        timestamp: Some(at),
        content: content.to_owned(),
        extra: Map::new(),
    };
    memory.list_mut(kind).push(entry.clone());
    Ok(entry)
}

/// Sets a fact, or replaces it.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::InvalidName`].
pub fn set_fact(memory: &mut Memory, key: &str, value: Value) -> Result<()> {
    check_key("fact name", key)?;
    check_size(value.to_string().len())?;
    memory.facts.insert(key.to_owned(), value);
    Ok(())
}

/// Gives `hand.<n>` to every entry without an id, and a new one to the later of two that share one.
pub fn number(memory: &mut Memory) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut nameless = 0;
    for kind in EntryKind::ALL {
        for entry in memory.list_mut(kind) {
            if entry.id.is_empty() || !taken.insert(entry.id.clone()) {
                entry.id.clear();
                nameless += 1;
            }
        }
    }
    if nameless == 0 {
        return;
    }
    let mut n = 0_u64;
    for kind in EntryKind::ALL {
        for entry in memory.list_mut(kind).iter_mut().filter(|entry| entry.id.is_empty()) {
            while entry.id.is_empty() || !taken.insert(entry.id.clone()) {
                n += 1;
                entry.id = format!("hand.{n}");
            }
        }
    }
}

fn check_key(what: &'static str, key: &str) -> Result<()> {
    let reason = if key.is_empty() {
        "it is empty"
    } else if key.len() > KEY_MAX {
        "it is longer than 256 bytes"
    } else if key.chars().any(char::is_control) {
        "it holds control characters"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { what, value: key.chars().take(80).collect(), reason })
}

fn check_size(size: usize) -> Result<()> {
    if size > VALUE_MAX {
        return Err(Error::TooLarge { what: "the memory entry", size, unit: "bytes", limit: VALUE_MAX });
    }
    Ok(())
}
