//! `tachi logs`: output of the instances, merged by time where lines carry one, followed over rotation.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tachi_shared::store::Store;

use super::context::Context;
use super::look::registry;
use super::tail::Tail;
use super::wait::Waiter;
use super::{printer, selector};
use crate::args::Logs;
use crate::error::{Error, Result, exit};
use crate::render::json::document;
use crate::render::line::log_prefix;
use crate::render::text::clean;

/// Followers look again at least this often.
const SAFETY: Duration = Duration::from_secs(1);
/// Name of the supervisor's own log.
const SUPERVISOR: &str = "supervisor";

/// One line and whose it is.
struct Line {
    name: String,
    text: String,
}

/// Shows the newest lines, then follows.
pub(super) fn run(context: &Context, args: &Logs) -> Result<u8> {
    let store = context.store()?;
    let names = names(&store, &args.ids)?;
    let mut tails = BTreeMap::new();
    let mut lines = Vec::new();
    for name in names {
        let (tail, newest) = Tail::newest(&store.dir().logs().join(format!("{name}.log")), args.lines);
        lines.push((name.clone(), newest));
        tails.insert(name, tail);
    }
    let lines = merge(lines);
    if context.json && !args.follow {
        let lines: Vec<_> = lines.iter().map(|line| json!({ "id": line.name, "line": line.text })).collect();
        printer::json(&document("lines", json!(lines)))?;
        return Ok(exit::OK);
    }
    let columns = tails.keys().map(String::len).max().unwrap_or_default();
    lines.iter().try_for_each(|line| show(context, args, line, columns))?;
    if args.follow { follow(context, args, &store, tails) } else { Ok(exit::OK) }
}

/// The logs meant: instances of the registry by id, or every log there is.
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

/// All lines by the time in front of them; those without one stay behind their predecessor.
fn merge(logs: Vec<(String, Vec<String>)>) -> Vec<Line> {
    let mut stamped: Vec<(Option<jiff::Timestamp>, Line)> = Vec::new();
    for (name, lines) in logs {
        let mut last = None;
        for text in lines {
            last = time_of(&text).or(last);
            stamped.push((last, Line { name: name.clone(), text }));
        }
    }
    stamped.sort_by_key(|(at, _)| *at);
    stamped.into_iter().map(|(_, line)| line).collect()
}

/// The time a line begins with, if it does.
fn time_of(line: &str) -> Option<jiff::Timestamp> {
    line.split_whitespace().next()?.parse().ok()
}

fn follow(context: &Context, args: &Logs, store: &Store, mut tails: BTreeMap<String, Tail>) -> Result<u8> {
    let dir = store.dir().logs();
    let waiter = Waiter::on(std::slice::from_ref(&dir));
    loop {
        if args.ids.is_empty() {
            for name in every(store)? {
                let path = dir.join(format!("{name}.log"));
                tails.entry(name).or_insert_with(|| Tail::whole(&path));
            }
        }
        let mut fresh = Vec::new();
        for (name, tail) in &mut tails {
            let lines =
                tail.read().map_err(|error| Error::system(format!("read the log of {name}"), error))?;
            fresh.push((name.clone(), lines));
        }
        let columns = tails.keys().map(String::len).max().unwrap_or_default();
        merge(fresh).iter().try_for_each(|line| show(context, args, line, columns))?;
        waiter.sleep(SAFETY);
    }
}

/// Prints one line; bytes that would move a terminal's cursor are written out.
fn show(context: &Context, args: &Logs, line: &Line, columns: usize) -> Result<()> {
    if context.json {
        return printer::json(&json!({ "id": line.name, "line": line.text }));
    }
    let text = if args.no_prefix && !printer::is_terminal() { line.text.clone() } else { clean(&line.text) };
    let prefix = if args.no_prefix { String::new() } else { log_prefix(&line.name, columns) };
    printer::line(&format!("{prefix}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_merged_by_their_time_and_continuations_stay() {
        let a = vec![
            "2026-01-01T00:00:01Z a1".to_owned(),
            "  more a1".to_owned(),
            "2026-01-01T00:00:03Z a3".to_owned(),
        ];
        let b = vec!["2026-01-01T00:00:02Z b2".to_owned()];
        let merged = merge(vec![("a".to_owned(), a), ("b".to_owned(), b)]);
        let order: Vec<&str> = merged.iter().filter_map(|line| line.text.split(' ').next_back()).collect();
        assert_eq!(order, ["a1", "a1", "b2", "a3"]);
    }
}
