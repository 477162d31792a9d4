//! `artifacts/survey.md`: the survey for people — pure.
//!
//! Format: Markdown, overview first, short tables. Writer: whoever does the report task, by rename. The same survey gives the
//! same bytes; `survey.json` holds the full lists.

use std::fmt::Write as _;

use tachi_shared::clock::Timestamp;

use super::history::Span;
use super::path::printable;
use super::survey::Survey;

/// Rows per table.
const ROWS: usize = 15;
/// Rows of the longer tables.
const MANY: usize = 50;

/// The whole report.
pub(crate) fn markdown(survey: &Survey) -> String {
    let mut text = String::new();
    overview(&mut text, survey);
    languages(&mut text, survey);
    sizes(&mut text, survey);
    hotspots(&mut text, survey);
    markers(&mut text, survey);
    areas(&mut text, survey);
    authors(&mut text, survey);
    tests(&mut text, survey);
    proposals(&mut text, survey);
    skipped(&mut text, survey);
    text
}

/// Starts a section with a table; every later line comes from [`row`].
fn table(text: &mut String, title: &str, heads: &[&str]) {
    section(text, title);
    row(text, heads.iter().map(|head| (*head).to_owned()));
    row(text, heads.iter().map(|_| "---".to_owned()));
}

fn section(text: &mut String, title: &str) {
    let _ = write!(text, "\n## {title}\n\n");
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    for cell in cells {
        let _ = write!(text, "| {cell} ");
    }
    text.push_str("|\n");
}

/// Says how many rows a table leaves out.
fn more(text: &mut String, total: usize, shown: usize) {
    if total > shown {
        let _ = writeln!(text, "\n… and {} more in `survey.json`.", total - shown);
    }
}

fn code(path: &str) -> String {
    format!("`{}`", printable(path))
}

fn day(unix: i64) -> String {
    Timestamp::from_unix(unix).to_string().chars().take(10).collect()
}

fn overview(text: &mut String, survey: &Survey) {
    let totals = &survey.totals;
    let _ = write!(text, "# Survey\n\n");
    let _ = writeln!(
        text,
        "{} files ({} binary), {} lines, {} bytes, {} languages.",
        totals.files,
        totals.binary_files,
        totals.lines,
        totals.bytes,
        survey.languages.len()
    );
    let marked: u64 = survey.marker_lines.iter().map(|count| count.lines).sum();
    let _ = writeln!(
        text,
        "{marked} markers, {} hotspots, {} proposals, {} entries skipped.",
        survey.hotspots.len(),
        survey.proposals.len(),
        survey.skipped.len()
    );
    let history = &survey.history;
    let _ = match &history.reason {
        Some(reason) => writeln!(text, "No history: {}.", printable(reason)),
        None => writeln!(
            text,
            "History: {} commits without merges{} by {} authors.",
            history.commits,
            if history.limited { " (the newest; older ones were not read)" } else { "" },
            survey.authors.len()
        ),
    };
    let _ = writeln!(
        text,
        "\nList of files: {}. Lines are newlines as `wc -l` counts them; binary files (a NUL in the first 8 KiB) have none.",
        printable(&survey.source)
    );
}

fn languages(text: &mut String, survey: &Survey) {
    table(text, "Languages", &["language", "files", "lines", "bytes"]);
    for language in survey.languages.iter().take(MANY) {
        let counts = [language.files, language.lines, language.bytes].map(|count| count.to_string());
        row(text, std::iter::once(language.language.clone()).chain(counts));
    }
    more(text, survey.languages.len(), MANY);
}

fn sizes(text: &mut String, survey: &Survey) {
    table(text, "Largest files", &["file", "bytes", "language"]);
    for file in survey.largest.iter().take(ROWS) {
        row(text, [code(&file.path), file.bytes.to_string(), file.language.clone()]);
    }
    table(text, "Longest files", &["file", "lines", "language"]);
    for file in survey.longest.iter().take(ROWS) {
        row(text, [code(&file.path), file.lines.to_string(), file.language.clone()]);
    }
}

fn hotspots(text: &mut String, survey: &Survey) {
    let rule = if survey.history.present { "lines × churn" } else { "lines; no history" };
    table(text, &format!("Hotspots ({rule})"), &["file", "lines", "churn", "markers", "score"]);
    for spot in survey.hotspots.iter().take(ROWS) {
        let churn = spot.churn.map_or("–".to_owned(), |churn| churn.to_string());
        let (lines, markers, score) =
            (spot.lines.to_string(), spot.markers.to_string(), spot.score.to_string());
        row(text, [code(&spot.path), lines, churn, markers, score]);
    }
    if !survey.dense.is_empty() {
        table(text, "Most markers for their length", &["file", "marked lines", "lines", "per 1,000"]);
        for file in survey.dense.iter().take(ROWS) {
            let counts = [file.markers, file.lines, file.per_thousand].map(|count| count.to_string());
            row(text, std::iter::once(code(&file.path)).chain(counts));
        }
    }
}

