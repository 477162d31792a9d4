//! `tachi logs`: output of the instances, merged by time where lines carry one, followed over rotation, with a notice
//! where a followed instance died or started. Standard output and standard error of an instance are one log.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tachi_shared::clock::{self, Timestamp};
use tachi_shared::event::Event;
use tachi_shared::layout::Topic;
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::store::Store;

use super::context::Context;
use super::look::registry;
use super::notice::Notices;
use super::tail::Tail;
use super::wait::Waiter;
use super::{printer, selector};
use crate::args::Logs;
use crate::error::{Error, Result, exit};
use crate::render::json::document;
use crate::render::line::{log_notice, log_prefix};
use crate::render::text::clean;

/// Followers look again at least this often.
const SAFETY: Duration = Duration::from_secs(1);
/// Name of the supervisor's own log, which tells of deaths and starts itself.
const SUPERVISOR: &str = "supervisor";
/// Newest lines of each log without any wish.
const LINES: usize = 20;

/// One line and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: String,
    text: String,
    /// Ours, not the instance's.
    is_notice: bool,
}

/// Shows the newest lines, then follows.
pub(super) fn run(context: &Context, args: &Logs) -> Result<u8> {
    let store = context.store()?;
    let names = names(&store, &args.ids)?;
    let filter = Filter::new(args, clock::now().wall);
    let told_by_supervisor = names.iter().any(|name| name == SUPERVISOR);
    let about = if told_by_supervisor { Vec::new() } else { names.clone() };
    // Who only looks at what was written gets just that.
    let before = if args.follow { filter.lines } else { 0 };
    let (notices, told) = Notices::begin(&store, &about, before)?;
    let mut tails = BTreeMap::new();
    let mut logs = Vec::new();
    for name in names {
        let path = store.dir().logs().join(format!("{name}.log"));
        let (tail, newest) = Tail::newest(&path, filter.to_read());
        logs.push((name.clone(), filter.newest(newest, &path)));
        tails.insert(name, tail);
    }
    let told = told.into_iter().filter(|event| filter.is_recent(event.timestamp)).collect();
    let lines = merge(with_times(logs), told);
    if context.json && !args.follow {
        let lines: Vec<_> = lines.iter().map(Line::json).collect();
        printer::json(&document("lines", json!(lines)))?;
        return Ok(exit::OK);
    }
    let columns = tails.keys().map(String::len).max().unwrap_or_default();
    lines.iter().try_for_each(|line| show(context, args, line, columns))?;
    if args.follow { follow(context, args, &filter, &store, tails, notices) } else { Ok(exit::OK) }
}

/// What of a log is shown.
struct Filter<'a> {
    lines: usize,
    since: Option<Timestamp>,
    grep: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn new(args: &'a Logs, now: Timestamp) -> Self {
        let since = args.since.map(|ago| now.before(ago));
        // Who names a time wants all since then.
        let usual = if since.is_some() { usize::MAX } else { LINES };
        Self { lines: args.lines.unwrap_or(usual), since, grep: args.grep.as_deref() }
    }

    /// How many lines must be read so that enough are left.
    fn to_read(&self) -> usize {
        if self.since.is_some() || self.grep.is_some() { usize::MAX } else { self.lines }
    }

    fn holds(&self, line: &str) -> bool {
        self.grep.is_none_or(|text| line.contains(text))
    }

    fn is_recent(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since)
    }

    /// The newest lines that are wanted. A line without a time is as old as the one before it; where none has one, as the file.
    fn newest(&self, lines: Vec<String>, path: &Path) -> Vec<String> {
        let has_times = lines.iter().any(|line| time_of(line).is_some());
        let mut at = (!has_times).then(|| modified(path)).flatten();
        let mut kept: Vec<String> = Vec::new();
        for line in lines {
            at = time_of(&line).or(at);
            let recent = self.since.is_none() || at.is_some_and(|at| self.is_recent(at));
            if recent && self.holds(&line) {
                kept.push(line);
            }
        }
        kept.drain(..kept.len().saturating_sub(self.lines));
        kept
    }
}

/// The logs meant: instances of the registry by id, role or glob, or every log there is.
fn names(store: &Store, ids: &[String]) -> Result<Vec<String>> {
    if ids.is_empty() {
        return every(store);
    }
    let (own, others): (Vec<&String>, Vec<&String>) = ids.iter().partition(|id| *id == SUPERVISOR);
    let selectors: Vec<String> = others.into_iter().cloned().collect();
    let registry = registry(store, &mut Vec::new())?;
    let rows = selector::select(&registry, &selectors)?;
    let mut names: Vec<String> = rows.into_iter().map(|row| row.instance_id.to_string()).collect();
    names.extend(own.first().map(|name| (*name).clone()));
    Ok(names)
}

/// Names of every log file.
fn every(store: &Store) -> Result<Vec<String>> {
    let dir = store.dir().logs();
    let entries = std::fs::read_dir(&dir).map_err(|error| tachi_shared::Error::io("list", &dir, error))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".log").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// A line with the time it begins with, or its predecessor's.
type Stamped = (Option<Timestamp>, Line);

