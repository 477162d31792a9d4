//! What a checker says — pure.

use std::path::Path;

use crate::layout::Topic;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Something that must hold does not.
    Problem,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// What may be done about a finding without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fix {
    /// Cut a torn last line off, its bytes kept in `rejected/`; under the writers' lock.
    RepairTail(&'static str),
    /// Remove temporary files nobody has written to for an hour.
    SweepTemporary,
    /// Remove the doorbell of nobody.
    RemoveDoorbell(String),
}

impl Fix {
    /// The fix of a torn end of `topic`.
    #[must_use]
    pub fn repair_tail(topic: Topic) -> Self {
        Self::RepairTail(topic.name())
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// Where: a path, with `:line` if there is one.
    pub place: String,
    /// What is there.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do next; what `--fix` would do if there is a fix.
    pub next: String,
    /// What can be done safely.
    pub fix: Option<Fix>,
}

impl Finding {
    /// A problem at a path.
    #[must_use]
    pub fn problem(path: &Path, what: impl Into<String>, why: &'static str, next: impl Into<String>) -> Self {
        let place = path.display().to_string();
        Self { weight: Weight::Problem, place, what: what.into(), why, next: next.into(), fix: None }
    }

    /// The same, on a line of the file.
    #[must_use]
    pub fn on_line(mut self, line: usize) -> Self {
        self.place = format!("{}:{line}", self.place);
        self
    }

    /// The same, only worth knowing.
    #[must_use]
    pub fn as_note(mut self) -> Self {
        self.weight = Weight::Note;
        self
    }

    /// The same, with what can be done about it.
    #[must_use]
    pub fn with_fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// `place: what; why; next: …`.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{}: {}; {}; next: {}", self.place, self.what, self.why, self.next)
    }
}

/// What one checker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What must hold, in words.
    pub holds: &'static str,
    /// What was looked at: `2 segments, 120 records`.
    pub seen: String,
    /// What was found; nothing = it holds.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// What one checker found.
    #[must_use]
    pub fn new(holds: &'static str, seen: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self { holds, seen: seen.into(), findings }
    }

    /// Findings that are problems.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.weight == Weight::Problem)
    }
}
