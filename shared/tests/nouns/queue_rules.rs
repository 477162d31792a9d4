//! The rules of the queue and of selectors, as tables: no files, no processes.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tachi_shared::Error;
use tachi_shared::clock::Timestamp;
use tachi_shared::id::{InstanceId, Recipient, Role};
use tachi_shared::memory::{EntryKind, Memory, Query, add, number, search, set_fact};
use tachi_shared::queue::message::{DEPTH_MAX, LINE_MAX};
use tachi_shared::queue::{
    Draft, MessageKind, bells, check_kind, check_recipient, is_for_another, view, write_record,
};
use tachi_shared::registry::{Desired, Registry, hand_edits, select};
use tachi_shared::snapshot::Document as _;

fn id(text: &str) -> InstanceId {
    InstanceId::new(text).unwrap()
}

fn to(text: &str) -> Draft {
    let kind = MessageKind::Finding;
    Draft::new(text.parse().unwrap(), "instance_1", kind, "instance_1.1.1".to_owned(), Timestamp::EPOCH, "hi")
}

fn fleet() -> Registry {
    let rows: Vec<Value> = [("instance_1", "explorer"), ("instance_2", "builder"), ("instance_3", "explorer")]
        .iter()
        .map(|(id, role)| {
            json!({ "instance_id": id, "role": role, "pid": null, "pid_start": null, "incarnation": 1,
                "status": "ready", "desired": "running", "started_at": null, "last_heartbeat": null, "restarts": 0,
                "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null })
        })
        .collect();
    serde_json::from_value(json!({ "schema": 1, "rev": 3, "instances": rows })).unwrap()
}

fn record(draft: &Draft) -> Result<String, Error> {
    let mut line = Vec::new();
    write_record(draft, &mut line).map(|()| String::from_utf8(line).unwrap())
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_record_starts_with_its_recipient_and_never_carries_a_position() {
    let mut draft = to("broadcast");
    draft.extra.insert("seq".to_owned(), json!(7));
    draft.extra.insert("mood".to_owned(), json!("fine"));
    let line = record(&draft).unwrap();
    assert!(line.starts_with(
        r#"{"to":"broadcast","from":"instance_1","type":"finding","id":"instance_1.1.1","timestamp":"#
    ));
    assert!(line.contains(r#""mood":"fine""#) && !line.contains("seq") && !line.contains('\n'));
}

#[test]
fn s27_what_exceeds_a_limit_or_has_no_proper_name_is_refused() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let too_large = |draft: &Draft| matches!(record(draft), Err(Error::TooLarge { .. }));
    let mut draft = to("instance_2");
    draft.content = nested(DEPTH_MAX);
    assert!(record(&draft).is_ok());
    draft.content = nested(DEPTH_MAX + 1);
    assert!(too_large(&draft));
    let mut draft = to("instance_2");
    draft.metadata.insert("deep".to_owned(), nested(DEPTH_MAX));
    assert!(too_large(&draft));

    let mut draft = to("instance_2");
    let room = LINE_MAX - record(&draft).unwrap().len() - 28;
    draft.content = Value::String(format!("hi{}", "x".repeat(room)));
    assert!(record(&draft).is_ok());
    draft.content = Value::String(format!("hi{}x", "x".repeat(room)));
    assert!(too_large(&draft));

    for bad in ["", "a\nb", "a\0b", &"x".repeat(300)] {
        let mut draft = to("instance_2");
        draft.kind = MessageKind::Other(bad.to_owned());
        assert!(matches!(record(&draft), Err(Error::InvalidName { .. })), "type {bad:?}");
        let mut draft = to("instance_2");
        draft.from = bad.to_owned();
        assert!(matches!(record(&draft), Err(Error::InvalidName { .. })), "from {bad:?}");
    }
}

#[test]
fn s27_recipients_must_be_known_and_well_formed() {
    for good in ["instance_1", "broadcast", "operator", "role:builder"] {
        check_recipient(&good.parse().unwrap(), &fleet()).unwrap();
    }
    for (bad, near) in [("instance_4", "instance_1"), ("role:bilder", "builder")] {
        match check_recipient(&bad.parse().unwrap(), &fleet()) {
            Err(Error::Unknown { near: names, .. }) => assert!(names.contains(&near.to_owned()), "{names:?}"),
            other => panic!("{bad} was accepted: {other:?}"),
        }
    }
    for hostile in ["", "../x", "a\nb", "a\0b", "role:", "role:../x", "supervisor"] {
        assert!(hostile.parse::<Recipient>().is_err(), "{hostile:?} was accepted");
    }
}

#[test]
fn s27_types_of_the_fleet_are_refused_for_people() {
    for (word, allowed) in [
        ("human", true),
        ("question", true),
        ("mine", true),
        ("presence", false),
        ("memory", false),
        ("event", false),
        ("proposal", false),
        ("vote", false),
        ("task_complete", false),
        ("a b", false),
        ("", false),
    ] {
        assert_eq!(check_kind(&MessageKind::from(word)).is_ok(), allowed, "{word}");
    }
}

#[test]
fn s24_everybody_gets_what_is_for_them_and_no_own_broadcast() {
    let draft = |text: &str, from: &str| Draft { from: from.to_owned(), ..to(text) };
    let role = Role::new("builder").unwrap();
    for (text, from, wanted) in [
        ("instance_2", "instance_1", true),
        ("instance_1", "instance_2", false),
        ("broadcast", "instance_1", true),
        ("broadcast", "instance_2", false),
        ("role:builder", "instance_1", true),
        ("role:builder", "instance_2", false),
        ("role:explorer", "instance_1", false),
        ("operator", "instance_1", false),
    ] {
        assert_eq!(draft(text, from).is_for(&id("instance_2"), &role), wanted, "{text} from {from}");
    }
}

#[test]
fn doorbells_are_rung_for_those_who_receive() {
    let all = words(&["instance_1", "instance_2", "instance_3", "supervisor", "gone"]);
    let fleet = fleet();
    for (text, registry, expected) in [
        ("instance_2", Some(&fleet), vec!["instance_2"]),
        ("operator", Some(&fleet), vec![]),
        ("broadcast", Some(&fleet), vec!["instance_2", "instance_3", "gone"]),
        ("role:explorer", Some(&fleet), vec!["instance_3"]),
        ("role:explorer", None, vec!["instance_2", "instance_3", "gone"]),
    ] {
        assert_eq!(bells(&to(text), registry, &all), expected, "{text}");
    }
}

#[test]
fn selectors_are_ids_roles_globs_or_all() {
    for (selectors, expected) in [
        (&["instance_2"][..], &["instance_2"][..]),
        (&["explorer"], &["instance_1", "instance_3"]),
        (&["role:explorer"], &["instance_1", "instance_3"]),
        (&["instance_3", "instance_1", "instance_3"], &["instance_1", "instance_3"]),
        (&["*_2", "instance_?"], &["instance_1", "instance_2", "instance_3"]),
        (&["all"], &["instance_1", "instance_2", "instance_3"]),
        (&[], &[]),
    ] {
        let chosen = select(&fleet(), &words(selectors)).unwrap();
        assert_eq!(chosen.iter().map(InstanceId::as_str).collect::<Vec<_>>(), expected, "{selectors:?}");
    }
    for unknown in ["instance_9", "x*", "", "../x"] {
        assert!(
            matches!(select(&fleet(), &words(&["instance_1", unknown])), Err(Error::Unknown { .. })),
            "{unknown}"
        );
    }
    assert_eq!(select(&Registry::empty(), &words(&["all"])).unwrap(), []);
}

#[test]
fn only_desired_is_an_input_by_hand() {
    let old = fleet();
    let mut new = fleet();
    new.instances.swap(0, 2);
    let row = new.row_mut(&id("instance_2")).unwrap();
    row.desired = Desired::Stopped;
    row.pid = Some(1);
    let row = new.row_mut(&id("instance_3")).unwrap();
    row.restarts = 99;
    let mut stranger = new.instances[0].clone();
    stranger.instance_id = id("stranger");
    stranger.desired = Desired::Stopped;
    new.instances.push(stranger);
    assert_eq!(hand_edits(&old, &new), [(id("instance_2"), Desired::Stopped)]);
    assert_eq!(hand_edits(&old, &old), []);
}

#[test]
fn memory_is_added_to_once_per_id_and_searched_by_text_kind_and_author() {
    let mut memory = Memory::empty();
    let at = Timestamp::EPOCH;
    add(&mut memory, EntryKind::Finding, "a", "instance_1", "The Parser is slow", at).unwrap();
    add(&mut memory, EntryKind::Decision, "b", "instance_2", "rewrite the parser", at).unwrap();
    let again = add(&mut memory, EntryKind::Learning, "a", "instance_2", "other", at).unwrap();
    assert_eq!(again.content, "The Parser is slow");
    let found =
        |query: Query<'_>| search(&memory, &query).iter().map(|(_, e)| e.id.clone()).collect::<Vec<_>>();
    assert_eq!(found(Query { text: Some("PARSER"), ..Query::default() }), ["a", "b"]);
    assert_eq!(found(Query { kind: Some(EntryKind::Decision), ..Query::default() }), ["b"]);
    assert_eq!(
        found(Query { author: Some("instance_1"), text: Some("rewrite"), ..Query::default() }),
        [""; 0]
    );
    let big = "x".repeat(64 * 1024 + 1);
    assert!(matches!(add(&mut memory, EntryKind::Finding, "c", "i", &big, at), Err(Error::TooLarge { .. })));
    assert!(matches!(set_fact(&mut memory, "big", json!(big)), Err(Error::TooLarge { .. })));
    assert!(matches!(set_fact(&mut memory, "", json!(1)), Err(Error::InvalidName { .. })));
    set_fact(&mut memory, "answer", json!(42)).unwrap();
    assert_eq!(memory.facts["answer"], 42);
}

#[test]
fn entries_written_by_hand_get_ids_of_their_own() {
    let mut memory: Memory = serde_json::from_value(json!({ "schema": 1, "rev": 0,
        "findings": [{ "content": "one" }, { "content": "two", "id": "hand.1" }, { "content": "twin", "id": "x" }],
        "learnings": [{ "content": "three", "id": "x" }] }))
    .unwrap();
    number(&mut memory);
    let ids: Vec<&str> =
        memory.findings.iter().chain(&memory.learnings).map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["hand.2", "hand.1", "x", "hand.3"]);
    let before = memory.clone();
    number(&mut memory);
    assert_eq!(memory, before);
}

#[test]
fn the_view_shows_the_newest_two_hundred() {
    let empty: Value = serde_json::from_str(&view::render(&[])).unwrap();
    assert_eq!(empty, json!({ "messages": [] }));
    let messages: Vec<_> = (1..=205)
        .map(|seq| tachi_shared::queue::Message { seq: tachi_shared::id::Seq(seq), draft: to("operator") })
        .collect();
    let view: Value = serde_json::from_str(&view::render(&messages)).unwrap();
    let shown = view["messages"].as_array().unwrap();
    assert_eq!((shown.len(), &shown[0]["seq"], &shown[199]["seq"]), (200, &json!(6), &json!(205)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Passing over a line by its first bytes must agree with parsing it.
    #[test]
    fn the_byte_filter_never_drops_what_is_for_the_reader(
        pick in 0..8_usize, from in 0..3_usize, canonical in any::<bool>(), seq in any::<u64>(),
    ) {
        let text = ["instance_1", "instance_2", "instance_22", "broadcast", "all", "role:builder", "role:explorer",
            "operator"][pick];
        let draft = Draft { from: ["instance_1", "instance_2", "operator"][from].to_owned(), ..to(text) };
        let body = record(&draft).unwrap();
        let line = if canonical {
            format!("{{\"seq\":{seq},{}", &body[1..])
        } else {
            let mut fields: Map<String, Value> = serde_json::from_str(&body).unwrap();
            fields.insert("seq".to_owned(), json!(seq));
            Value::Object(fields).to_string()
        };
        let (reader, role) = (id("instance_2"), Role::new("builder").unwrap());
        if draft.is_for(&reader, &role) {
            prop_assert!(!is_for_another(&line, &reader, &role), "{line}");
        } else if canonical && text.starts_with("instance") {
            prop_assert!(is_for_another(&line, &reader, &role), "{line}");
        }
    }

    #[test]
    fn any_bytes_in_a_line_pass_the_filter_without_harm(line in ".{0,80}") {
        let _ = is_for_another(&line, &id("instance_2"), &Role::new("builder").unwrap());
    }
}