fn with_times(logs: Vec<(String, Vec<String>)>) -> Vec<Stamped> {
    let mut stamped = Vec::new();
    for (name, lines) in logs {
        let mut last = None;
        for text in lines {
            last = time_of(&text).or(last);
            stamped.push((last, Line { name: name.clone(), text, is_notice: false }));
        }
    }
    stamped
}

/// All lines by time; those without one come first, as they are, and notices behind what was said before them.
fn merge(mut stamped: Vec<Stamped>, notices: Vec<Event>) -> Vec<Line> {
    stamped.extend(notices.into_iter().map(|event| {
        let name = event.instance.map(|id| id.to_string()).unwrap_or_default();
        (Some(event.timestamp), Line { name, text: event.text, is_notice: true })
    }));
    stamped.sort_by_key(|(at, _)| *at);
    stamped.into_iter().map(|(_, line)| line).collect()
}

/// The time a line begins with, if it does.
fn time_of(line: &str) -> Option<Timestamp> {
    Timestamp::parse(line.split_whitespace().next()?)
}

/// When a file was written last.
fn modified(path: &Path) -> Option<Timestamp> {
    let seconds = Disk.stat(path).ok()?.mtime_ns.div_euclid(1_000_000_000);
    i64::try_from(seconds).ok().map(Timestamp::from_unix)
}

fn follow(
    context: &Context,
    args: &Logs,
    filter: &Filter<'_>,
    store: &Store,
    mut tails: BTreeMap<String, Tail>,
    mut notices: Notices,
) -> Result<u8> {
    let dir = store.dir().logs();
    let waiter = Waiter::on(&[dir.clone(), store.dir().segments(Topic::Events)]);
    loop {
        if args.ids.is_empty() {
            for name in every(store)? {
                let path = dir.join(format!("{name}.log"));
                tails.entry(name).or_insert_with(|| Tail::whole(&path));
            }
        }
        // Before the lines: what is told here has been said there already.
        let told = notices.fresh()?;
        let mut fresh = Vec::new();
        for (name, tail) in &mut tails {
            let mut lines =
                tail.read().map_err(|error| Error::system(format!("read the log of {name}"), error))?;
            lines.retain(|line| filter.holds(line));
            fresh.push((name.clone(), lines));
        }
        let columns = tails.keys().map(String::len).max().unwrap_or_default();
        merge(with_times(fresh), told).iter().try_for_each(|line| show(context, args, line, columns))?;
        waiter.sleep(SAFETY);
    }
}

impl Line {
    fn json(&self) -> serde_json::Value {
        if self.is_notice {
            return json!({ "id": self.name, "notice": self.text });
        }
        json!({ "id": self.name, "line": self.text })
    }
}

/// Prints one line; bytes that would move a terminal's cursor are written out unless `--raw` wants them.
fn show(context: &Context, args: &Logs, line: &Line, columns: usize) -> Result<()> {
    if context.json {
        return printer::json(&line.json());
    }
    if line.is_notice {
        return if args.raw { Ok(()) } else { printer::line(&log_notice(&line.name, &line.text)) };
    }
    if args.raw {
        return printer::raw(&line.text);
    }
    let text = if args.no_prefix && !printer::is_terminal() { line.text.clone() } else { clean(&line.text) };
    let prefix = if args.no_prefix { String::new() } else { log_prefix(&line.name, columns) };
    printer::line(&format!("{prefix}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn lines_are_merged_by_their_time_and_continuations_stay() {
        let a = lines(&["2026-01-01T00:00:01Z a1", "  more a1", "2026-01-01T00:00:03Z a3"]);
        let b = lines(&["2026-01-01T00:00:02Z b2"]);
        let died = Event::new(Timestamp::parse("2026-01-01T00:00:02.5Z").unwrap(), "died", "a died: SIGKILL");
        let merged = merge(with_times(vec![("a".to_owned(), a), ("b".to_owned(), b)]), vec![died]);
        let order: Vec<&str> = merged.iter().filter_map(|line| line.text.split(' ').next_back()).collect();
        assert_eq!(order, ["a1", "a1", "b2", "SIGKILL", "a3"]);
    }

    #[test]
    fn since_and_grep_leave_what_is_wanted_and_n_counts_what_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let all =
            lines(&["2026-01-01T00:00:01Z one", "  and more", "2026-01-01T00:00:03Z two", "  more two"]);
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let filter = |since: Option<&str>, grep, lines| Filter { lines, since: since.map(at), grep };
        let newest = |filter: Filter<'_>| filter.newest(all.clone(), temp.path());
        assert_eq!(newest(filter(Some("2026-01-01T00:00:02Z"), None, 9)), all[2..]);
        assert_eq!(newest(filter(None, Some("more"), 1)), [all[3].clone()]);
        assert_eq!(newest(filter(None, None, 3)), all[1..]);
        let plain = lines(&["no time at all"]);
        let old = filter(Some("2999-01-01T00:00:00Z"), None, 9);
        assert_eq!(old.newest(plain.clone(), temp.path()), [""; 0]);
        assert_eq!(filter(Some("2000-01-01T00:00:00Z"), None, 9).newest(plain.clone(), temp.path()), plain);
    }
}
