//! The messages, ids and peers that all rows share.

use std::time::Duration;

use tachi_shared::clock;
use tachi_shared::id::{InstanceId, Recipient, Role};
use tachi_shared::queue::{Draft, MessageKind};

pub(crate) const WAIT: Duration = Duration::from_secs(30);
pub(crate) const LINE: usize = 200;

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::new(text).expect("a name")
}

pub(crate) fn role() -> Role {
    Role::new("bench").expect("a name")
}

pub(crate) fn draft(to: Recipient, from: &str, k: usize) -> Draft {
    let id = format!("{from}.1.{k}");
    Draft::new(to, from, MessageKind::Finding, id, clock::now().wall, &"x".repeat(40))
}

pub(crate) fn to_one(k: usize) -> Draft {
    draft(Recipient::Instance(id("instance_2")), "instance_1", k)
}

#[cfg(feature = "bench-peers")]
pub(crate) fn sqlite(path: &std::path::Path, synchronous: &str) -> rusqlite::Connection {
    let base = rusqlite::Connection::open(path).expect("opened");
    base.busy_timeout(WAIT).expect("a timeout");
    base.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
         CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);"
    ))
    .expect("a table");
    base
}
