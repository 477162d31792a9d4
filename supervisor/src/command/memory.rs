//! `tachi memory`: findings, decisions, learnings and facts.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tachi_shared::clock::{self, Now};
use tachi_shared::memory::{Entry, EntryKind, Memory, Query, news};
use tachi_shared::os::process;
use tachi_shared::registry::near;
use tachi_shared::snapshot::{Document, Loaded};
use tachi_shared::store::Store;

use super::context::Context;
use super::printer;
use crate::args::{Memory as Args, MemoryAction, Search};
use crate::error::{Error, Result, exit};
use crate::render::json::document;
use crate::render::paint::{Tone, paint};
use crate::render::span::stamp;
use crate::render::text::{clean, clean_lines};

/// Names of the lists, as `list` takes them.
const LISTS: [&str; 4] = ["findings", "decisions", "learnings", "facts"];
/// How long the queue's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest name of a fact, in bytes.
const KEY_MAX: usize = 256;

/// Does one thing with the memory.
pub(super) fn run(context: &Context, args: &Args) -> Result<u8> {
    let store = context.store()?;
    match &args.action {
        MemoryAction::Add { kind, text } => add(context, &store, kind, text),
        MemoryAction::List { kind } => list(context, &store, kind.as_deref()),
        MemoryAction::Get { key } => get(context, &store, key),
        MemoryAction::Set { key, value, rev } => set(context, &store, key, value, *rev),
        MemoryAction::Search(args) => search(context, &store, args),
    }
}

/// The list a word means.
fn entry_kind(word: &str) -> Result<EntryKind> {
    EntryKind::ALL.into_iter().find(|kind| kind.word() == word.trim_end_matches('s')).ok_or_else(|| {
        Error::usage(format!("{word:?} is no kind of entry"), "use finding, decision or learning")
    })
}

/// Tells the team. The change itself is made: a queue that cannot be written to is no reason to say otherwise.
pub(super) fn tell(store: &Store, what: &str, now: Now) {
    let me = process::current();
    let id = format!("operator.{}.{}-{}", now.wall.unix(), me.pid, me.pid_start);
    let _ = store.queue().post(&[news(what, "operator", &id, now.wall)], PATIENCE);
}

fn add(context: &Context, store: &Store, kind: &str, text: &str) -> Result<u8> {
    let kind = entry_kind(kind)?;
    if text.trim().is_empty() {
        return Err(Error::usage("the text is empty", "tachi memory add finding 'some text'"));
    }
    let now = clock::now();
    let me = process::current();
    let id = format!("operator.{}.{}-{}", now.wall.unix(), me.pid, me.pid_start);
    let mut memory = store.memory();
    let entry = memory.add(kind, &id, "operator", text, now)?;
    warn(&memory.notes());
    tell(store, &format!("{} {}", kind.word(), entry.id), now);
    if context.json {
        printer::json(&document("entry", json!(entry)))?;
    } else {
        printer::line(&format!("remembered as {}", clean(&entry.id)))?;
    }
    Ok(exit::OK)
}

fn list(context: &Context, store: &Store, kind: Option<&str>) -> Result<u8> {
    if let Some(kind) = kind
        && !LISTS.iter().any(|list| list.trim_end_matches('s') == kind.trim_end_matches('s'))
    {
        let hint = format!("use one of {}", LISTS.join(", "));
        return Err(Error::usage(format!("{kind:?} is no part of the memory"), hint));
    }
    let memory = load(store)?;
    let wanted =
        |list: &str| kind.is_none_or(|kind| list.trim_end_matches('s') == kind.trim_end_matches('s'));
    show(context, &memory, wanted, |_| true)
}

fn search(context: &Context, store: &Store, args: &Search) -> Result<u8> {
    let facts = args.kind.as_ref().is_some_and(|kind| kind.trim_end_matches('s') == "fact");
    let kind = args.kind.as_deref().filter(|_| !facts).map(entry_kind).transpose()?;
    let now = clock::now().wall;
    let (since, until) = (args.since.map(|age| now.before(age)), args.until.map(|age| now.before(age)));
    let query = Query { kind, author: args.by.as_deref(), text: Some(&args.text), since, until };
    let mut memory = load(store)?;
    let narrowed = kind.is_some() || args.by.is_some() || since.is_some() || until.is_some();
    let archived = if args.archived { store.memory().archived(&query)? } else { Vec::new() };
    for list in EntryKind::ALL {
        let mut found: Vec<Entry> =
            archived.iter().filter(|(kind, _)| *kind == list).map(|(_, entry)| entry.clone()).collect();
        let known = memory.list_mut(list);
        // A crash may have left one in both places.
        found.retain(|old| known.iter().all(|entry| entry.id != old.id));
        found.extend(known.drain(..).filter(|entry| !facts && query.matches(list, entry)));
        found.retain(|_| !facts);
        *known = found;
    }
    let needle = args.text.to_lowercase();
    // Facts have neither author nor time.
    let hit = |text: &str| text.to_lowercase().contains(&needle);
    memory.facts.retain(|key, value| !narrowed && (hit(key) || hit(&value.to_string())));
    show(context, &memory, |_| true, |_| true)
}

