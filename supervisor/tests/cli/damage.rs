//! Damaged files, foreign directories and broken input, on a stopped fleet and on a running one: one line that says what, why
//! and what next, the documented exit code, and nothing lost.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::folder::{Folder, said};

const CONFIG: &str = "[fleet]\ncount = 0\n[roles.sleeper]\ncommand = [\"sleep\", \"1000\"]\ngrace = \"2s\"\n\
                      [[instances]]\nid = \"a\"\nrole = \"sleeper\"\n";
const DAMAGE: [&str; 4] = ["", "{\"schema\":1, oops", "[]", "\u{0}\u{0}\u{0}\u{0}"];

fn started() -> Folder {
    let folder = Folder::new();
    folder.write("tachi.toml", CONFIG);
    folder.ok(&["up", "--detach"]);
    folder
}

fn is_ready(folder: &Folder) -> bool {
    folder.json(&["status"])["instances"][0]["status"] == "ready"
}

#[test]
fn s13_whatever_file_is_damaged_a_fleet_starts_again_and_nothing_is_lost() {
    let folder = started();
    folder.ok(&["memory", "set", "kept", "1"]);
    folder.ok(&["send", "a", "kept"]);
    folder.ok(&["down"]);
    let files = [
        "registry.json",
        "memory.json",
        "messages.json",
        "tasks.json",
        "instances/a.json",
        ".tachi/epoch.json",
        ".tachi/exits/a.json",
    ];
    for (name, damage) in files.iter().zip(DAMAGE.iter().cycle()) {
        fs::write(folder.state().join(name), damage).unwrap();
        for verb in [&["status"][..], &["why", "a"], &["inbox", "a"], &["events"]] {
            let said = folder.run(verb);
            assert_eq!((said.code, said.err.lines().count()), (0, 0), "{name}: {verb:?}: {}", said.err);
        }
        if *name == "registry.json" {
            let status = folder.ok(&["status"]);
            assert!(status.contains("registry.json:1:0: ") && status.contains("next: "), "{status}");
        }
        folder.ok(&["up", "--detach"]);
        assert!(is_ready(&folder), "{name}: {damage:?}");
        let rows = folder.json(&["status"])["instances"].as_array().map(Vec::len);
        assert_eq!(rows, Some(1), "{name}");
        folder.ok(&["down"]);
    }
    let said = folder.run(&["memory", "get", "kept"]);
    assert_eq!((said.code, said.out.trim()), (0, "1"), "{}", said.err);
    let inbox = folder.json(&["inbox", "a"]);
    let messages = inbox["messages"].as_array().unwrap();
    assert!(messages.iter().any(|message| message["content"] == "kept"), "{inbox}");
}

#[test]
fn s17_damaged_lines_of_every_log_are_passed_over_and_what_follows_is_read() {
    let folder = started();
    folder.ok(&["send", "a", "before"]);
    for topic in ["messages", "tasks", "events"] {
        let dir = folder.state().join(topic);
        let newest = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).max();
        let path = newest.unwrap_or_else(|| dir.join("00000000000000000001.jsonl"));
        let mut log = fs::File::options().create(true).append(true).open(path).unwrap();
        log.write_all(b"garbage\n{\"seq\":\n\0\0\0\n{\"torn\":").unwrap();
    }
    folder.ok(&["send", "a", "after"]);
    let messages = folder.json(&["messages"]);
    let contents: Vec<&Value> =
        messages["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(contents, ["before", "after"]);
    for verb in [&["status"][..], &["events"], &["history", "a"]] {
        folder.ok(verb);
    }
    let kept = fs::read_dir(folder.state().join("rejected")).unwrap().count();
    assert!(kept >= 2, "the torn end was thrown away");
}

