//! What hands wrote is taken in exactly once, however late it is met again and whenever its keeper died.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use crate::place::{WAIT, later, rejected, state};
use serde_json::{Value, json};
use tachi_shared::clock::{Timestamp, now};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, Log};
use tachi_shared::os::Disk;
use tachi_shared::queue::{Draft, MessageKind, Queue, View};

/// More than anybody looks back in the log.
const MANY: usize = 10_500;

fn element(content: &str) -> Value {
    json!({ "from": "script", "to": "broadcast", "content": content, "timestamp": "2025-12-10T02:00:00" })
}

fn send_many(dir: &StateDir, name: &str) {
    let draft = |k| {
        let id = format!("instance_1.{name}.{k}");
        let to = "operator".parse().unwrap();
        Draft::new(to, "instance_1", MessageKind::Finding, id, Timestamp::EPOCH, "noise")
    };
    let drafts: Vec<Draft> = (0..MANY).map(draft).collect();
    Queue::new(Disk, dir).send(&drafts, WAIT).unwrap();
}

fn by_hand(dir: &StateDir) -> Vec<String> {
    let (messages, _) = Queue::new(Disk, dir).messages(Cursor::default(), usize::MAX).unwrap();
    let texts = messages.iter().map(|message| message.draft.text().into_owned());
    texts.filter(|text| text != "noise").collect()
}

/// One round of a keeper that is killed afterwards: nothing it holds open outlives it.
fn round(dir: &StateDir) -> usize {
    View::new(Disk, dir).refresh(None, now()).unwrap().imported
}

#[test]
fn s26_an_element_is_taken_in_once_however_many_messages_come_before_it_is_met_again() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    send_many(&dir, "1");
    round(&dir);
    // With the positions around it, without any, and with one more that stands there twice.
    let mut shown: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    shown["messages"].as_array_mut().unwrap().extend([element("one"), element("twice"), element("twice")]);
    let bare = json!({ "messages": [element("one"), element("twice"), element("twice")] });
    fs::write(&path, shown.to_string()).unwrap();
    assert_eq!(round(&dir), 3);
    send_many(&dir, "2");
    for file in [&shown, &bare] {
        // A keeper that is killed before it renders leaves the file as it was; a backup puts it back.
        fs::write(&path, file.to_string()).unwrap();
        assert_eq!(round(&dir), 0, "it was taken in again");
    }
    let mut more = bare;
    more["messages"].as_array_mut().unwrap().extend([element("twice"), element("new")]);
    fs::write(&path, more.to_string()).unwrap();
    assert_eq!(round(&dir), 2, "a third equal one is a message of its own");
    assert_eq!(by_hand(&dir), ["one", "twice", "twice", "twice", "new"]);
}

#[test]
fn s26_an_element_is_taken_in_once_also_when_its_message_was_removed_since() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    let file = json!({ "messages": [element("one")] }).to_string();
    fs::write(&path, &file).unwrap();
    assert_eq!(round(&dir), 1);
    let mut log: Log = Log::new(Disk, &dir, Topic::Messages);
    log.rotate(WAIT).unwrap();
    send_many(&dir, "1");
    round(&dir);
    fs::remove_file(dir.segments(Topic::Messages).join(format!("{:020}.jsonl", 1))).unwrap();
    assert_eq!(by_hand(&dir), [""; 0]);
    fs::write(&path, &file).unwrap();
    assert_eq!(round(&dir), 0);
    assert_eq!(by_hand(&dir), [""; 0], "it came again");
}

#[test]
fn s26_a_spooled_file_whose_keeper_died_before_removing_it_is_sent_once_however_late_the_next_one_comes() {
    let (_temp, dir) = state();
    let path = dir.spool().join("a.json");
    fs::write(&path, element("spooled").to_string()).unwrap();
    let kept = dir.root().join("kept");
    fs::hard_link(&path, &kept).unwrap();
    assert_eq!(round(&dir), 1);
    send_many(&dir, "1");
    // The very file, as if it had not been removed.
    fs::hard_link(&kept, &path).unwrap();
    assert_eq!(round(&dir), 0);
    assert_eq!(by_hand(&dir), ["spooled"]);
    assert!(!path.exists());
}

