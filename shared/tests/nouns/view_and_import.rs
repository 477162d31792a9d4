//! `messages.json`, `spool/` and lines appended by hand: what others write arrives once.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::place::{WAIT, later, rejected, state};
use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::{Timestamp, now};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::Cursor;
use tachi_shared::os::{Disk, FileLock};
use tachi_shared::queue::{Draft, Message, MessageKind, Queue, View};
use tachi_shared::registry::Registry;
use tachi_shared::snapshot::Document as _;

/// A script of which nothing arrives for so long is stuck, however busy the machine is.
const STUCK: Duration = Duration::from_secs(30);

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn queued(dir: &StateDir) -> Vec<Message> {
    Queue::new(Disk, dir).messages(Cursor::default(), usize::MAX).unwrap().0
}

fn texts(dir: &StateDir) -> Vec<String> {
    queued(dir).iter().map(|message| message.draft.text().into_owned()).collect()
}

fn element(content: &str) -> Value {
    json!({ "from": "script", "to": "broadcast", "type": "human", "content": content,
        "timestamp": "2025-12-10T02:00:00.123456", "metadata": {} })
}

fn send(dir: &StateDir, content: &str) {
    let kind = MessageKind::Finding;
    let id = format!("instance_1.1.{content}");
    let draft = Draft::new("operator".parse().unwrap(), "instance_1", kind, id, Timestamp::EPOCH, content);
    Queue::new(Disk, dir).send(&[draft], WAIT).unwrap();
}

#[test]
fn the_view_is_rendered_when_something_changed_and_only_then() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    let mut view = View::new(Disk, &dir);
    assert!(view.refresh(None, now()).unwrap().rendered);
    assert_eq!(read(&path), json!({ "messages": [] }));
    assert!(!view.refresh(None, now()).unwrap().rendered);
    send(&dir, "one");
    assert!(view.refresh(None, now()).unwrap().rendered);
    assert_eq!(read(&path)["messages"][0]["content"], "one");
    assert!(!view.refresh(None, now()).unwrap().rendered);
    fs::remove_file(&path).unwrap();
    assert!(view.refresh(None, now()).unwrap().rendered, "a removed view comes back");
    assert_eq!(fs::read_dir(dir.tmp()).unwrap().count(), 0, "temporary files were left behind");
}

#[test]
fn the_keeper_does_not_wait_for_the_lock_of_the_view() {
    let (_temp, dir) = state();
    let _held = FileLock::take(&dir.lock("view"), "test", WAIT).unwrap();
    assert!(matches!(View::new(Disk, &dir).refresh(None, now()), Err(Error::LockTimeout { .. })));
}

#[test]
fn s26_what_a_script_adds_to_the_view_arrives_once_also_after_a_restart() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    send(&dir, "zero");
    View::new(Disk, &dir).refresh(None, now()).unwrap();
    let mut file = read(&path);
    let stale = file.clone();
    file["messages"].as_array_mut().unwrap().push(element("one"));
    fs::write(&path, file.to_string()).unwrap();
    // The keeper dies between import and render: the file stays as the script left it, whatever the queue says.
    View::new(Disk, &dir).refresh(None, now()).unwrap();
    fs::write(&path, file.to_string()).unwrap();
    let mut view = View::new(Disk, &dir);
    assert_eq!(view.refresh(None, now()).unwrap().imported, 0, "it was imported again");
    assert_eq!(texts(&dir), ["zero", "one"]);
    // A second script that read before all that adds its own element.
    let mut other = stale;
    other["messages"].as_array_mut().unwrap().push(element("two"));
    fs::write(&path, other.to_string()).unwrap();
    assert_eq!(view.refresh(None, now()).unwrap().imported, 1);
    assert_eq!(texts(&dir), ["zero", "one", "two"]);
    let shown = read(&path);
    assert_eq!(shown["messages"].as_array().unwrap().len(), 3);
    assert!(shown["messages"][2]["seq"].is_u64() && shown["messages"][1]["content"] == "one");
}

#[test]
fn s26_a_malformed_element_is_set_aside_alone_with_the_reason() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    fs::write(
        &path,
        json!({ "messages": [element("good"), { "to": "../x", "content": "bad" }] }).to_string(),
    )
    .unwrap();
    let mut view = View::new(Disk, &dir);
    let done = view.refresh(None, now()).unwrap();
    assert_eq!((done.imported, done.rejected.len()), (1, 1));
    assert!(done.rejected[0].contains("messages.json"), "{:?}", done.rejected);
    assert_eq!(texts(&dir), ["good"]);
    let names = rejected(&dir);
    assert_eq!(names.len(), 2);
    assert!(fs::read_to_string(dir.rejected().join(&names[0])).unwrap().contains("../x"));
    assert_eq!(view.refresh(None, now()).unwrap().rejected, [""; 0]);
}

