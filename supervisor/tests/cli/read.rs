//! Reading verbs on a state directory nobody supervises, and talking into it.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::clock;
use tachi_shared::event::Event;
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef, Seq};
use tachi_shared::instance::InstanceState;
use tachi_shared::log::{Cursor, Limits};
use tachi_shared::os::Disk;
use tachi_shared::registry::{Registry, Row};
use tachi_shared::snapshot::Document;
use tachi_shared::store::Store;

use crate::folder::{Folder, said};

/// A state directory as a fleet of three left it.
fn left_behind() -> (Folder, Store) {
    let folder = Folder::new();
    let store = Store::create(&folder.state()).unwrap();
    let row = |id: &str, role: &str, status: &str| -> Row {
        let row = json!({
            "instance_id": id, "role": role, "pid": null, "pid_start": null, "incarnation": 2, "status": status,
            "desired": "stopped", "started_at": null, "last_heartbeat": null, "restarts": 1, "next_restart_at": null,
            "backend": "builtin", "doing": null, "last_death": null, "reason": "stopped on request",
        });
        serde_json::from_value(row).unwrap()
    };
    let rows = vec![
        row("instance_1", "explorer", "stopped"),
        row("instance_2", "builder", "stopped"),
        row("instance_3", "builder", "stopped"),
    ];
    let wait = Duration::from_secs(5);
    store
        .registry()
        .update(wait, |registry: &mut Registry| {
            registry.instances = rows;
            Ok(())
        })
        .unwrap();
    let id = InstanceId::new("instance_2").unwrap();
    let now = clock::now().wall;
    let events = [
        Event::new(now, "supervisor-up", "took the directory"),
        Event::new(now, "started", "pid 17").of(&id, Incarnation(2)),
        Event::new(now, "step", "heartbeat").of(&id, Incarnation(2)),
        Event::new(now, "died", "killed by SIGKILL").of(&id, Incarnation(2)),
    ];
    store.events().record(&events, wait).unwrap();
    (folder, store)
}

#[test]
fn c01_status_without_a_supervisor_says_so_and_tells_what_is_left() {
    let (folder, _) = left_behind();
    let out = folder.ok(&["status"]);
    assert!(out.starts_with("no supervisor; none has run here yet, state "), "{out}");
    assert!(
        out.contains("instance_2  builder   stopped  -    -       1         stopped on request"),
        "{out}"
    );
    let value = folder.json(&["status"]);
    assert_eq!((&value["schema"], &value["supervisor"]["running"]), (&json!(1), &json!(false)));
    assert_eq!(value["instances"].as_array().map(Vec::len), Some(3));
    folder.refused(&["status", "--check"], 3, "not ready: no supervisor; next: see `tachi status`");
}

#[test]
fn c01_verbs_that_need_a_supervisor_miss_it_with_code_5() {
    let (folder, _) = left_behind();
    for args in [vec!["stop", "all"], vec!["start", "instance_1"], vec!["down"], vec!["scale", "builder=2"]] {
        folder.refused(&args, 5, "no supervisor for ");
    }
    assert_eq!(
        std::fs::read_dir(folder.state().join("commands")).unwrap().count(),
        0,
        "a command was left behind"
    );
}

#[test]
fn c01_unknown_instances_are_code_4_with_near_names() {
    let (folder, _) = left_behind();
    for args in [
        vec!["why", "instanc_2"],
        vec!["history", "instance_9"],
        vec!["logs", "instance_9"],
        vec!["events", "instance_9"],
        vec!["messages", "instance_9"],
        vec!["inbox", "instance_9"],
        vec!["kill", "instance_9"],
    ] {
        folder.refused(&args, 4, "there is no instance \"instanc");
    }
    folder.refused(&["why", "instanc_2"], 4, "next: known: instance_2");
    folder.refused(&["why", "../x"], 2, "instance id \"../x\" is not allowed");
}

