//! What the history tells: how often each file changed, who works where, since when — pure.
//!
//! Churn of a file = commits that touch it, merges left out, renames not followed: `git log --no-merges -- FILE` counts the
//! same. Paths are kept as the log has them; those that are gone from the tree are dropped when facts are assembled.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::path::{area, escape};

/// Commits read per piece of work.
pub(crate) const CHUNK: u64 = 1_000;
/// Commits read altogether, newest first.
pub(crate) const LIMIT: u64 = 10_000;
/// What introduces a commit in the log asked for: bytes that no sensible file name begins with.
pub(crate) const MARK: &str = "\u{1}\u{2}\u{1}";

/// How often, and between when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Commits.
    pub(crate) commits: u64,
    /// Oldest, Unix seconds.
    pub(crate) first: i64,
    /// Newest, Unix seconds.
    pub(crate) last: i64,
}

impl Span {
    fn add(&mut self, at: i64) {
        self.join(&Self { commits: 1, first: at, last: at });
    }

    fn join(&mut self, other: &Self) {
        if self.commits == 0 {
            *self = other.clone();
        } else if other.commits > 0 {
            self.commits = self.commits.saturating_add(other.commits);
            self.first = self.first.min(other.first);
            self.last = self.last.max(other.last);
        }
    }
}

/// `history/<head>-<n>.json`: what some commits tell. Such pieces add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryFacts {
    /// Format version.
    pub(crate) schema: u64,
    /// Commits read.
    pub(crate) commits: u64,
    /// Per file.
    pub(crate) paths: BTreeMap<String, Span>,
    /// Per area.
    pub(crate) areas: BTreeMap<String, Span>,
    /// Per author.
    pub(crate) authors: BTreeMap<String, Span>,
    /// Commits per area and author.
    pub(crate) knows: BTreeMap<String, BTreeMap<String, u64>>,
}

impl HistoryFacts {
    /// Adds what other commits tell.
    pub(crate) fn join(&mut self, other: &Self) {
        self.commits = self.commits.saturating_add(other.commits);
        for (mine, theirs) in [
            (&mut self.paths, &other.paths),
            (&mut self.areas, &other.areas),
            (&mut self.authors, &other.authors),
        ] {
            for (key, span) in theirs {
                mine.entry(key.clone()).or_default().join(span);
            }
        }
        for (area, authors) in &other.knows {
            let mine = self.knows.entry(area.clone()).or_default();
            for (author, commits) in authors {
                let sum = mine.entry(author.clone()).or_default();
                *sum = sum.saturating_add(*commits);
            }
        }
    }
}

/// Reads the output of `git log -z --name-only --format=MARK%at MARK%aN`.
pub(crate) fn parse(log: &[u8]) -> HistoryFacts {
    let mut facts = HistoryFacts { schema: super::fact::SCHEMA, ..HistoryFacts::default() };
    let mut commit: Option<Commit> = None;
    for token in log.split(|byte| *byte == 0) {
        if let Some(next) = Commit::parse(token) {
            if let Some(done) = commit.replace(next) {
                done.record(&mut facts);
            }
        } else if let Some(commit) = commit.as_mut() {
            // The first name of a commit follows the newline that ends its header.
            let first = commit.paths.is_empty();
            let name = if first { token.strip_prefix(b"\n").unwrap_or(token) } else { token };
            if !name.is_empty() {
                commit.paths.insert(escape(name));
            }
        }
    }
    if let Some(last) = commit {
        last.record(&mut facts);
    }
    facts
}

struct Commit {
    at: i64,
    author: String,
    paths: BTreeSet<String>,
}

impl Commit {
    fn parse(token: &[u8]) -> Option<Self> {
        let rest = token.strip_prefix(MARK.as_bytes())?;
        let at = rest.iter().position(|byte| *byte == b' ')?;
        let (time, author) = rest.split_at_checked(at)?;
        let author = author.strip_prefix(b" ")?;
        let at = std::str::from_utf8(time).ok()?.parse().unwrap_or_default();
        Some(Self { at, author: escape(author), paths: BTreeSet::new() })
    }

    fn record(self, facts: &mut HistoryFacts) {
        facts.commits = facts.commits.saturating_add(1);
        facts.authors.entry(self.author.clone()).or_default().add(self.at);
        for area in self.paths.iter().map(|path| area(path)).collect::<BTreeSet<_>>() {
            facts.areas.entry(area.to_owned()).or_default().add(self.at);
            let known =
                facts.knows.entry(area.to_owned()).or_default().entry(self.author.clone()).or_default();
            *known = known.saturating_add(1);
        }
        for path in self.paths {
            facts.paths.entry(path).or_default().add(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\u{1}\u{2}\u{1}300 Ann\0\u{1}\u{2}\u{1}200 Bob\0\na\0src/n\nl\0\u{1}\u{2}\u{1}100 Ann\0\na\0src/b\0src/c\0";

    #[test]
    fn commits_files_areas_and_authors_are_counted() {
        let facts = parse(LOG.as_bytes());
        assert_eq!(facts.commits, 3);
        assert_eq!(facts.paths["a"], Span { commits: 2, first: 100, last: 200 });
        assert_eq!(facts.paths["src/n\nl"].commits, 1);
        assert_eq!(facts.areas["src"], Span { commits: 2, first: 100, last: 200 });
        assert_eq!(facts.authors["Ann"], Span { commits: 2, first: 100, last: 300 });
        assert_eq!(facts.knows["src"]["Bob"], 1);
    }

    #[test]
    fn pieces_add_up_to_the_whole_in_any_order() {
        let (first, second) = LOG.split_at(LOG.rfind('\u{2}').unwrap() - 1);
        let (first, second) = (parse(first.as_bytes()), parse(second.as_bytes()));
        let whole = parse(LOG.as_bytes());
        for (one, two) in [(&first, &second), (&second, &first)] {
            let mut sum = HistoryFacts { schema: 1, ..HistoryFacts::default() };
            sum.join(one);
            sum.join(two);
            assert_eq!(sum, whole);
        }
        assert_eq!(parse(b"").commits, 0);
    }
}
