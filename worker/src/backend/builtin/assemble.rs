//! Puts the facts of all parts together — pure. The order in which parts are given does not matter.

use std::collections::BTreeMap;

use super::fact::{FileFact, HistoryPlan, MarkKind, PartFacts, Plan, SCHEMA, Skipped, Source};
use super::history::HistoryFacts;
use super::language;
use super::path::area;
use super::survey::{
    Area, Assembled, Author, Candidate, History, Language, Large, Long, Marker, MarkerCount, Share, Survey,
    Tests, Totals,
};

/// Length of the lists of largest and longest files.
const TOP: usize = 20;
/// Files kept for deriving, per criterion.
const CANDIDATES: usize = 500;
/// Authors named per area, areas per author.
const NAMED: usize = 5;

/// The survey as far as parts and history tell.
pub(crate) fn assemble(plan: &Plan, parts: &[PartFacts], history: Option<&HistoryFacts>) -> Assembled {
    let mut files: Vec<&FileFact> = parts.iter().flat_map(|part| &part.files).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut skipped: Vec<Skipped> =
        plan.skipped.iter().chain(parts.iter().flat_map(|part| &part.skipped)).cloned().collect();
    skipped.sort();
    let areas = areas(&files, history);
    let (oldest, newest) = by_age(&areas);
    let survey = Survey {
        schema: SCHEMA,
        totals: totals(&files),
        languages: languages(&files),
        markers: markers(&files),
        marker_lines: marker_lines(&files),
        largest: largest(&files),
        longest: longest(&files),
        hotspots: Vec::new(),
        dense: Vec::new(),
        tests: tests(&areas),
        areas,
        oldest,
        newest,
        authors: history.map(authors).unwrap_or_default(),
        history: history_of(plan, history),
        proposals: Vec::new(),
        skipped,
        source: match &plan.source {
            Source::Git => "git ls-files".to_owned(),
            Source::Walk(reason) => format!("directory walk: {reason}"),
        },
    };
    Assembled { survey, candidates: candidates(&files, history) }
}

fn totals(files: &[&FileFact]) -> Totals {
    let mut totals = Totals::default();
    for file in files {
        totals.files += 1;
        totals.bytes = totals.bytes.saturating_add(file.bytes);
        totals.lines = totals.lines.saturating_add(file.lines.unwrap_or_default());
        totals.binary_files += u64::from(file.language == language::BINARY);
    }
    totals
}

fn languages(files: &[&FileFact]) -> Vec<Language> {
    let mut table: BTreeMap<&str, Language> = BTreeMap::new();
    for file in files {
        let row = table.entry(&file.language).or_default();
        row.files += 1;
        row.lines = row.lines.saturating_add(file.lines.unwrap_or_default());
        row.bytes = row.bytes.saturating_add(file.bytes);
    }
    let mut rows: Vec<Language> =
        table.into_iter().map(|(name, row)| Language { language: name.to_owned(), ..row }).collect();
    rows.sort_by(|a, b| (b.lines, b.bytes, &a.language).cmp(&(a.lines, a.bytes, &b.language)));
    rows
}

fn markers(files: &[&FileFact]) -> Vec<Marker> {
    files
        .iter()
        .flat_map(|file| {
            file.marks.iter().map(|mark| Marker {
                path: file.path.clone(),
                line: mark.line,
                kind: mark.kind,
                text: mark.text.clone(),
            })
        })
        .collect()
}

fn marker_lines(files: &[&FileFact]) -> Vec<MarkerCount> {
    let count = |kind| files.iter().flat_map(|file| &file.marks).filter(|mark| mark.kind == kind).count();
    MarkKind::ALL
        .into_iter()
        .map(|kind| MarkerCount { kind, lines: u64::try_from(count(kind)).unwrap_or(u64::MAX) })
        .collect()
}

/// Lines of a file that hold a marker of any kind.
fn marked_lines(file: &FileFact) -> u64 {
    let mut lines: Vec<u64> = file.marks.iter().map(|mark| mark.line).collect();
    lines.dedup();
    u64::try_from(lines.len()).unwrap_or(u64::MAX)
}

