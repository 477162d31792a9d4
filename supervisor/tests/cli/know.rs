//! `tachi memory`: compare-and-set, search, archive, and what the team is told.

use std::time::Duration;

use serde_json::json;
use tachi_shared::clock;
use tachi_shared::memory::{EntryKind, LIST_MAX};
use tachi_shared::store::Store;

use crate::folder::Folder;

fn store() -> (Folder, Store) {
    let folder = Folder::new();
    let store = Store::create(&folder.state()).unwrap();
    (folder, store)
}

#[test]
fn s30_a_fact_is_set_only_by_who_has_seen_its_newest_value() {
    let (folder, _) = store();
    folder.ok(&["memory", "set", "k", "1", "--rev", "0"]);
    folder.refused(&["memory", "set", "k", "2", "--rev", "0"], 1, "the memory is at revision 1");
    let seen = folder.json(&["memory", "get", "k"])["rev"].to_string();
    folder.ok(&["memory", "set", "other", "true"]);
    folder.ok(&["memory", "set", "k", "2", "--rev", &seen]);
    folder.refused(&["memory", "set", "k", "3", "--rev", &seen], 1, "\"k\" was changed since revision 1");
    let now = folder.json(&["memory", "get", "k"]);
    assert_eq!((&now["value"], &now["rev"]), (&json!(2), &json!(3)));
}

#[test]
fn s30_a_fact_changed_by_hand_is_not_replaced_unseen() {
    let (folder, _) = store();
    folder.ok(&["memory", "set", "k", "1"]);
    let text = std::fs::read_to_string(folder.state().join("memory.json")).unwrap();
    folder.write("st/memory.json", &text.replace("\"k\": 1", "\"k\": \"by hand\""));
    folder.refused(&["memory", "set", "k", "2", "--rev", "1"], 1, "the memory is at revision 2");
    assert_eq!(folder.ok(&["memory", "get", "k"]), "\"by hand\"\n");
    folder.ok(&["memory", "set", "k", "2", "--rev", "2"]);
}

#[test]
fn s30_old_entries_are_archived_and_found_again() {
    let (folder, store) = store();
    let mut memory = store.memory();
    let old = clock::Now { wall: clock::now().wall.before(Duration::from_secs(7200)), ..clock::now() };
    memory.add(EntryKind::Finding, "a.1.1", "a", "the oldest of all", old).unwrap();
    memory
        .update(Duration::from_secs(5), |memory| {
            for n in 0..LIST_MAX {
                let (id, text) = (format!("b.1.{n}"), format!("number {n}"));
                tachi_shared::memory::add(memory, EntryKind::Finding, &id, "b", &text, clock::now().wall)?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(folder.json(&["memory", "list"])["memory"]["findings"].as_array().unwrap().len(), LIST_MAX);
    assert_eq!(folder.ok(&["memory", "search", "OLDEST"]), "nothing is remembered here\n");
    assert!(folder.ok(&["memory", "search", "OLDEST", "--archived"]).ends_with("a  the oldest of all\n"));
    let found = |args: &[&str]| folder.json(args)["memory"]["findings"].as_array().unwrap().len();
    assert_eq!(found(&["memory", "search", "--by", "a", "--archived"]), 1);
    assert_eq!(found(&["memory", "search", "--archived"]), LIST_MAX + 1);
    assert_eq!(found(&["memory", "search", "--archived", "--since", "1h"]), LIST_MAX);
    assert_eq!(found(&["memory", "search", "--archived", "--until", "1h"]), 1);
    assert_eq!(found(&["memory", "search", "--archived", "--since", "3h", "--until", "1h"]), 1);
    assert_eq!(found(&["memory", "search", "--archived", "--since", "1h", "--until", "1s"]), 0);
    assert_eq!(found(&["memory", "search", "number 49", "--kind", "finding"]), 11);
    assert_eq!(found(&["memory", "search", "--kind", "decision", "--archived"]), 0);
    let path = folder.state().join("artifacts/memory/findings.jsonl");
    let torn = std::fs::read_to_string(&path).unwrap() + "{\"id\":\"torn";
    std::fs::write(&path, torn).unwrap();
    memory.add(EntryKind::Finding, "c.1.1", "c", "one more", clock::now()).unwrap();
    assert_eq!(found(&["memory", "search", "--archived"]), LIST_MAX + 2, "a torn line took another with it");
}

#[test]
fn s30_the_team_is_told_and_nobody_has_to_think_about_it() {
    let (folder, store) = store();
    folder.ok(&["memory", "add", "decision", "we keep JSON"]);
    folder.ok(&["memory", "set", "release", "2"]);
    let told = store.queue().newest(9).unwrap();
    let words: Vec<String> = told.iter().map(|message| message.draft.text().into_owned()).collect();
    assert!(words.len() == 2 && words[0].starts_with("decision operator."), "{words:?}");
    assert_eq!(words[1], "fact release");
    assert!(
        told.iter()
            .all(|message| message.draft.kind.word() == "memory" && !message.draft.kind.causes_think())
    );
}
