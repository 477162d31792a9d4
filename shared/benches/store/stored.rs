//! What much that is stored costs: growth, looking without news, replay.

use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use tachi_shared::clock;
use tachi_shared::log::Cursor;
use tachi_shared::queue::Draft;
use tachi_shared::store::Store;

use crate::figures::{aimed, cost, rate, row};
#[cfg(feature = "bench-peers")]
use crate::message::{LINE, sqlite};
use crate::message::{WAIT, id, role, to_one};

/// Messages in the large store.
const MANY: usize = 1_000_000;

/// The original way: read the array, add, write it whole.
fn rewrite(path: &Path, stored: usize) -> f64 {
    let message = serde_json::to_value(to_one(0)).expect("a value");
    let all = serde_json::json!({"messages": vec![message.clone(); stored]});
    fs::write(path, all.to_string()).expect("written");
    cost(5, |_| {
        let text = fs::read_to_string(path).expect("read");
        let mut all: serde_json::Value = serde_json::from_str(&text).expect("parsed");
        all["messages"].as_array_mut().expect("a list").push(message.clone());
        fs::write(path, all.to_string()).expect("written");
    })
}

#[cfg(feature = "bench-peers")]
fn sqlite_growth(dir: &Path) {
    let base = sqlite(&dir.join("growth.sqlite"), "NORMAL");
    let text = "x".repeat(LINE);
    let fill = |count: usize| {
        base.execute_batch("BEGIN").expect("begun");
        let mut insert = base.prepare("INSERT INTO messages (line) VALUES (?1)").expect("a statement");
        for _ in 0..count {
            insert.execute([&text]).expect("in");
        }
        base.execute_batch("COMMIT").expect("committed");
    };
    let one = || {
        let mut insert = base.prepare("INSERT INTO messages (line) VALUES (?1)").expect("a statement");
        cost(3_000, |_| insert.execute([&text]).expect("in"))
    };
    fill(1_000);
    let small = one();
    fill(MANY - 4_000);
    row("sqlite, 1,000 stored", small, small);
    row("sqlite, 1,000,000 stored", one(), small);
}

pub(crate) fn growth(dir: &Path) -> Store {
    println!("one send by how much is stored (x = ratio to 1,000 stored)");
    let store = Store::create(&dir.join("growth")).expect("a store");
    let mut queue = store.queue();
    let mut fill = |from: usize, to: usize| {
        for start in (from..to).step_by(1_000) {
            let drafts: Vec<Draft> = (start..start + 1_000).map(to_one).collect();
            queue.send(&drafts, WAIT).expect("sent");
        }
    };
    fill(0, 1_000);
    let mut small_queue = store.queue();
    let small = cost(3_000, |k| small_queue.send(&[to_one(k)], WAIT).expect("sent"));
    fill(4_000, MANY);
    let mut large_queue = store.queue();
    let large = cost(3_000, |k| large_queue.send(&[to_one(k)], WAIT).expect("sent"));
    row("tachi, 1,000 stored", small, small);
    aimed("tachi, 1,000,000 stored", large, small, 1.1);
    #[cfg(feature = "bench-peers")]
    sqlite_growth(dir);
    let original = rewrite(&dir.join("array.json"), 1_000);
    row("rewriting an array, 1,000 stored", original, original);
    row("rewriting an array, 100,000 stored", rewrite(&dir.join("array.json"), 100_000), original);
    println!("  tachi is {:.0} times as fast as the original at 1,000 stored", original / small);
    store
}

pub(crate) fn look(dir: &Path, store: &Store) {
    println!("a look without news (x = ratio to fstat)");
    fs::write(dir.join("some"), "x").expect("written");
    let file = File::open(dir.join("some")).expect("opened");
    // Many at once: one is shorter than reading the clock.
    let limit =
        cost(300, |_| (0..100).map(|_| rustix::fs::fstat(&file).expect("looked").st_size).max()) / 100.0;
    row("fstat", limit, limit);
    let queue = store.queue();
    let mut inbox = queue.inbox(&id("instance_2"), &role(), queue.end().expect("an end"));
    let now = clock::now().wall;
    inbox.take(1, now).expect("taken");
    let ours = cost(300, |_| (0..100).for_each(|_| drop(inbox.take(1, now).expect("taken")))) / 100.0;
    aimed("tachi inbox", ours, limit, 2.0);
    #[cfg(feature = "bench-peers")]
    {
        let base = sqlite(&dir.join("look.sqlite"), "NORMAL");
        let mut find = base.prepare("SELECT line FROM messages WHERE seq > ?1").expect("a statement");
        let peer = cost(300, |_| {
            for _ in 0..100 {
                assert!(!find.exists([i64::MAX - 1]).expect("looked"));
            }
        });
        row("sqlite", peer / 100.0, limit);
    }
}

pub(crate) fn replay(store: &Store) {
    let begun = Instant::now();
    let (messages, _) = store.queue().messages(Cursor::default(), usize::MAX).expect("read");
    let per_second = messages.len() as f64 / begun.elapsed().as_secs_f64();
    println!("replay of {} messages, typed", messages.len());
    rate("tachi", per_second, per_second, Some(0.8e6));
}
