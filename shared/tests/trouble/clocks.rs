//! A wall clock that is set back or far ahead.

use std::time::Duration;

use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::{Now, Timestamp, now};
use tachi_shared::id::{Incarnation, TaskId};
use tachi_shared::log::Cursor;
use tachi_shared::queue::Arrival;
use tachi_shared::task::{Change, NewTask};

use crate::place::{WAIT, id, message, role, state};

const HOUR: i64 = 3600;

/// `base` with a wall clock that shows `by` seconds more; the other clock is the kernel's and nobody sets it.
fn set(base: Now, by: i64, later: Duration) -> Now {
    let wall = Timestamp::from_unix(Timestamp::EPOCH.age(base.wall).as_secs().cast_signed() + by);
    Now { wall, mono: base.mono.after(later) }
}

#[test]
fn s23_31_messages_keep_their_order_whatever_their_times_say() {
    let (_temp, store) = state();
    let mut queue = store.queue();
    for (k, by) in [0, -HOUR, 10 * 365 * 24 * HOUR, -30, 1].into_iter().enumerate() {
        let mut draft = message(k, "x");
        draft.timestamp = set(now(), by, Duration::ZERO).wall;
        queue.send(&[draft], WAIT).unwrap();
    }
    let mut inbox = queue.inbox(&id("instance_2"), &role(), Cursor::default());
    let arrivals = inbox.take(100, set(now(), -HOUR, Duration::ZERO).wall).unwrap();
    let ids = arrivals.iter().map(|arrival| match arrival {
        Arrival::Message(message) => (message.seq.0, message.draft.id.clone()),
        other => panic!("{other:?}"),
    });
    let expected = (0..5).map(|k| (k + 1, format!("instance_1.1.{k}")));
    assert_eq!(ids.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn s23_31_a_lease_neither_ends_nor_lasts_because_somebody_set_the_clock() {
    let (_temp, store) = state();
    let mut tasks = store.tasks();
    let base = now();
    let task = TaskId::new("only").unwrap();
    let new = NewTask {
        id: task.clone(),
        title: "only".to_owned(),
        needs: Vec::new(),
        payload: json!(null),
        by: "t".to_owned(),
    };
    tasks.change(&Change::Add(vec![new]), base, WAIT).unwrap();
    let claim = |by: &str| Change::Claim {
        task: task.clone(),
        by: id(by),
        incarnation: Incarnation(1),
        boot_id: "boot".to_owned(),
    };
    tasks.change(&claim("a"), base, WAIT).unwrap().unwrap();
    // Ten years ahead or an hour back on the wall, a second on the clock that counts: the lease is in force.
    for by in [10 * 365 * 24 * HOUR, -HOUR] {
        let refused = tasks.change(&claim("b"), set(base, by, Duration::from_secs(1)), WAIT);
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
    // Its time really over, the wall an hour back: it is not in force any more.
    let over = set(base, -HOUR, Duration::from_secs(31));
    tasks.change(&claim("b"), over, WAIT).unwrap().unwrap();
}
