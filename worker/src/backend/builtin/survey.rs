//! The result: `artifacts/survey.json` — types.
//!
//! Format: one JSON object, below. Writer: whoever does the report task, by rename. Nothing in it tells when, where or by
//! whom it was made, so the same tree gives the same bytes; who did what is in `survey-run.json`. Lists have a fixed order.

use serde::{Deserialize, Serialize};

use super::fact::{MarkKind, Skipped};
use super::history::Span;

/// Everything found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Survey {
    /// Format version.
    pub(crate) schema: u64,
    /// Sums.
    pub(crate) totals: Totals,
    /// By lines, most first.
    pub(crate) languages: Vec<Language>,
    /// By path and line.
    pub(crate) markers: Vec<Marker>,
    /// How many lines per kind of marker.
    pub(crate) marker_lines: Vec<MarkerCount>,
    /// Largest files by bytes.
    pub(crate) largest: Vec<Large>,
    /// Longest files by lines.
    pub(crate) longest: Vec<Long>,
    /// Churn × size.
    pub(crate) hotspots: Vec<Hotspot>,
    /// Marker density.
    pub(crate) dense: Vec<Dense>,
    /// Top-level directories, by lines.
    pub(crate) areas: Vec<Area>,
    /// Areas by newest commit: least recent first.
    pub(crate) oldest: Vec<String>,
    /// Areas by newest commit: most recent first.
    pub(crate) newest: Vec<String>,
    /// Who worked on the tree, by commits.
    pub(crate) authors: Vec<Author>,
    /// Whether there is a history, or why not.
    pub(crate) history: History,
    /// Test presence.
    pub(crate) tests: Tests,
    /// Follow-ups with the outcome of their vote.
    pub(crate) proposals: Vec<Voted>,
    /// What was not read.
    pub(crate) skipped: Vec<Skipped>,
    /// Where the list of files came from.
    pub(crate) source: String,
}

/// Sums over all files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Regular files.
    pub(crate) files: u64,
    /// Newlines in text files.
    pub(crate) lines: u64,
    /// Bytes in all files.
    pub(crate) bytes: u64,
    /// Files with a NUL in their first 8 KiB.
    pub(crate) binary_files: u64,
}

/// One language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Language {
    /// Name.
    pub(crate) language: String,
    /// Files.
    pub(crate) files: u64,
    /// Newlines.
    pub(crate) lines: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

/// One marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Where.
    pub(crate) path: String,
    /// Line, from 1.
    pub(crate) line: u64,
    /// Which word.
    pub(crate) kind: MarkKind,
    /// The line.
    pub(crate) text: String,
}

/// Lines with one kind of marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MarkerCount {
    /// Which word.
    pub(crate) kind: MarkKind,
    /// Lines.
    pub(crate) lines: u64,
}

/// A large file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Large {
    /// Where.
    pub(crate) path: String,
    /// Size.
    pub(crate) bytes: u64,
    /// Language.
    pub(crate) language: String,
}

/// A long file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Long {
    /// Where.
    pub(crate) path: String,
    /// Newlines.
    pub(crate) lines: u64,
    /// Language.
    pub(crate) language: String,
}

/// A file that is long and changes often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hotspot {
    /// Where.
    pub(crate) path: String,
    /// Newlines.
    pub(crate) lines: u64,
    /// Commits that touch it; absent without history.
    pub(crate) churn: Option<u64>,
    /// Marker lines.
    pub(crate) markers: u64,
    /// Lines × churn; lines alone without history.
    pub(crate) score: u64,
}

/// A file with many markers for its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dense {
    /// Where.
    pub(crate) path: String,
    /// Marker lines.
    pub(crate) markers: u64,
    /// Newlines.
    pub(crate) lines: u64,
    /// Marker lines per 1,000 lines.
    pub(crate) per_thousand: u64,
}

/// A top-level directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Area {
    /// Name; `.` = files at the top.
    pub(crate) area: String,
    /// Files.
    pub(crate) files: u64,
    /// Newlines.
    pub(crate) lines: u64,
    /// Bytes.
    pub(crate) bytes: u64,
    /// Program files.
    pub(crate) code_files: u64,
    /// Files that are or contain tests.
    pub(crate) test_files: u64,
    /// Commits, oldest and newest; absent without history.
    pub(crate) history: Option<Span>,
    /// Who knows it: authors by commits, at most five.
    pub(crate) authors: Vec<Share>,
}

/// An author's part in an area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// Name.
    pub(crate) author: String,
    /// Commits that touch the area.
    pub(crate) commits: u64,
}

/// An author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Author {
    /// Name, after `.mailmap`.
    pub(crate) author: String,
    /// Commits without merges.
    pub(crate) commits: u64,
    /// Oldest, Unix seconds.
    pub(crate) first: i64,
    /// Newest, Unix seconds.
    pub(crate) last: i64,
    /// Areas by commits, at most five.
    pub(crate) areas: Vec<String>,
}

/// What history was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// Whether there is any.
    pub(crate) present: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// Newest commit.
    pub(crate) head: Option<String>,
    /// Commits read, without merges.
    pub(crate) commits: u64,
    /// Whether older ones were left out.
    pub(crate) limited: bool,
}

/// Test presence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tests {
    /// Files that are or contain tests.
    pub(crate) files: u64,
    /// Program files.
    pub(crate) code_files: u64,
    /// Areas with at least five program files and no test.
    pub(crate) areas_without: Vec<String>,
}

/// A proposal and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Voted {
    /// Id on the board.
    pub(crate) id: String,
    /// The sentence.
    pub(crate) text: String,
    /// `accepted`, `rejected` or `undecided`.
    pub(crate) outcome: String,
    /// The figure it rests on.
    pub(crate) figure: serde_json::Value,
}

/// `assembled-<run>.json`: the survey before anything was derived, and what to derive from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Assembled {
    /// The survey so far.
    pub(crate) survey: Survey,
    /// Files worth a closer look.
    pub(crate) candidates: Vec<Candidate>,
}

/// A text file with all that hotspots are derived from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// Where.
    pub(crate) path: String,
    /// Newlines.
    pub(crate) lines: u64,
    /// Commits that touch it; absent without history.
    pub(crate) churn: Option<u64>,
    /// Marker lines.
    pub(crate) markers: u64,
    /// Whether it is a program.
    pub(crate) code: bool,
}

/// `derived-<run>.json`: what the reflector adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Derived {
    /// Churn × size.
    pub(crate) hotspots: Vec<Hotspot>,
    /// Marker density.
    pub(crate) dense: Vec<Dense>,
    /// Follow-ups: id, sentence, figure.
    pub(crate) proposals: Vec<(String, String, serde_json::Value)>,
}