fn markers(text: &mut String, survey: &Survey) {
    section(text, "Markers");
    for count in &survey.marker_lines {
        let _ = writeln!(text, "- {}: {} lines", count.kind.word(), count.lines);
    }
    let _ = writeln!(text, "\nWhole words in text files, as `LC_ALL=C grep -nwa` finds them.");
    if survey.markers.is_empty() {
        return;
    }
    text.push('\n');
    row(text, ["place", "kinds", "text"].map(str::to_owned));
    row(text, ["---", "---", "---"].map(str::to_owned));
    // A line with two kinds is two markers, and one line to look at. They lie side by side.
    let lines = survey.markers.chunk_by(|a, b| (&a.path, a.line) == (&b.path, b.line));
    let mut total = 0;
    for line in lines {
        let Some(first) = line.first() else { continue };
        total += 1;
        if total <= MANY {
            let kinds: Vec<&str> = line.iter().map(|marker| marker.kind.word()).collect();
            let place = format!("`{}:{}`", printable(&first.path), first.line);
            row(text, [place, kinds.join(", "), shorten(&printable(&first.text))]);
        }
    }
    more(text, total, MANY);
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 100 {
        return text.to_owned();
    }
    text.chars().take(99).chain(['…']).collect()
}

fn areas(text: &mut String, survey: &Survey) {
    let heads = ["area", "files", "lines", "tests", "commits", "oldest", "newest", "who knows it"];
    table(text, "Areas", &heads);
    for area in survey.areas.iter().take(MANY) {
        let span = area.history.clone();
        let from = |pick: fn(&Span) -> String| span.as_ref().map_or("–".to_owned(), pick);
        let who: Vec<String> = area
            .authors
            .iter()
            .take(3)
            .map(|share| format!("{} ({})", printable(&share.author), share.commits))
            .collect();
        row(
            text,
            [
                code(&area.area),
                area.files.to_string(),
                area.lines.to_string(),
                area.test_files.to_string(),
                from(|span| span.commits.to_string()),
                from(|span| day(span.first)),
                from(|span| day(span.last)),
                who.join(", "),
            ],
        );
    }
    more(text, survey.areas.len(), MANY);
    if survey.history.present {
        let list = |areas: &[String]| areas.iter().map(|area| code(area)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "\nUnchanged for longest: {}.", list(&survey.oldest));
        let _ = writeln!(text, "Changed last: {}.", list(&survey.newest));
    }
}

fn authors(text: &mut String, survey: &Survey) {
    if !survey.history.present {
        return;
    }
    table(text, "Authors", &["author", "commits", "first", "last", "areas"]);
    for author in survey.authors.iter().take(MANY) {
        let areas = author.areas.iter().map(|area| code(area)).collect::<Vec<_>>().join(", ");
        let commits = author.commits.to_string();
        row(text, [printable(&author.author), commits, day(author.first), day(author.last), areas]);
    }
    more(text, survey.authors.len(), MANY);
}

fn tests(text: &mut String, survey: &Survey) {
    section(text, "Tests");
    let tests = &survey.tests;
    let _ = writeln!(
        text,
        "{} files are or contain tests; {} files are programs.",
        tests.files, tests.code_files
    );
    if !tests.areas_without.is_empty() {
        let list = tests.areas_without.iter().take(MANY).map(|area| code(area)).collect::<Vec<_>>();
        let _ = writeln!(text, "Areas with programs and no test: {}.", list.join(", "));
    }
}

fn proposals(text: &mut String, survey: &Survey) {
    section(text, "Proposals");
    if survey.proposals.is_empty() {
        text.push_str("None.\n");
    }
    for proposal in &survey.proposals {
        let _ = writeln!(text, "- **{}**: {}", proposal.outcome, printable(&proposal.text));
    }
}

fn skipped(text: &mut String, survey: &Survey) {
    if survey.skipped.is_empty() {
        return;
    }
    table(text, "Skipped", &["entry", "reason"]);
    for entry in survey.skipped.iter().take(MANY) {
        row(text, [code(&entry.path), printable(&entry.reason)]);
    }
    more(text, survey.skipped.len(), MANY);
}