#[test]
fn s26_a_line_appended_by_hand_is_taken_in_once_however_late_a_keeper_comes() {
    let (_temp, dir) = state();
    send_many(&dir, "1");
    let segment = dir.segments(Topic::Messages).join(format!("{:020}.jsonl", 1));
    let mut hand = OpenOptions::new().append(true).open(&segment).unwrap();
    hand.write_all(b"{\"to\":\"operator\",\"content\":\"line\"}\n").unwrap();
    send_many(&dir, "2");
    assert_eq!(round(&dir), 1);
    send_many(&dir, "3");
    assert_eq!(round(&dir), 0);
    assert_eq!(by_hand(&dir), ["line"]);
}

#[test]
fn s26_a_rewrite_that_crosses_a_render_is_taken_in_by_the_successor_of_a_killed_keeper() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    round(&dir);
    // A script opened the file before the render and writes after it, into what the render replaced.
    let mut opened = OpenOptions::new().write(true).open(&path).unwrap();
    send_many(&dir, "1");
    round(&dir);
    let text = json!({ "messages": [element("crossed")] }).to_string();
    opened.write_all(text.as_bytes()).unwrap();
    assert_eq!(round(&dir), 1);
    assert_eq!(round(&dir), 0);
    assert_eq!(by_hand(&dir), ["crossed"]);
    let left = |dir: &StateDir| fs::read_dir(dir.replaced()).unwrap().count();
    let mut view = View::new(Disk, &dir);
    for seconds in [0, 10, 20] {
        view.refresh(None, later(Duration::from_secs(seconds))).unwrap();
    }
    assert_eq!(left(&dir), 0, "what was replaced long ago is looked at no more");
}

#[test]
fn s26_a_rewrite_that_crosses_a_render_and_stays_half_is_set_aside() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    let mut view = View::new(Disk, &dir);
    view.refresh(None, now()).unwrap();
    let mut opened = OpenOptions::new().write(true).open(&path).unwrap();
    send_many(&dir, "1");
    view.refresh(None, now()).unwrap();
    opened.write_all(b"{\"messages\": [ half").unwrap();
    view.refresh(None, now()).unwrap();
    assert_eq!(rejected(&dir), [""; 0], "its writer may be at it");
    let done = view.refresh(None, later(Duration::from_secs(10))).unwrap();
    assert_eq!(done.rejected.len(), 1, "{done:?}");
    assert_eq!(rejected(&dir).len(), 2);
}

#[test]
fn s26_without_its_memory_a_keeper_learns_from_the_queue_what_was_taken_in() {
    let (_temp, dir) = state();
    let path = dir.view(Topic::Messages);
    let file = json!({ "messages": [element("one")] }).to_string();
    fs::write(&path, &file).unwrap();
    assert_eq!(round(&dir), 1);
    send_many(&dir, "1");
    for damage in [None, Some("{ half"), Some("{\"schema\":1}")] {
        fs::remove_file(dir.taken_in()).unwrap();
        if let Some(text) = damage {
            fs::write(dir.taken_in(), text).unwrap();
        }
        fs::write(&path, &file).unwrap();
        assert_eq!(round(&dir), 0, "{damage:?}");
    }
    assert_eq!(by_hand(&dir), ["one"]);
}

#[test]
fn s26_a_memory_that_cannot_be_read_now_is_not_taken_for_a_missing_one() {
    let (_temp, dir) = state();
    fs::write(dir.view(Topic::Messages), json!({ "messages": [element("one")] }).to_string()).unwrap();
    fs::create_dir(dir.taken_in()).unwrap();
    let mut view = View::new(Disk, &dir);
    view.refresh(None, now()).unwrap_err();
    assert_eq!(by_hand(&dir), [""; 0]);
    fs::remove_dir(dir.taken_in()).unwrap();
    assert_eq!(view.refresh(None, now()).unwrap().imported, 1);
}