/// The `count` files with the highest rank; equal ones by path.
fn top<'a>(files: &[&'a FileFact], count: usize, rank: impl Fn(&FileFact) -> u64) -> Vec<&'a FileFact> {
    let mut chosen: Vec<(u64, &FileFact)> =
        files.iter().map(|file| (rank(file), *file)).filter(|(rank, _)| *rank > 0).collect();
    chosen.sort_by(|(a, x), (b, y)| (b, &x.path).cmp(&(a, &y.path)));
    chosen.truncate(count);
    chosen.into_iter().map(|(_, file)| file).collect()
}

fn largest(files: &[&FileFact]) -> Vec<Large> {
    top(files, TOP, |file| file.bytes)
        .into_iter()
        .map(|file| Large { path: file.path.clone(), bytes: file.bytes, language: file.language.clone() })
        .collect()
}

fn longest(files: &[&FileFact]) -> Vec<Long> {
    top(files, TOP, |file| file.lines.unwrap_or_default())
        .into_iter()
        .map(|file| Long {
            path: file.path.clone(),
            lines: file.lines.unwrap_or_default(),
            language: file.language.clone(),
        })
        .collect()
}

fn areas(files: &[&FileFact], history: Option<&HistoryFacts>) -> Vec<Area> {
    let mut table: BTreeMap<&str, Area> = BTreeMap::new();
    for file in files {
        let row = table.entry(area(&file.path)).or_default();
        row.files += 1;
        row.lines = row.lines.saturating_add(file.lines.unwrap_or_default());
        row.bytes = row.bytes.saturating_add(file.bytes);
        row.code_files += u64::from(language::is_code(&file.language));
        row.test_files += u64::from(file.test);
    }
    let mut rows: Vec<Area> = table
        .into_iter()
        .map(|(name, row)| Area {
            area: name.to_owned(),
            history: history.and_then(|history| history.areas.get(name).cloned()),
            authors: history.and_then(|history| history.knows.get(name)).map(shares).unwrap_or_default(),
            ..row
        })
        .collect();
    rows.sort_by(|a, b| (b.lines, b.bytes, &a.area).cmp(&(a.lines, a.bytes, &b.area)));
    rows
}

fn shares(authors: &BTreeMap<String, u64>) -> Vec<Share> {
    let mut shares: Vec<Share> =
        authors.iter().map(|(author, commits)| Share { author: author.clone(), commits: *commits }).collect();
    shares.sort_by(|a, b| (b.commits, &a.author).cmp(&(a.commits, &b.author)));
    shares.truncate(NAMED);
    shares
}

/// Areas that lay still longest, and those changed last.
fn by_age(areas: &[Area]) -> (Vec<String>, Vec<String>) {
    let mut aged: Vec<(i64, &str)> = areas
        .iter()
        .filter_map(|area| area.history.as_ref().map(|span| (span.last, area.area.as_str())))
        .collect();
    aged.sort_unstable();
    let names = |list: &[(i64, &str)]| list.iter().take(NAMED).map(|(_, area)| (*area).to_owned()).collect();
    let oldest = names(&aged);
    aged.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
    (oldest, names(&aged))
}

fn authors(history: &HistoryFacts) -> Vec<Author> {
    let mut knows: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (area, authors) in &history.knows {
        for (author, commits) in authors {
            knows.entry(author).or_default().push((*commits, area));
        }
    }
    let mut rows: Vec<Author> = history
        .authors
        .iter()
        .map(|(author, span)| {
            let mut areas = knows.remove(author.as_str()).unwrap_or_default();
            areas.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
            Author {
                author: author.clone(),
                commits: span.commits,
                first: span.first,
                last: span.last,
                areas: areas.into_iter().take(NAMED).map(|(_, area)| area.to_owned()).collect(),
            }
        })
        .collect();
    rows.sort_by(|a, b| (b.commits, &a.author).cmp(&(a.commits, &b.author)));
    rows
}

