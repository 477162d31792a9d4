//! `memory.json`: what the team knows. `{"schema":1,"rev":n,"findings":[],"decisions":[],"learnings":[],"facts":{}}`.
//!
//! Writer: anyone through [`MemoryStore`], replaced whole under `memory.lock`; entries have ids. A crash leaves the old or
//! the new file, whole. Unknown fields survive. Entries beyond [`LIST_MAX`] of a list go to `artifacts/memory/`.

mod archive;
mod change;
mod merge;
mod news;
mod rules;
mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

pub use archive::LIST_MAX;
pub use news::news;
pub use rules::{Query, add, number, search, set_fact};
pub use store::MemoryStore;

/// Largest value of one fact or entry, in bytes: larger content belongs into a file.
pub const VALUE_MAX: usize = 64 * 1024;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Format version, 1.
    pub schema: u64,
    /// +1 per write.
    pub rev: u64,
    /// What was found out.
    #[serde(default)]
    pub findings: Vec<Entry>,
    /// What was decided.
    #[serde(default)]
    pub decisions: Vec<Entry>,
    /// What was learned.
    #[serde(default)]
    pub learnings: Vec<Entry>,
    /// Named values.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One remembered thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique; entries written by hand without one get one at the next write.
    #[serde(default)]
    pub id: String,
    /// Who says so.
    #[serde(default)]
    pub instance: String,
    /// Since when.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
    /// What.
    pub content: String,
    /// Fields we do not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Lists of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Goes to `findings`.
    Finding,
    /// Goes to `decisions`.
    Decision,
    /// Goes to `learnings`.
    Learning,
}

impl EntryKind {
    /// All lists, in the order of the file.
    pub const ALL: [Self; 3] = [Self::Finding, Self::Decision, Self::Learning];

    /// The word people use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Decision => "decision",
            Self::Learning => "learning",
        }
    }
}

impl Memory {
    /// One of the lists.
    #[must_use]
    pub fn list(&self, kind: EntryKind) -> &[Entry] {
        match kind {
            EntryKind::Finding => &self.findings,
            EntryKind::Decision => &self.decisions,
            EntryKind::Learning => &self.learnings,
        }
    }

    /// One of the lists, for changing.
    pub fn list_mut(&mut self, kind: EntryKind) -> &mut Vec<Entry> {
        match kind {
            EntryKind::Finding => &mut self.findings,
            EntryKind::Decision => &mut self.decisions,
            EntryKind::Learning => &mut self.learnings,
        }
    }
}

impl crate::snapshot::Document for Memory {
    const SCHEMA: u64 = 1;
    const LIMIT: u64 = 64 * 1024 * 1024;

    fn empty() -> Self {
        Self {
            schema: Self::SCHEMA,
            rev: 0,
            findings: Vec::new(),
            decisions: Vec::new(),
            learnings: Vec::new(),
            facts: Map::new(),
            extra: Map::new(),
        }
    }

    fn rev(&self) -> u64 {
        self.rev
    }

    fn set_rev(&mut self, rev: u64) {
        self.rev = rev;
    }

    fn merge(&mut self, base: Option<&Self>, hand: &Self) -> Option<Vec<String>> {
        base.map(|base| merge::merge(self, base, hand))
    }
}