#[test]
fn p57_a_pid_that_belongs_to_a_stranger_is_neither_shown_nor_signalled() {
    let (folder, store) = left_behind();
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let claim = |registry: &mut Registry| {
        let row = &mut registry.instances[0];
        row.pid = Some(stranger.id());
        row.pid_start = Some(1);
        row.boot_id = Some(tachi_shared::os::process::boot_id());
        row.status = tachi_shared::registry::Status::Ready;
        row.desired = tachi_shared::registry::Desired::Running;
        Ok(())
    };
    store.registry().update(Duration::from_secs(5), claim).unwrap();
    let value = folder.json(&["status"]);
    assert_eq!(
        (&value["instances"][0]["pid"], &value["instances"][0]["status"]),
        (&Value::Null, &json!("lost"))
    );
    let said = folder.run(&["kill", "instance_1"]);
    assert_eq!((said.code, said.out.as_str()), (1, "instance_1: not running\n"), "{}", said.err);
    folder.refused(&["down"], 5, "no supervisor for ");
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn why_and_history_speak_of_one_instance() {
    let (folder, _) = left_behind();
    let out = folder.ok(&["why", "instance_2"]);
    assert!(out.contains("instance_2") && out.contains("\nnext: "), "{out}");
    assert_eq!(folder.json(&["why", "instance_2"])["why"]["status"], "stopped");
    let out = folder.ok(&["history", "instance_2"]);
    let kinds: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(kinds[..2], ["started", "died"], "{out}");
    assert!(out.ends_with("instance_2: 1 restarts, incarnation 2\n"), "{out}");
}

#[test]
fn events_can_be_narrowed_counted_and_followed() {
    let (folder, store) = left_behind();
    assert_eq!(folder.ok(&["events"]).lines().count(), 4);
    assert_eq!(folder.ok(&["events", "-n", "2", "instance_2"]).lines().count(), 2);
    assert_eq!(folder.json(&["events"])["events"][0]["kind"], "supervisor-up");
    let mut child = folder.command(&["events", "-f", "-n", "0", "--json"]).spawn().unwrap();
    let (mut lines, id) = (reader(&mut child), InstanceId::new("instance_1").unwrap());
    // The follower may not have read the end yet: record until it shows something.
    let line = lines.first(|| {
        let event = Event::new(clock::now().wall, "ready", "again").of(&id, Incarnation(3));
        store.events().record(&[event], Duration::from_secs(5)).unwrap();
    });
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["text"], "again");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn s27_messages_reach_known_names_only() {
    let (folder, store) = left_behind();
    folder.refused(
        &["send", "instance_22", "x"],
        4,
        "there is no recipient \"instance_22\"; next: known: instance_2",
    );
    folder.refused(&["send", "role:bilder", "x"], 4, "there is no role \"bilder\"; next: known: builder");
    folder.refused(&["send", "instance_1", " "], 2, "the message is empty");
    assert!(store.queue().newest(10).unwrap().is_empty());

    let out = folder.ok(&["send", "instance_2", "hello\u{1b}[2J"]);
    assert_eq!(out, "sent #1; instance_2 is not running and gets it at its next start\n");
    assert_eq!(
        folder.ok(&["send", "role:builder", "both", "--type", "question"]),
        "sent #2; 2 not running get it at their next start\n"
    );
    assert_eq!(folder.ok(&["send", "operator", "note"]), "sent #3\n");
    let message = &store.queue().newest(10).unwrap()[0];
    assert_eq!((message.draft.from.as_str(), message.draft.kind.word()), ("operator", "human"));

    let out = folder.ok(&["messages"]);
    assert!(out.contains("#1  operator -> instance_2  human  hello\\u{1b}[2J"), "{out}");
    assert_eq!(folder.json(&["messages", "instance_1"])["messages"].as_array().map(Vec::len), Some(0));
    assert_eq!(folder.json(&["messages", "instance_3"])["messages"].as_array().map(Vec::len), Some(1));
    assert!(folder.ok(&["inbox"]).ends_with("note\n"));
    assert!(folder.ok(&["inbox", "instance_2"]).contains("both"));
    let sent = folder.ok(&["inbox", "--sent"]);
    assert!(sent.contains("    queued for instance_2, instance_3; waiting for "), "{sent}");
    folder.refused(&["inbox", "--wait", "--timeout", "100ms"], 6, "waiting for a message not finished");
}

/// The state file of an instance that has handled messages up to `seq` and is answering up to `taken`.
fn stands_at(store: &Store, name: &str, seq: u64, taken: u64) {
    let id = InstanceId::new(name).unwrap();
    let process = ProcessRef { pid: 1, pid_start: 1, boot_id: "b".to_owned() };
    let role = tachi_shared::id::Role::new("builder").unwrap();
    let mut state = InstanceState::new(&id, &role, Incarnation(2), &process, clock::now());
    state.inbox = Some(Cursor { seq: Seq(seq), ..Cursor::default() });
    state.taken = Some(Seq(taken));
    store.instance(&id).replace(&state).unwrap();
}

#[test]
fn s28_the_sender_sees_what_is_queued_seen_and_acknowledged() {
    let (folder, store) = left_behind();
    folder.ok(&["send", "instance_2", "one"]);
    folder.ok(&["send", "role:builder", "two"]);
    folder.ok(&["send", "broadcast", "three"]);
    stands_at(&store, "instance_2", 1, 2);
    stands_at(&store, "instance_3", 3, 3);
    let sent = folder.ok(&["inbox", "--sent"]);
    for line in [
        "    acknowledged by instance_2; sent ",
        "    acknowledged by 1 of 2; seen by instance_2; waiting for ",
        "    acknowledged by 1 of 3; queued for instance_1, instance_2; waiting for ",
    ] {
        assert!(sent.contains(line), "{line:?} is missing\n{sent}");
    }
    let value = folder.json(&["messages", "instance_2"]);
    let delivery = |n: usize| value["messages"][n]["delivery"].clone();
    assert_eq!((delivery(0)["state"].clone(), delivery(0)["of"].clone()), (json!("acknowledged"), json!(1)));
    assert_eq!(delivery(1)["state"], "seen");
    assert_eq!(delivery(1)["acknowledged"], json!(["instance_3"]));
    assert_eq!(
        (delivery(2)["state"].clone(), delivery(2)["queued"].clone()),
        (json!("queued"), json!(["instance_1", "instance_2"]))
    );
    assert!(delivery(2)["age_s"].is_u64());
    assert!(folder.ok(&["messages", "instance_2"]).contains("    acknowledged by instance_2; sent "));
    assert!(!folder.ok(&["messages"]).contains("acknowledged"));
}

#[test]
fn s29_priority_and_expiry_travel_with_the_message() {
    let (folder, store) = left_behind();
    folder.ok(&["send", "instance_2", "now", "--priority", "urgent", "--expires", "10m", "--durable"]);
    folder.ok(&["send", "instance_2", "any time"]);
    folder.refused(&["send", "instance_2", "x", "--expires", "soon"], 2, "is not a length of time");
    folder.refused(&["send", "instance_2", "x", "--priority", "huge"], 2, "urgent, normal, low");
    let newest = store.queue().newest(2).unwrap();
    assert_eq!(newest[0].draft.priority.as_deref(), Some("urgent"));
    assert_eq!(newest[0].draft.expires_at, Some(newest[0].draft.timestamp.after(Duration::from_secs(600))));
    assert_eq!((newest[1].draft.priority.clone(), newest[1].draft.expires_at), (None, None));
}

#[test]
fn s29_a_sender_is_told_who_keeps_the_queue_full() {
    let (folder, store) = left_behind();
    let limits = Limits { max_bytes: 70_000, ..Limits::default() };
    limits.save(&Disk, store.dir()).unwrap();
    stands_at(&store, "instance_2", 0, 0);
    let text = "x".repeat(60_000);
    folder.ok(&["send", "instance_2", &text]);
    folder.refused(&["send", "instance_2", &text[..9000]], 1, "messages is full, ");
    folder.refused(
        &["send", "instance_2", &text[..9000]],
        1,
        "instance_2 has read least; next: see why with `tachi why instance_2`, or raise max_bytes",
    );
    folder.ok(&["send", "instance_2", &text[..9000], "--priority", "urgent"]);
}

#[test]
fn a_message_can_come_from_standard_input() {
    let (folder, store) = left_behind();
    let mut command = folder.command(&["send", "instance_1", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"two\nlines\n").unwrap();
    assert_eq!(said(&child.wait_with_output().unwrap()).code, 0);
    assert_eq!(store.queue().newest(1).unwrap()[0].draft.text(), "two\nlines");
}

#[test]
fn memory_keeps_what_people_add_and_finds_it_again() {
    let (folder, store) = left_behind();
    assert_eq!(folder.ok(&["memory", "list"]), "nothing is remembered here\n");
    folder.ok(&["memory", "add", "finding", "The parser is slow"]);
    folder.ok(&["memory", "add", "decision", "keep JSON"]);
    assert_eq!(folder.ok(&["memory", "set", "release", "{\"v\": 2}"]), "release = {\"v\":2}\n");
    assert_eq!(folder.ok(&["memory", "get", "release"]), "{\"v\":2}\n");
    assert_eq!(folder.ok(&["memory", "list"]).lines().count(), 3);
    assert_eq!(folder.ok(&["memory", "list", "findings"]).lines().count(), 1);
    assert!(folder.ok(&["memory", "search", "PARSER"]).ends_with("operator  The parser is slow\n"));
    folder.refused(&["memory", "get", "releas"], 4, "there is no fact \"releas\"; next: known: release");
    folder.refused(&["memory", "set", "x", "plain"], 2, "the value is no JSON");
    folder.refused(
        &["memory", "add", "opinion", "x"],
        2,
        "\"opinion\" is no kind of entry; next: use finding",
    );
    folder.refused(&["memory", "list", "opinions"], 2, "\"opinions\" is no part of the memory");
    assert_eq!(folder.json(&["memory", "list"])["memory"]["decisions"][0]["content"], "keep JSON");
    assert!(
        matches!(store.memory().load().unwrap(), tachi_shared::snapshot::Loaded::Good(memory) if memory.rev() == 3)
    );
}

#[test]
fn logs_are_merged_prefixed_and_followed() {
    let (folder, _) = left_behind();
    folder.write("st/logs/instance_1.log", "2026-01-01T00:00:01Z one\n2026-01-01T00:00:03Z three\n");
    folder.write("st/logs/instance_2.log", "2026-01-01T00:00:02Z two\u{1b}[31m\n");
    let out = folder.ok(&["logs"]);
    let expected = "instance_1 | 2026-01-01T00:00:01Z one\ninstance_2 | 2026-01-01T00:00:02Z two\\u{1b}[31m\n\
                    instance_1 | 2026-01-01T00:00:03Z three\n";
    assert_eq!(out, expected);
    assert_eq!(folder.ok(&["logs", "-n", "1", "--no-prefix", "instance_1"]), "2026-01-01T00:00:03Z three\n");
    let mut child = folder.command(&["logs", "-f", "-n", "0"]).spawn().unwrap();
    let path = folder.state().join("logs/instance_1.log");
    let line = reader(&mut child).first(|| {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"four\n").unwrap();
    });
    assert_eq!(line, "instance_1 | four");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn logs_are_filtered_by_age_and_text_and_raw_changes_no_byte() {
    let (folder, _) = left_behind();
    folder.write(
        "st/logs/instance_1.log",
        "2026-01-01T00:00:01Z one\n  more\n2999-01-01T00:00:03Z \u{1b}[31mthree\n",
    );
    let escaped = "2999-01-01T00:00:03Z \\u{1b}[31mthree\n";
    assert_eq!(folder.ok(&["logs", "--since", "1h", "instance_1"]), format!("instance_1 | {escaped}"));
    assert_eq!(folder.ok(&["logs", "--grep", "more", "instance_1"]), "instance_1 |   more\n");
    assert_eq!(
        folder.ok(&["logs", "-n", "1", "--raw", "instance_1"]),
        "2999-01-01T00:00:03Z \u{1b}[31mthree\n"
    );
    let lines = folder.json(&["logs", "-n", "1", "instance_1"])["lines"].clone();
    assert_eq!(lines[0]["id"], "instance_1");
    folder.refused(&["logs", "--since", "soon"], 2, "is not a length of time");
}

#[test]
fn c01_watch_draws_again_when_the_registry_changes() {
    let (folder, store) = left_behind();
    let mut child = folder.command(&["status", "--watch"]).spawn().unwrap();
    let mut lines = reader(&mut child);
    lines.find("instance_3", || ());
    let line = lines.find("edited", || {
        let edit = |registry: &mut Registry| {
            registry.instances[0].reason = Some("edited".to_owned());
            Ok(())
        };
        store.registry().update(Duration::from_secs(5), edit).unwrap();
    });
    assert!(line.starts_with("instance_1"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn s01_a_damaged_registry_is_told_and_the_last_good_state_shown() {
    let (folder, _) = left_behind();
    let text = std::fs::read_to_string(folder.state().join("registry.json")).unwrap();
    folder.write("st/registry.json", &text[..text.len() / 2]);
    let out = folder.ok(&["status"]);
    assert!(out.contains("! ") && out.contains("registry.json"), "{out}");
    assert_eq!(
        std::fs::read_to_string(folder.state().join("registry.json")).unwrap(),
        text[..text.len() / 2]
    );
}

#[test]
fn s33_a_directory_of_a_newer_version_is_left_alone() {
    let (folder, _) = left_behind();
    folder.write("st/registry.json", "{\"schema\":99,\"rev\":1,\"instances\":[]}");
    folder.refused(
        &["status"],
        1,
        "registry.json has schema 99, this program knows up to 1; next: use the newer tachi",
    );
}

/// Lines of a child that is still running.
struct Lines {
    lines: std::sync::mpsc::Receiver<String>,
}

fn reader(child: &mut std::process::Child) -> Lines {
    use std::io::BufRead as _;
    let out = child.stdout.take().unwrap();
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::BufReader::new(out).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    Lines { lines }
}

impl Lines {
    /// The first line; `cause` is repeated until there is one.
    fn first(&mut self, cause: impl FnMut()) -> String {
        self.find("", cause)
    }

    /// The first line that contains `part`; `cause` is repeated until there is one.
    fn find(&mut self, part: &str, mut cause: impl FnMut()) -> String {
        for _ in 0..50 {
            cause();
            while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
                if line.contains(part) {
                    return line;
                }
            }
        }
        panic!("{part:?} was never shown");
    }
}