#[test]
fn s03_s08_lines_nobody_can_read_are_listed_and_told_once_whatever_the_log() {
    let folder = started();
    folder.ok(&["send", "a", "before"]);
    for topic in ["messages", "tasks", "events"] {
        let dir = folder.state().join(topic);
        let newest = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).max();
        let path = newest.unwrap_or_else(|| dir.join("00000000000000000001.jsonl"));
        let mut log = fs::File::options().create(true).append(true).open(path).unwrap();
        log.write_all(format!("garbage in {topic}\n").as_bytes()).unwrap();
    }
    let list = folder.state().join(".tachi/deadletter.jsonl");
    let listed = || {
        let text = fs::read_to_string(&list).unwrap_or_default();
        let letters = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut letters: Vec<(String, String)> =
            letters.map(|letter| (letter["topic"].to_string(), letter["line"].to_string())).collect();
        letters.sort();
        letters
    };
    let told = || {
        let events = folder.json(&["events", "-n", "1000"]);
        let events = events["events"].as_array().unwrap().clone();
        events.iter().filter(|event| event["text"].to_string().contains("cannot be read")).count()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while listed().len() < 3 || told() < 3 {
        assert!(Instant::now() < deadline, "{:?}, {} told", listed(), told());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let expected = ["events", "messages", "tasks"]
        .map(|topic| (format!("\"{topic}\""), format!("\"garbage in {topic}\"")));
    assert_eq!(listed(), expected);
    // A later supervisor, which reads the same logs, lists and tells nothing again; what is new it does.
    folder.ok(&["down"]);
    folder.ok(&["up", "--detach"]);
    let tasks = folder.state().join("tasks/00000000000000000001.jsonl");
    fs::File::options().append(true).open(tasks).unwrap().write_all(b"more\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while listed().len() < 4 || told() < 4 {
        assert!(Instant::now() < deadline, "{:?}, {} told", listed(), told());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!((listed().len(), told()), (4, 4));
}

#[test]
fn c01_a_damaged_or_newer_mark_is_refused_with_the_way_out() {
    let folder = started();
    let mark = folder.state().join(".tachi/store.json");
    let good = fs::read(&mark).unwrap();
    for verb in [&["status"][..], &["send", "a", "x"], &["up", "--detach"], &["down"]] {
        fs::write(&mark, "oops").unwrap();
        folder.refused(
            verb,
            2,
            "store.json is damaged: expected value; next: nothing else is touched; put it right",
        );
        fs::write(&mark, "{\"schema\":99}").unwrap();
        folder.refused(
            verb,
            1,
            "store.json has schema 99, this program knows up to 1; next: use the newer tachi",
        );
    }
    // The way out that the refusal shows.
    fs::write(&mark, "{\"schema\":1}\n").unwrap();
    assert!(is_ready(&folder));
    fs::write(&mark, good).unwrap();
}

#[test]
fn c01_directories_that_cannot_be_ours_are_refused_and_left_alone() {
    let folder = Folder::new();
    folder.write("tachi.toml", CONFIG);
    fs::create_dir(folder.path().join("full")).unwrap();
    folder.write("full/thesis.txt", "mine");
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    for (state, why) in [
        ("full", "it is not empty (there is thesis.txt) and no state directory of ours; next: choose"),
        ("missing/st", "the directory above it does not exist; next: choose"),
        ("tachi.toml", "it is a file; next: choose"),
        ("dangling", "it is a symbolic link to nowhere; next: choose"),
    ] {
        folder.refused(&["up", "--detach", "--state", state], 2, why);
    }
    let inside: Vec<_> = fs::read_dir(folder.path().join("full")).unwrap().collect();
    assert_eq!(inside.len(), 1, "something was made in a foreign directory");
}

#[test]
fn s27_what_cannot_be_sent_whole_is_not_sent_at_all() {
    let folder = started();
    let send = |bytes: &[u8]| {
        let mut child = folder.command(&["send", "a", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        // A refusal may come before everything is written.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        said(&child.wait_with_output().unwrap())
    };
    let padded = [&b"hello"[..], &vec![b'\n'; 1 << 20], b"world"].concat();
    for (what, bytes, code, why) in [
        (
            "1 MiB and a byte",
            vec![b'x'; (1 << 20) + 1],
            1,
            "the limit is 1048576; next: put the content into a file",
        ),
        ("what hides behind empty lines", padded, 1, "the limit is 1048576"),
        ("just above the limit as a line", vec![b'x'; (1 << 20) - 10], 1, "the limit is 1048576"),
        (
            "not UTF-8",
            b"caf\xe9".to_vec(),
            2,
            "standard input is not UTF-8 text: byte 4 cannot be read; next: ",
        ),
        ("nothing", Vec::new(), 2, "the message is empty; next: "),
    ] {
        let said = send(&bytes);
        assert_eq!((said.code, said.err.lines().count()), (code, 1), "{what}: {}", said.err);
        assert!(said.err.contains(why), "{what}: {}", said.err);
    }
    assert_eq!(send(b"a\0b\n").code, 0, "a NUL is a character like others");
    let messages = folder.json(&["messages"]);
    assert_eq!(messages["messages"].as_array().unwrap().len(), 1);
    assert_eq!(messages["messages"][0]["content"], "a\u{0}b");
}

#[test]
fn c01_waiting_for_a_message_that_does_not_come_times_out_with_code_6() {
    let folder = started();
    folder.refused(
        &["inbox", "--wait", "--timeout", "100ms"],
        6,
        "waiting for a message not finished after 0s; next: see what came before with `tachi inbox`",
    );
}
