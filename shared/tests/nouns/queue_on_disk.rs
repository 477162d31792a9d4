//! The queue on real files, with real processes where that is the point.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::place::{WAIT, id, later, role, state, wait_until};
use serde_json::{Value, json};
use tachi_shared::Error;
use tachi_shared::clock::{Timestamp, now};
use tachi_shared::event::{Event, EventLog};
use tachi_shared::id::{Incarnation, Seq};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::log::{Cursor, Gap, Log};
use tachi_shared::os::Disk;
use tachi_shared::os::doorbell::{Doorbell, Ring};
use tachi_shared::queue::{Arrival, Draft, Message, MessageKind, Queue};
use tachi_shared::registry::RegistryStore;

const STATE: &str = "TACHI_TEST_STATE";
const SENDER: &str = "TACHI_TEST_SENDER";
const SENDERS: usize = 4;
const SENDS: usize = 1000;

fn draft(from: &str, to: &str, k: usize) -> Draft {
    let (kind, id) = (MessageKind::Finding, format!("{from}.1.{k}"));
    Draft::new(to.parse().unwrap(), from, kind, id, Timestamp::EPOCH, &format!("number {k}"))
}

fn messages(arrivals: Vec<Arrival>) -> Vec<Message> {
    let message = |arrival| match arrival {
        Arrival::Message(message) => *message,
        Arrival::Expired(message) => panic!("expired: {message:?}"),
        Arrival::Gap(gap) => panic!("a gap in a healthy queue: {gap:?}"),
    };
    arrivals.into_iter().map(message).collect()
}

fn all(dir: &StateDir) -> Vec<Message> {
    Queue::new(Disk, dir).messages(Cursor::default(), usize::MAX).unwrap().0
}

/// Not a test of its own: what a sender process of [`s24_four_processes_send_a_thousand_each_and_nothing_is_lost`] does.
#[test]
fn sender_process() {
    let (Ok(root), Ok(sender)) = (std::env::var(STATE), std::env::var(SENDER)) else { return };
    let mut queue = Queue::new(Disk, &StateDir::new(root));
    let number: usize = sender.trim_start_matches("instance_").parse().unwrap();
    let neighbour = format!("instance_{}", number % SENDERS + 1);
    for k in 0..SENDS {
        let to = if k % 2 == 0 { "broadcast" } else { &neighbour };
        queue.post(&[draft(&sender, to, k)], WAIT).unwrap();
    }
}

