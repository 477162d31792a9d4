//! The live screen: header, table, last events, never larger than the terminal — pure.

use std::collections::BTreeMap;

use tachi_shared::event::Event;
use tachi_shared::registry::{Row, Status};

use super::line;
use super::paint::{Tone, paint};
use super::problem::problems;
use super::status::{Header, Shown, head, problem_line, rows_table};
use super::text::fit;

/// Most events shown below the table.
const EVENTS_MAX: usize = 8;
/// Most problems shown.
const PROBLEMS_MAX: usize = 3;

/// The whole screen for a terminal of `columns` × `lines`: rows that matter first when not all fit.
#[must_use]
pub fn live(header: &Header, rows: &[Row], events: &[Event], columns: usize, lines: usize) -> String {
    let shown: Vec<Shown> = rows.iter().map(Shown::supervised).collect();
    let mut out = head(header, columns);
    let problems: Vec<String> = problems(header, &shown)
        .iter()
        .take(PROBLEMS_MAX)
        .map(|problem| cut(&problem_line(problem), columns))
        .collect();
    let newest = events.len().min(EVENTS_MAX).min(lines / 4);
    let used = out.lines().count() + problems.len() + newest + 3;
    let room = lines.saturating_sub(used).max(1);
    out.push_str(&rows_table(&most_important(&shown, room), header.now, columns));
    if shown.len() > room {
        out.push_str(&fit(&format!("and {} more: {}", shown.len() - room, counts(&shown)), columns));
        out.push('\n');
    }
    out.push_str(&problems.concat());
    if newest > 0 {
        out.push('\n');
    }
    for event in events.iter().skip(events.len() - newest) {
        out.push_str(&cut(&line::event(event, header.now), columns));
        out.push('\n');
    }
    limit(&out, lines)
}

/// At most `room` rows, in their order; those that are not ready win.
fn most_important(rows: &[Shown], room: usize) -> Vec<Shown> {
    let mut chosen: Vec<usize> = (0..rows.len()).collect();
    chosen
        .sort_by_key(|index| (rows.get(*index).is_some_and(|shown| shown.status() == Status::Ready), *index));
    chosen.truncate(room);
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|index| rows.get(index).cloned()).collect()
}

/// `97 ready, 3 backoff`.
fn counts(rows: &[Shown]) -> String {
    let mut by_state: BTreeMap<&str, usize> = BTreeMap::new();
    for shown in rows {
        *by_state.entry(shown.status().word()).or_default() += 1;
    }
    by_state.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// A painted line cut to the width: lines that are too long lose their paint.
fn cut(line: &str, columns: usize) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    if super::text::width(plain.trim_end()) <= columns {
        return line.to_owned();
    }
    let end = if plain.ends_with('\n') { "\n" } else { "" };
    format!("{}{end}", paint(Tone::Plain, &fit(plain.trim_end(), columns)))
}

fn limit(text: &str, lines: usize) -> String {
    text.lines().take(lines.max(1)).map(|line| format!("{line}\n")).collect()
}