#[test]
fn s27_a_recipient_nobody_knows_is_stored_from_a_hand_written_file_with_a_warning() {
    let (_temp, dir) = state();
    let text = json!({ "messages": [{ "to": "instance_7", "content": "later" }] }).to_string();
    fs::write(dir.view(Topic::Messages), text).unwrap();
    let done = View::new(Disk, &dir).refresh(Some(&Registry::empty()), now()).unwrap();
    assert_eq!((done.imported, done.warnings.len()), (1, 1));
    assert!(done.warnings[0].contains("instance_7"), "{:?}", done.warnings);
}

#[test]
fn a_view_that_does_not_parse_is_left_to_its_writer_for_a_while_and_then_set_aside_whole() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    let mut view = View::new(Disk, &dir);
    view.refresh(None, now()).unwrap();
    send(&dir, "one");
    fs::write(&path, "{\"messages\": [").unwrap();
    let done = view.refresh(None, now()).unwrap();
    assert!(!done.rendered && done.rejected.is_empty(), "{done:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"messages\": [");
    let done = view.refresh(None, later(Duration::from_secs(4))).unwrap();
    assert!(done.rendered && done.rejected.len() == 1, "{done:?}");
    assert_eq!(read(&path)["messages"][0]["content"], "one");
    assert_eq!(fs::read_to_string(dir.rejected().join(&rejected(&dir)[0])).unwrap(), "{\"messages\": [");
}

#[test]
fn s26_a_rewrite_that_crosses_a_render_is_taken_in_afterwards() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    let mut view = View::new(Disk, &dir);
    view.refresh(None, now()).unwrap();
    // A script opened the file before the render and writes after it, into what the render replaced.
    let mut opened = OpenOptions::new().write(true).open(&path).unwrap();
    send(&dir, "zero");
    view.refresh(None, now()).unwrap();
    opened.write_all(json!({ "messages": [element("crossed")] }).to_string().as_bytes()).unwrap();
    let done = view.refresh(None, now()).unwrap();
    assert_eq!(done.imported, 1);
    assert_eq!(texts(&dir), ["zero", "crossed"]);
    assert_eq!(view.refresh(None, later(Duration::from_secs(1))).unwrap().imported, 0);
}

/// How far a script is, and whether its keeper is there still.
#[derive(Default)]
struct Script {
    /// Elements the keeper has seen.
    seen: AtomicUsize,
    is_left: AtomicBool,
}

/// However the keeper ends, its script ends too, instead of waiting for ever.
struct Leave<'a>(&'a Script);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.is_left.store(true, Ordering::SeqCst);
    }
}