fn sender(dir: &StateDir, n: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "queue_on_disk::sender_process"])
        .env(STATE, dir.root())
        .env(SENDER, format!("instance_{n}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn s24_four_processes_send_a_thousand_each_and_nothing_is_lost() {
    let (_temp, dir) = state();
    let _bells: Vec<Doorbell> = (1..=SENDERS)
        .map(|n| Doorbell::open(&dir.doorbell(&id(&format!("instance_{n}")))).unwrap())
        .collect();
    let mut senders: Vec<Child> = (1..=SENDERS).map(|n| sender(&dir, n)).collect();
    // Read along while they write: at every instant only whole messages in order.
    let mut watched = Queue::new(Disk, &dir).inbox(&id("instance_9"), &role("builder"), Cursor::default());
    let mut seen = 0;
    wait_until("the senders end", || {
        seen += messages(watched.take(100, now().wall).unwrap()).len();
        senders.iter_mut().all(|sender| sender.try_wait().unwrap().is_some())
    });
    for mut sender in senders {
        assert!(sender.wait().unwrap().success());
    }
    seen += messages(watched.take(usize::MAX, now().wall).unwrap()).len();
    assert_eq!(seen, SENDERS * SENDS / 2, "a bystander gets the broadcasts and nothing else");

    let stored = all(&dir);
    assert_eq!(stored.len(), SENDERS * SENDS);
    let seqs: Vec<u64> = stored.iter().map(|message| message.seq.0).collect();
    assert_eq!(seqs, (1..=4000).collect::<Vec<u64>>(), "positions are contiguous");
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for message in &stored {
        let (_, k) = message.draft.id.rsplit_once('.').unwrap();
        let before = last.insert(message.draft.from.clone(), k.to_owned());
        assert!(
            before.is_none_or(|before| before.parse::<u32>().unwrap() < k.parse().unwrap()),
            "order of a sender"
        );
    }
    for n in 1..=SENDERS {
        let me = format!("instance_{n}");
        let before = format!("instance_{}", (n + SENDERS - 2) % SENDERS + 1);
        let mut inbox = Queue::new(Disk, &dir).inbox(&id(&me), &role("builder"), Cursor::default());
        let mine = messages(inbox.take(usize::MAX, now().wall).unwrap());
        assert_eq!(mine.len(), (SENDERS - 1) * SENDS / 2 + SENDS / 2);
        for message in mine {
            assert_ne!(message.draft.from, me, "it got its own broadcast");
            let direct = message.draft.to.to_string() != "broadcast";
            assert!(!direct || (message.draft.to.to_string() == me && message.draft.from == before));
        }
        assert_eq!(inbox.cursor().seq, Seq(4000), "the cursor passes over what is for others");
    }
}

#[test]
fn an_inbox_continues_behind_its_cursor_and_leaves_out_what_expired() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    let mut drafts: Vec<Draft> = (0..5).map(|k| draft("instance_1", "instance_2", k)).collect();
    drafts[1].expires_at = Some(now().wall.after(Duration::from_secs(60)));
    assert_eq!(queue.send(&drafts, WAIT).unwrap(), Seq(5));
    let mut inbox = queue.inbox(&id("instance_2"), &role("builder"), Cursor::default());
    let first = messages(inbox.take(1, now().wall).unwrap());
    assert_eq!((first.len(), inbox.cursor().seq), (1, Seq(1)), "no more than asked for counts as taken");
    let cursor = inbox.cursor().clone();
    let others = [draft("instance_1", "instance_3", 9), draft("instance_1", "instance_2", 9)];
    queue.send(&others, WAIT).unwrap();
    let mut counted =
        queue.inbox(&id("instance_2"), &role("builder"), Cursor { seq: Seq(3), ..Cursor::default() });
    assert_eq!(counted.take(3, now().wall).unwrap().len(), 3);
    queue.send(&[others[0].clone(), others[1].clone(), others[1].clone(), others[1].clone()], WAIT).unwrap();
    assert_eq!(counted.take(2, now().wall).unwrap().len(), 2, "more than asked for");
    assert_eq!(counted.take(2, now().wall).unwrap().len(), 1, "one was lost");
    let late = later(Duration::from_secs(61)).wall;
    for (at, ids) in [(now().wall, vec![1, 2, 3, 4]), (late, vec![2, 3, 4])] {
        let mut again = queue.inbox(&id("instance_2"), &role("builder"), cursor.clone());
        let (expired, arrived): (Vec<Arrival>, Vec<Arrival>) = again
            .take(100, at)
            .unwrap()
            .into_iter()
            .partition(|arrival| matches!(arrival, Arrival::Expired(_)));
        assert_eq!(expired.len(), 4 - ids.len(), "what expired is not counted");
        let rest: Vec<String> = messages(arrived).into_iter().map(|message| message.draft.id).collect();
        assert_eq!(rest, ids.iter().chain(&[9; 4]).map(|k| format!("instance_1.1.{k}")).collect::<Vec<_>>());
        assert_eq!(again.take(100, at).unwrap(), []);
    }
}

#[test]
fn s27_a_message_over_the_limit_stores_nothing_of_its_batch() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    let mut large = draft("instance_1", "instance_2", 1);
    large.content = Value::String("x".repeat(1024 * 1024));
    let batch = [draft("instance_1", "instance_2", 0), large];
    assert!(matches!(queue.send(&batch, WAIT), Err(Error::TooLarge { .. })));
    assert_eq!(queue.end().unwrap().seq, Seq::START);
    assert_eq!(queue.send(&[], WAIT).unwrap(), Seq::START, "nothing to send is no write");
}