fn get(context: &Context, store: &Store, key: &str) -> Result<u8> {
    let memory = load(store)?;
    let lists = [&memory.findings, &memory.decisions, &memory.learnings];
    let entry = || lists.into_iter().flatten().find(|entry| entry.id == key).map(|entry| json!(entry));
    let Some(value) = memory.facts.get(key).cloned().or_else(entry) else {
        let keys: Vec<&str> = memory.facts.keys().map(String::as_str).collect();
        let near = near(key, &keys);
        return Err(tachi_shared::Error::Unknown { what: "fact", value: key.to_owned(), near }.into());
    };
    if context.json {
        let mut answer = document("value", value);
        if let Some(map) = answer.as_object_mut() {
            map.insert("rev".to_owned(), memory.rev.into());
        }
        printer::json(&answer)?;
    } else {
        printer::line(&value.to_string())?;
    }
    Ok(exit::OK)
}

fn set(context: &Context, store: &Store, key: &str, text: &str, rev: Option<u64>) -> Result<u8> {
    if key.trim().is_empty() || key.len() > KEY_MAX || key.chars().any(char::is_control) {
        return Err(Error::usage(
            format!("{key:?} cannot name a fact"),
            "use up to 256 printable characters",
        ));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let hint = format!("text is written with quotes: tachi memory set {key} '\"some text\"'");
        Error::usage(format!("the value is no JSON: {error}"), hint)
    })?;
    let mut memory = store.memory();
    match rev {
        Some(rev) => memory.set_fact_at(key, value.clone(), rev).map(drop)?,
        None => memory.set_fact(key, value.clone())?,
    }
    warn(&memory.notes());
    tell(store, &format!("fact {key}"), clock::now());
    if context.json {
        printer::json(&document("fact", json!({ key: value })))?;
    } else {
        printer::line(&format!("{} = {}", clean(key), clean(&value.to_string())))?;
    }
    Ok(exit::OK)
}

/// Tells what was found in the file and set aside.
fn warn(notes: &[String]) {
    notes.iter().for_each(|note| printer::complain(&format!("tachi: warning: {}", clean(note))));
}

fn load(store: &Store) -> Result<Memory> {
    Ok(match store.memory().load()? {
        Loaded::Good(memory) => memory,
        Loaded::Missing => Memory::empty(),
        Loaded::Fallback(memory, why) => {
            printer::complain(&format!("tachi: warning: {}", clean(&why)));
            memory
        }
    })
}

/// Prints what `wanted` names and `hit` finds.
fn show(
    context: &Context,
    memory: &Memory,
    wanted: impl Fn(&str) -> bool,
    hit: impl Fn(&str) -> bool,
) -> Result<u8> {
    let lists =
        [("findings", &memory.findings), ("decisions", &memory.decisions), ("learnings", &memory.learnings)];
    let chosen: Vec<(&str, Vec<&Entry>)> = lists
        .into_iter()
        .filter(|(list, _)| wanted(list))
        .map(|(list, entries)| (list, entries.iter().filter(|entry| hit(&entry.content)).collect()))
        .collect();
    let facts: Map<String, Value> = if wanted("facts") {
        let found = memory.facts.iter().filter(|(key, value)| hit(key) || hit(&value.to_string()));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    } else {
        Map::new()
    };
    if context.json {
        let mut map: Map<String, Value> =
            chosen.iter().map(|(list, entries)| ((*list).to_owned(), json!(entries))).collect();
        if wanted("facts") {
            map.insert("facts".to_owned(), Value::Object(facts));
        }
        printer::json(&document("memory", Value::Object(map)))?;
        return Ok(exit::OK);
    }
    let now = clock::now().wall;
    for (list, entry) in
        chosen.iter().flat_map(|(list, entries)| entries.iter().map(move |entry| (list, entry)))
    {
        let at = entry.timestamp.map_or_else(|| "-".to_owned(), |at| stamp(at, now));
        let kind = paint(Tone::Title, list.trim_end_matches('s'));
        printer::line(&format!(
            "{kind}  {at}  {}  {}",
            clean(&entry.instance),
            clean_lines(&entry.content, 4)
        ))?;
    }
    for (key, value) in &facts {
        printer::line(&format!(
            "{}  {} = {}",
            paint(Tone::Title, "fact"),
            clean(key),
            clean(&value.to_string())
        ))?;
    }
    if facts.is_empty() && chosen.iter().all(|(_, entries)| entries.is_empty()) {
        printer::line("nothing is remembered here")?;
    }
    Ok(exit::OK)
}