fn history_of(plan: &Plan, facts: Option<&HistoryFacts>) -> History {
    match &plan.history {
        HistoryPlan::Present { head, limited, .. } => History {
            present: true,
            reason: None,
            head: Some(head.clone()),
            commits: facts.map(|facts| facts.commits).unwrap_or_default(),
            limited: *limited,
        },
        HistoryPlan::Absent(reason) => {
            History { present: false, reason: Some(reason.clone()), head: None, commits: 0, limited: false }
        }
    }
}

fn tests(areas: &[Area]) -> Tests {
    let mut tests = Tests::default();
    for area in areas {
        tests.files += area.test_files;
        tests.code_files += area.code_files;
        if area.code_files >= 5 && area.test_files == 0 {
            tests.areas_without.push(area.area.clone());
        }
    }
    tests.areas_without.sort();
    tests
}

fn candidates(files: &[&FileFact], history: Option<&HistoryFacts>) -> Vec<Candidate> {
    let churn = |file: &FileFact| history.map(|history| commits_of(history, &file.path));
    let score = |file: &FileFact| file.lines.unwrap_or_default().saturating_mul(churn(file).unwrap_or(1));
    let code = |file: &FileFact| u64::from(language::is_code(&file.language));
    let mut chosen = top(files, CANDIDATES, |file| score(file) * code(file));
    if chosen.is_empty() {
        chosen = top(files, CANDIDATES, score);
    }
    chosen.extend(top(files, CANDIDATES, marked_lines));
    chosen.sort_by(|a, b| a.path.cmp(&b.path));
    chosen.dedup_by(|a, b| a.path == b.path);
    chosen
        .into_iter()
        .map(|file| Candidate {
            path: file.path.clone(),
            lines: file.lines.unwrap_or_default(),
            churn: churn(file),
            markers: marked_lines(file),
            code: language::is_code(&file.language),
        })
        .collect()
}

fn commits_of(history: &HistoryFacts, path: &str) -> u64 {
    history.paths.get(path).map_or(0, |span| span.commits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::builtin::fact::Mark;

    fn file(path: &str, lines: u64) -> FileFact {
        let marks = vec![Mark { line: 1, kind: MarkKind::Todo, text: path.into() }];
        FileFact {
            path: path.into(),
            bytes: lines * 10,
            lines: Some(lines),
            language: "Rust".into(),
            test: path.contains("test"),
            marks,
        }
    }

    fn part(files: Vec<FileFact>, skipped: &[&str]) -> PartFacts {
        let skipped = skipped.iter().map(|path| Skipped { path: (*path).into(), reason: "vanished".into() });
        PartFacts { schema: SCHEMA, part: "x".into(), files, skipped: skipped.collect() }
    }

    #[test]
    fn the_order_of_parts_does_not_matter() {
        let plan = Plan {
            schema: SCHEMA,
            run: "1-a".into(),
            source: Source::Git,
            history: HistoryPlan::Absent("no commits yet".into()),
            parts: Vec::new(),
            skipped: vec![Skipped { path: "m".into(), reason: "symbolic link".into() }],
            lost: Vec::new(),
        };
        let parts = [
            part(vec![file("a.rs", 5), file("src/test.rs", 5)], &["z"]),
            part(vec![file("src/b.rs", 5)], &["b"]),
            part(vec![file("a/c.rs", 70)], &[]),
        ];
        let forward = assemble(&plan, &parts, None);
        let mut backward = parts.to_vec();
        backward.reverse();
        assert_eq!(forward, assemble(&plan, &backward, None));
        let survey = forward.survey;
        assert_eq!((survey.totals.files, survey.totals.lines), (4, 85));
        assert_eq!(survey.skipped.iter().map(|skip| skip.path.as_str()).collect::<Vec<_>>(), ["b", "m", "z"]);
        assert_eq!(survey.longest[0].path, "a/c.rs");
        assert_eq!(survey.areas.iter().map(|area| area.area.as_str()).collect::<Vec<_>>(), ["a", "src", "."]);
        assert_eq!(survey.tests.files, 1);
    }
}