#[test]
fn a_successor_sends_of_an_outbox_only_what_is_missing() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    queue.send(&(0..700).map(|k| draft("instance_9", "instance_2", k)).collect::<Vec<_>>(), WAIT).unwrap();
    let committed = queue.end().unwrap();
    let outbox: Vec<Draft> = (0..4).map(|k| draft("instance_1", "instance_2", k)).collect();
    queue.send(&outbox[..2], WAIT).unwrap();
    let mut echo = draft("instance_3", "instance_2", 7);
    echo.content = json!("somebody mentions instance_1.1.3");
    queue.send(&[echo], WAIT).unwrap();
    assert_eq!(queue.send_missing(&outbox, &committed, WAIT).unwrap(), Some(Seq(705)));
    assert_eq!(queue.send_missing(&outbox, &committed, WAIT).unwrap(), None);
    let sent: Vec<String> = all(&dir).into_iter().map(|message| message.draft.id).collect();
    assert_eq!(sent.iter().filter(|id| id.starts_with("instance_1.")).count(), 4);
}

#[test]
fn s01_a_message_that_lacks_only_its_newline_is_not_sent_again_by_the_successor() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    let outbox = [draft("instance_1", "instance_2", 0), draft("instance_1", "instance_2", 1)];
    queue.send(&outbox, WAIT).unwrap();
    // Killed one byte before the end of the write.
    let segment = dir.segments(Topic::Messages).join("00000000000000000001.jsonl");
    let text = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &text[..text.len() - 1]).unwrap();
    let mut successor = Queue::new(Disk, &dir);
    assert_eq!(successor.send_missing(&outbox, &Cursor::default(), WAIT).unwrap(), None);
    assert_eq!(std::fs::read(&segment).unwrap(), text);
}