impl Script {
    /// Adds elements as the original format allows: read all, append, write all, without a lock. `replace` = by rename.
    fn run(&self, dir: &StateDir, name: &str, count: usize, replace: bool) {
        for n in 0..count {
            while !self.is_left.load(Ordering::SeqCst) && !add(dir, name, n, replace) {
                std::thread::yield_now();
            }
            // The next element comes when this one was seen by the keeper: a script may not outrun a box of 200.
            while !texts(dir).iter().any(|text| *text == format!("{name} {n}")) {
                if self.is_left.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
            self.seen.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// One element. A script cannot lose what it writes after us, so it looks whether its element is there, as a careful one does;
/// `false` = the file could not be read.
fn add(dir: &StateDir, name: &str, n: usize, replace: bool) -> bool {
    let path = dir.view(Topic::Messages);
    let mine = element(&format!("{name} {n}"));
    let Ok(text) = fs::read_to_string(&path) else { return false };
    let Ok(mut file) = serde_json::from_str::<Value>(&text) else { return false };
    let messages = file["messages"].as_array_mut().unwrap();
    if messages.iter().any(|message| message["content"] == mine["content"]) {
        return true;
    }
    messages.push(mine);
    if replace {
        let own = dir.root().join(format!("{name}.tmp"));
        fs::write(&own, file.to_string()).unwrap();
        fs::rename(&own, &path).unwrap();
    } else {
        fs::write(&path, file.to_string()).unwrap();
    }
    true
}

#[test]
fn s26_every_element_of_a_script_that_rewrites_the_view_in_a_loop_arrives_exactly_once() {
    for replace in [true, false] {
        let (_temp, dir) = state();
        let mut view = View::new(Disk, &dir);
        // Time stands still: on a busy machine the script may lie idle for seconds between the two calls of a rewrite in place,
        // and the keeper would set the half file aside, as it should.
        let now = now();
        view.refresh(None, now).unwrap();
        let script = Script::default();
        std::thread::scope(|scope| {
            let _leave = Leave(&script);
            let running = scope.spawn(|| script.run(&dir, "script", 40, replace));
            let (mut noise, mut seen, mut since) = (0, 0, Instant::now());
            while !running.is_finished() {
                let progress = script.seen.load(Ordering::SeqCst);
                if progress > seen {
                    (seen, since) = (progress, Instant::now());
                }
                assert!(
                    since.elapsed() < STUCK,
                    "stuck at {seen}: {:?}, replace {replace}",
                    texts(&dir).last()
                );
                // Somebody else sends all the time, so that every refresh renders and crosses the script's rewrites.
                if noise < 2000 {
                    send(&dir, &format!("noise {noise}"));
                    noise += 1;
                }
                match view.refresh(None, now) {
                    Ok(done) => assert_eq!(done.rejected, [""; 0]),
                    Err(Error::LockTimeout { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let all = texts(&dir);
        let mut theirs: Vec<&String> = all.iter().filter(|text| text.starts_with("script")).collect();
        theirs.sort_by_key(|text| text[7..].parse::<u32>().unwrap());
        let expected: Vec<String> = (0..40).map(|n| format!("script {n}")).collect();
        assert_eq!(theirs, expected.iter().collect::<Vec<_>>(), "replace {replace}");
    }
}

#[test]
fn the_spool_is_taken_in_and_emptied_and_a_crash_in_between_sends_nothing_twice() {
    let (_temp, dir) = state();
    let drop = |name: &str, text: &str| fs::write(dir.spool().join(name), text).unwrap();
    drop("a.json", r#"{"to":"instance_1","content":"single"}"#);
    drop("b.json", &json!({ "messages": [element("one"), element("one"), { "content": "x" }] }).to_string());
    drop("c.json.tmp", "{");
    drop("d.json", "{ half");
    let mut view = View::new(Disk, &dir);
    // The crash: a copy of the very file, as if it had not been removed.
    fs::hard_link(dir.spool().join("a.json"), dir.root().join("kept")).unwrap();
    let before = fs::metadata(dir.root().join("kept")).unwrap().modified().unwrap();
    let done = view.refresh(None, now()).unwrap();
    assert_eq!((done.imported, done.rejected.len()), (3, 1), "{done:?}");
    assert_eq!(texts(&dir), ["single", "one", "one"]);
    let left: Vec<_> = fs::read_dir(dir.spool()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    fs::hard_link(dir.root().join("kept"), dir.spool().join("a.json")).unwrap();
    assert_eq!(fs::metadata(dir.spool().join("a.json")).unwrap().modified().unwrap(), before);
    assert_eq!(view.refresh(None, now()).unwrap().imported, 0, "it was sent twice");
    drop("a.json", r#"{"to":"instance_1","content":"single"}"#);
    assert_eq!(
        view.refresh(None, now()).unwrap().imported,
        1,
        "a new file with the same text is a new message"
    );
    let done = view.refresh(None, later(Duration::from_secs(4))).unwrap();
    assert_eq!(done.rejected.len(), 1, "what stays half is set aside");
    assert!(!dir.spool().join("d.json").exists() && dir.spool().join("c.json.tmp").exists());
}

#[test]
fn a_line_appended_by_hand_arrives_once_with_a_position() {
    let (_temp, dir) = state();
    send(&dir, "zero");
    let segment = fs::read_dir(dir.segments(Topic::Messages)).unwrap().next().unwrap().unwrap().path();
    let mut hand = OpenOptions::new().append(true).open(&segment).unwrap();
    hand.write_all(b"{\"to\":\"instance_1\",\"content\":\"by hand\"}\n{\"content\":\"nobody\"}\n").unwrap();
    let done = View::new(Disk, &dir).refresh(None, now()).unwrap();
    assert_eq!((done.imported, done.rejected.len()), (1, 1), "{done:?}");
    assert_eq!(View::new(Disk, &dir).refresh(None, now()).unwrap().imported, 0);
    assert_eq!(texts(&dir), ["zero", "by hand"]);
    assert_eq!(queued(&dir)[1].seq.0, 2);
}

#[test]
fn lines_appended_by_hand_one_after_another_do_not_come_again_when_the_keeper_starts_anew() {
    let (_temp, dir) = state();
    send(&dir, "zero");
    let segment = fs::read_dir(dir.segments(Topic::Messages)).unwrap().next().unwrap().unwrap().path();
    let mut hand = OpenOptions::new().append(true).open(&segment).unwrap();
    let mut view = View::new(Disk, &dir);
    for text in ["one", "two", "three"] {
        hand.write_all(format!("{{\"to\":\"instance_1\",\"content\":\"{text}\"}}\n").as_bytes()).unwrap();
        assert_eq!(view.refresh(None, now()).unwrap().imported, 1, "{text}");
    }
    assert_eq!(View::new(Disk, &dir).refresh(None, now()).unwrap().imported, 0, "they came again");
    assert_eq!(texts(&dir), ["zero", "one", "two", "three"]);
}
