//! What is found out about files and history, and the plan it is found out by — pure types.
//!
//! These are the formats of the files under `artifacts/survey/` (who writes them: [`crate::effects::survey`]).

use serde::{Deserialize, Serialize};

use super::language;

/// Format version of every file under `artifacts/survey/`.
pub(crate) const SCHEMA: u64 = 1;

/// A regular file as the listing saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Relative to the workspace, escaped.
    pub(crate) path: String,
    /// Size.
    pub(crate) bytes: u64,
    /// Digest of size, times and inode: another stamp means it must be read again.
    pub(crate) stamp: u64,
}

/// Something that is there but was not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Skipped {
    /// Relative to the workspace, escaped.
    pub(crate) path: String,
    /// Why.
    pub(crate) reason: String,
}

/// Words that mark unfinished work. Found as whole words, as `LC_ALL=C grep -w` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MarkKind {
    /// To be fixed.
    Fixme,
    /// Known to be ugly.
    Hack,
    /// To be done.
    Todo,
    /// Beware.
    Xxx,
}

impl MarkKind {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Fixme, Self::Hack, Self::Todo, Self::Xxx];

    /// The word itself.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fixme => "FIXME",
            Self::Hack => "HACK",
            Self::Todo => "TODO",
            Self::Xxx => "XXX",
        }
    }
}

/// One line that holds a mark; a line with two kinds gives two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// From 1.
    pub(crate) line: u64,
    /// Which word.
    pub(crate) kind: MarkKind,
    /// The line, at most 200 characters of it.
    pub(crate) text: String,
}

/// What one pass over a file found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFact {
    /// Relative to the workspace, escaped.
    pub(crate) path: String,
    /// Bytes read, or the size of a binary file.
    pub(crate) bytes: u64,
    /// Newlines; absent for binary and unreadable files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lines: Option<u64>,
    /// As the table in `language.rs` has it.
    pub(crate) language: String,
    /// Whether it is, or contains, a test.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) test: bool,
    /// Marks in order of lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) marks: Vec<Mark>,
}

impl FileFact {
    /// A file that is there and was not read.
    pub(crate) fn unread(listed: &Listed) -> Self {
        Self {
            path: listed.path.clone(),
            bytes: listed.bytes,
            lines: None,
            language: language::of(&listed.path, b"").to_owned(),
            test: language::is_test_path(&listed.path),
            marks: Vec::new(),
        }
    }
}

/// `parts/<hash>.json`: everything about the files of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartFacts {
    /// Format version.
    pub(crate) schema: u64,
    /// The part's hash.
    pub(crate) part: String,
    /// Files, in listing order.
    pub(crate) files: Vec<FileFact>,
    /// What could not be read, with the reason.
    pub(crate) skipped: Vec<Skipped>,
}

/// `lists/<hash>.json`: the files of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartList {
    /// Format version.
    pub(crate) schema: u64,
    /// The part's hash.
    pub(crate) part: String,
    /// Files in listing order.
    pub(crate) files: Vec<Listed>,
}

/// Where the list of files came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// `git ls-files`: tracked and untracked files that are not ignored.
    Git,
    /// A walk over the directories; the reason why git was not asked.
    Walk(String),
}

/// What history there is to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HistoryPlan {
    /// Commits without merges, newest first, up to the limit.
    Present {
        /// The newest commit.
        head: String,
        /// How many are read.
        commits: u64,
        /// Whether there are more than are read.
        limited: bool,
    },
    /// None, and why.
    Absent(String),
}

/// One part in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedPart {
    /// Digest of the stamps of its files.
    pub(crate) hash: String,
    /// How many files.
    pub(crate) files: u64,
    /// Their sizes together.
    pub(crate) bytes: u64,
}

/// `plan-<run>.json`: what one run of the survey consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Format version.
    pub(crate) schema: u64,
    /// Which run.
    pub(crate) run: String,
    /// Where the list came from.
    pub(crate) source: Source,
    /// History to read.
    pub(crate) history: HistoryPlan,
    /// Parts, in listing order.
    pub(crate) parts: Vec<PlannedPart>,
    /// What the listing left out, with the reason.
    pub(crate) skipped: Vec<Skipped>,
    /// Parts that could not be read in several attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lost: Vec<Lost>,
}

/// A part that is gone without; its files are named in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// Digest of the stamps of its files.
    pub(crate) part: String,
    /// Why.
    pub(crate) reason: String,
    /// Its files: the list on disk may be what is damaged.
    pub(crate) files: Vec<Listed>,
}

impl Lost {
    /// What is known without reading: the listed sizes.
    pub(crate) fn facts(&self) -> PartFacts {
        let skip = |file: &Listed| {
            let reason = format!("its part could not be read: {}", self.reason);
            Skipped { path: file.path.clone(), reason }
        };
        PartFacts {
            schema: SCHEMA,
            part: self.part.clone(),
            files: self.files.iter().map(FileFact::unread).collect(),
            skipped: self.files.iter().map(skip).collect(),
        }
    }
}