#[test]
fn posting_rings_those_who_receive_and_nobody_else() {
    let (_temp, dir) = state();
    let names = ["instance_1", "instance_2", "instance_3"];
    RegistryStore::new(Disk, &dir)
        .update(WAIT, |registry| {
            for (name, role) in names.iter().zip(["builder", "builder", "explorer"]) {
                let row = json!({ "instance_id": name, "role": role, "pid": null, "pid_start": null, "incarnation": 1,
                    "status": "ready", "desired": "running", "started_at": null, "last_heartbeat": null,
                    "restarts": 0, "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null });
                registry.instances.push(serde_json::from_value(row).unwrap());
            }
            Ok(())
        })
        .unwrap();
    let bells: Vec<Doorbell> =
        names.iter().map(|name| Doorbell::open(&dir.doorbell(&id(name))).unwrap()).collect();
    let supervisor = Doorbell::open(&dir.supervisor_doorbell()).unwrap();
    let mut queue = Queue::new(Disk, &dir);
    for (to, rung) in [
        ("instance_2", [false, true, false]),
        ("broadcast", [false, true, true]),
        ("role:builder", [false, true, false]),
        ("operator", [false, false, false]),
    ] {
        queue.post(&[draft("instance_1", to, 0)], WAIT).unwrap();
        let heard: Vec<bool> = bells.iter().map(|bell| bell.drain().unwrap() == [Ring::Messages]).collect();
        assert_eq!(heard, rung, "{to}");
        assert_eq!(supervisor.drain().unwrap(), []);
    }
}

#[test]
fn what_cannot_be_delivered_is_told_and_the_rest_arrives() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    queue.send(&[draft("instance_1", "instance_2", 0)], WAIT).unwrap();
    Log::new(Disk, &dir, Topic::Messages)
        .append(&[r#"{"to":"instance_2","no":"message"}"#.to_owned()], WAIT)
        .unwrap();
    let segment = fs::read_dir(dir.segments(Topic::Messages)).unwrap().next().unwrap().unwrap().path();
    OpenOptions::new().append(true).open(&segment).unwrap().write_all(b"no json at all\n").unwrap();
    queue.send(&[draft("instance_1", "instance_2", 1)], WAIT).unwrap();
    let mut inbox = queue.inbox(&id("instance_2"), &role("builder"), Cursor::default());
    let arrivals = inbox.take(100, now().wall).unwrap();
    let gaps: Vec<&Gap> = arrivals
        .iter()
        .filter_map(|arrival| match arrival {
            Arrival::Gap(gap) => Some(gap),
            Arrival::Message(_) | Arrival::Expired(_) => None,
        })
        .collect();
    assert_eq!((arrivals.len(), gaps.len()), (4, 2), "{arrivals:?}");
    assert!(matches!(gaps[0], Gap::Poison { reason, .. } if reason.contains("record 2")), "{gaps:?}");
    let mut other = queue.inbox(&id("instance_3"), &role("builder"), Cursor::default());
    assert_eq!(
        other.take(100, now().wall).unwrap().len(),
        1,
        "a line for another is passed over even if it is bad"
    );
}

#[test]
fn the_newest_messages_are_found_across_segments_and_epochs() {
    let (_temp, dir) = state();
    let mut log = Log::new(Disk, &dir, Topic::Messages).with_segment_bytes(2000).with_boot("boot-a");
    let lines = |from: usize, to: usize| -> Vec<String> {
        (from..to).map(|k| serde_json::to_string(&draft("instance_1", "instance_2", k)).unwrap()).collect()
    };
    for k in 0..60 {
        log.append(&lines(k, k + 1), WAIT).unwrap();
    }
    assert!(
        fs::read_dir(dir.segments(Topic::Messages)).unwrap().count() > 3,
        "the test needs several segments"
    );
    let mut log = Log::new(Disk, &dir, Topic::Messages).with_segment_bytes(2000).with_boot("boot-b");
    log.append(&lines(60, 65), WAIT).unwrap();
    let queue = Queue::new(Disk, &dir);
    for count in [0, 1, 5, 6, 12, 64, 65, 500] {
        let newest = queue.newest(count).unwrap();
        let expected: Vec<String> =
            (65_usize.saturating_sub(count)..65).map(|k| format!("instance_1.1.{k}")).collect();
        assert_eq!(
            newest.iter().map(|message| message.draft.id.clone()).collect::<Vec<_>>(),
            expected,
            "{count}"
        );
    }
}

#[test]
fn events_are_recorded_in_order_with_all_they_carry() {
    let (_temp, dir) = state();
    let mut log = EventLog::new(Disk, &dir);
    assert_eq!(log.newest(5).unwrap(), []);
    let at = Timestamp::EPOCH;
    let events: Vec<Event> = (0..4_u32)
        .map(|n| Event::new(at, "died", format!("{n}")).of(&id("instance_1"), Incarnation(n)).with("pid", n))
        .collect();
    log.record(&events, WAIT).unwrap();
    log.record(&[], WAIT).unwrap();
    let (read, cursor) = log.read(Cursor::default(), 3).unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!((read[0].seq, read[0].extra["pid"].clone()), (Seq(1), json!(0)));
    assert_eq!(log.read(cursor, 100).unwrap().0.len(), 1);
    assert_eq!(
        log.newest(2).unwrap().iter().map(|event| event.text.as_str()).collect::<Vec<_>>(),
        ["2", "3"]
    );
    assert_eq!(log.end().unwrap().seq, Seq(4));
    // An event read back may be recorded again; it gets a position of its own.
    log.record(&read, WAIT).unwrap();
    assert_eq!(log.newest(1).unwrap()[0].seq, Seq(7));
}

#[test]
fn priority_orders_what_is_taken_together_and_nothing_else() {
    let (_temp, dir) = state();
    let mut queue = Queue::new(Disk, &dir);
    let words = [Some("low"), None, Some("urgent"), Some("strange"), Some("urgent"), Some("low")];
    let drafts: Vec<Draft> = words
        .iter()
        .enumerate()
        .map(|(k, word)| Draft { priority: word.map(str::to_owned), ..draft("a", "b", k) })
        .collect();
    queue.send(&drafts, WAIT).unwrap();
    let mut inbox = queue.inbox(&id("b"), &role("builder"), Cursor::default());
    let order = |arrivals| messages(arrivals).iter().map(|message| message.seq.0).collect::<Vec<_>>();
    assert_eq!(order(inbox.take(5, now().wall).unwrap()), [3, 5, 2, 4, 1]);
    assert_eq!(inbox.cursor().seq, Seq(5), "the order moved the position");
    assert_eq!(order(inbox.take(5, now().wall).unwrap()), [6]);
}
