//! What is different between two states of the memory, for people — pure.

use std::collections::BTreeMap;

use super::{Entry, EntryKind, Memory};

/// One sentence for every entry, fact and unknown field that is not in both alike.
pub(super) fn changes(before: &Memory, after: &Memory) -> Vec<String> {
    let mut told = Vec::new();
    for kind in EntryKind::ALL {
        let named = |memory: &'_ Memory| {
            memory.list(kind).iter().map(|entry| (entry.id.clone(), entry.clone())).collect()
        };
        let (before, after): (BTreeMap<String, Entry>, BTreeMap<String, Entry>) =
            (named(before), named(after));
        compare(&mut told, kind.word(), &before, &after);
    }
    for (what, before, after) in
        [("fact", &before.facts, &after.facts), ("field", &before.extra, &after.extra)]
    {
        let named = |map: &serde_json::Map<_, _>| map.clone().into_iter().collect();
        compare(&mut told, what, &named(before), &named(after));
    }
    told
}

fn compare<T: PartialEq>(
    told: &mut Vec<String>,
    what: &str,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) {
    for (name, value) in after {
        match before.get(name) {
            None => told.push(format!("{what} {name} added")),
            Some(was) if was != value => told.push(format!("{what} {name} changed")),
            Some(_) => {}
        }
    }
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    told.extend(removed.map(|name| format!("{what} {name} removed")));
}
