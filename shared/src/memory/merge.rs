//! Three-way merge of a hand's edit into what others wrote meanwhile, entry by entry — pure.
//!
//! What the hand changed since the revision it read (`base`) is taken over; what only others changed stays; what both
//! changed differently stays as others have it and is told.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Entry, EntryKind, Memory};

/// What one entry comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// As it is.
    Keep,
    /// As the hand has it.
    Set,
    /// Gone.
    Remove,
    /// Changed by both, differently.
    Conflict,
}

fn judge<T: PartialEq>(base: Option<&T>, hand: Option<&T>, ours: Option<&T>) -> Verdict {
    if hand == base || hand == ours {
        Verdict::Keep
    } else if ours != base {
        Verdict::Conflict
    } else if hand.is_some() {
        Verdict::Set
    } else {
        Verdict::Remove
    }
}

/// Takes over into `ours` what `hand` changed since `base`; returns what was not, one sentence each.
pub(super) fn merge(ours: &mut Memory, base: &Memory, hand: &Memory) -> Vec<String> {
    let mut conflicts = Vec::new();
    for kind in EntryKind::ALL {
        list(ours.list_mut(kind), base.list(kind), hand.list(kind), kind, &mut conflicts);
    }
    map(&mut ours.facts, &base.facts, &hand.facts, "fact", &mut conflicts);
    map(&mut ours.extra, &base.extra, &hand.extra, "field", &mut conflicts);
    conflicts
}

fn list(ours: &mut Vec<Entry>, base: &[Entry], hand: &[Entry], kind: EntryKind, conflicts: &mut Vec<String>) {
    let named = |entries: &[Entry]| -> BTreeMap<String, Entry> {
        let named = entries.iter().filter(|entry| !entry.id.is_empty());
        named.map(|entry| (entry.id.clone(), entry.clone())).collect()
    };
    let (before, after) = (named(base), named(hand));
    let written = hand.iter().map(|entry| &entry.id).filter(|id| !id.is_empty());
    let removed = before.keys().filter(|id| !after.contains_key(*id));
    for id in written.chain(removed) {
        let place = ours.iter().position(|entry| entry.id == *id);
        let mine = place.and_then(|place| ours.get(place));
        match judge(before.get(id), after.get(id), mine) {
            Verdict::Keep => {}
            Verdict::Conflict => conflicts.push(both(kind.word(), id)),
            Verdict::Remove => ours.retain(|entry| entry.id != *id),
            Verdict::Set => {
                let Some(entry) = after.get(id).cloned() else { continue };
                match place.and_then(|place| ours.get_mut(place)) {
                    Some(mine) => *mine = entry,
                    None => ours.push(entry),
                }
            }
        }
    }
    for entry in hand.iter().filter(|entry| entry.id.is_empty()) {
        // An editor that saves twice writes its new entry twice; the first time it got its id.
        let known = |mine: &&Entry| mine.id.is_empty() || mine.id.starts_with("hand.");
        if !ours.iter().filter(known).any(|mine| mine.content == entry.content) {
            ours.push(entry.clone());
        }
    }
}

fn map(
    ours: &mut Map<String, Value>,
    base: &Map<String, Value>,
    hand: &Map<String, Value>,
    what: &str,
    conflicts: &mut Vec<String>,
) {
    let removed = base.keys().filter(|key| !hand.contains_key(*key));
    for key in hand.keys().chain(removed) {
        match (judge(base.get(key), hand.get(key), ours.get(key)), hand.get(key)) {
            (Verdict::Keep, _) => {}
            (Verdict::Conflict, _) => conflicts.push(both(what, key)),
            (Verdict::Remove, _) | (_, None) => drop(ours.remove(key)),
            (Verdict::Set, Some(value)) => drop(ours.insert(key.clone(), value.clone())),
        }
    }
}

fn both(what: &str, key: &str) -> String {
    format!("{what} {key:?} was changed by others too, differently")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A memory out of words: `a=1` is a finding with id and content, `=x` one without an id, `#k=1` a fact.
    fn memory(words: &str) -> Memory {
        let mut memory = json!({ "schema": 1, "rev": 1, "findings": [], "facts": {} });
        for word in words.split_whitespace() {
            match (word.strip_prefix('#'), word.split_once('=')) {
                (Some(fact), _) => {
                    let (key, value) = fact.split_once('=').unwrap();
                    memory["facts"][key] = value.into();
                }
                (None, Some((id, content))) => {
                    memory["findings"].as_array_mut().unwrap().push(json!({ "id": id, "content": content }));
                }
                (None, None) => panic!("{word}"),
            }
        }
        serde_json::from_value(memory).unwrap()
    }

    fn words(memory: &Memory) -> String {
        let entries = memory.findings.iter().map(|entry| format!("{}={}", entry.id, entry.content));
        let facts = memory.facts.iter().map(|(key, value)| format!("#{key}={}", value.as_str().unwrap()));
        entries.chain(facts).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_edit_of_an_older_revision_is_taken_over_entry_by_entry() {
        for (what, base, hand, ours, merged, conflicts) in [
            ("nothing", "a=1", "a=1", "a=2 b=1", "a=2 b=1", 0),
            ("an addition", "a=1", "a=1 c=1", "a=1 b=1", "a=1 b=1 c=1", 0),
            ("an addition without an id", "a=1", "a=1 =new", "a=1 b=1", "a=1 b=1 =new", 0),
            ("the same, saved twice", "a=1", "a=1 =new", "a=1 hand.1=new", "a=1 hand.1=new", 0),
            ("a change", "a=1 b=1", "a=2 b=1", "a=1 b=1 c=1", "a=2 b=1 c=1", 0),
            ("a removal", "a=1 b=1", "b=1", "a=1 b=1 c=1", "b=1 c=1", 0),
            ("everything removed", "a=1", "", "a=1 b=1", "b=1", 0),
            ("both changed", "a=1", "a=2", "a=3", "a=3", 1),
            ("both changed alike", "a=1", "a=2", "a=2", "a=2", 0),
            ("both added", "", "a=2", "a=3", "a=3", 1),
            ("changed and removed", "a=1", "a=2", "", "", 1),
            ("removed and changed", "a=1", "", "a=2", "a=2", 1),
            ("both removed", "a=1", "", "", "", 0),
            ("a conflict keeps the rest", "a=1 b=1", "a=2 b=2", "a=3 b=1", "a=3 b=2", 1),
            ("a fact", "#k=1", "#k=2 #l=1", "#k=1 #m=1", "#k=2 #l=1 #m=1", 0),
            ("a fact removed", "#k=1 #l=1", "#l=1", "#k=1 #l=1", "#l=1", 0),
            ("a fact both changed", "#k=1", "#k=2", "#k=3", "#k=3", 1),
        ] {
            let mut result = memory(ours);
            let told = merge(&mut result, &memory(base), &memory(hand));
            assert_eq!((words(&result).as_str(), told.len()), (merged, conflicts), "{what}: {told:?}");
        }
    }

    #[test]
    fn fields_nobody_knows_are_merged_too() {
        let (base, mut hand, mut ours) = (memory(""), memory(""), memory(""));
        hand.extra.insert("note".to_owned(), json!("mine"));
        ours.extra.insert("other".to_owned(), json!(1));
        assert_eq!(merge(&mut ours, &base, &hand), Vec::<String>::new());
        assert_eq!((&ours.extra["note"], &ours.extra["other"]), (&json!("mine"), &json!(1)));
    }
}
