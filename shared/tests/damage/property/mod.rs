//! What must hold of any bytes, one function each: used by the seeded damage of `cargo test` and by the fuzz targets of
//! `shared/fuzz/`, which find their way by coverage.

pub(crate) mod doors;
pub(crate) mod logs;
pub(crate) mod snapshots;

use std::time::Duration;

use tachi_shared::clock::{Now, now};
use tachi_shared::id::Seq;
use tachi_shared::log::Cursor;
use tachi_shared::store::Store;

use crate::corpus::folder;

const WAIT: Duration = Duration::from_secs(10);

/// A new store.
fn fresh() -> (tempfile::TempDir, Store) {
    let temp = folder();
    let store = Store::create(&temp.path().join("s")).unwrap();
    (temp, store)
}

/// So late that nobody can still be writing.
fn later() -> Now {
    let (now, ahead) = (now(), Duration::from_secs(60));
    Now { wall: now.wall.after(ahead), mono: now.mono.after(ahead) }
}

/// Tries one input.
pub(crate) type Property = fn(&[u8]);

/// The targets of `shared/fuzz/` by name. Inputs that need more than bytes have it in their last ones, so that plain files
/// serve as corpus.
pub(crate) const TARGETS: [(&str, Property); 5] = [
    ("records", records),
    ("repair", logs::repaired),
    ("resume", resume),
    ("snapshots", snapshot),
    ("import", import),
];

fn records(input: &[u8]) {
    match choice(input, 2) {
        (0, bytes) => logs::read(bytes),
        (_, bytes) => logs::folded(bytes),
    }
}

fn resume(input: &[u8]) {
    let Some((bytes, [seq, high, segment, offset @ .., bite])) = input.split_last_chunk::<6>() else {
        return;
    };
    let offset = u64::from(u16::from_le_bytes(*offset));
    let seq = Seq(u64::from(*seq) << (high % 64));
    logs::resumed(
        bytes,
        &Cursor { seq, segment: u64::from(*segment % 4), offset },
        usize::from(bite % 9) + 1,
    );
}

fn snapshot(input: &[u8]) {
    match choice(input, 3) {
        (0, bytes) => snapshots::memory(bytes),
        (1, bytes) => snapshots::registry(bytes),
        (_, bytes) => snapshots::instance(bytes),
    }
}

fn import(input: &[u8]) {
    match choice(input, 3) {
        (0, bytes) => doors::viewed(bytes),
        (1, bytes) => doors::spooled(bytes),
        (_, bytes) => doors::commanded(bytes),
    }
}

/// The last byte decides which of `among`.
fn choice(input: &[u8], among: u8) -> (u8, &[u8]) {
    input.split_last().map_or((0, input), |(last, bytes)| (last % among, bytes))
}
