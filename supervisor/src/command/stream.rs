//! Showing the newest records of a log and going on as they come: what `events` and `messages` share.

use std::path::PathBuf;
use std::time::Duration;

use tachi_shared::log::Cursor;

use super::wait::Waiter;
use crate::error::Result;

/// Most records read in one go.
pub(super) const BATCH: usize = 1000;
/// Followers look again at least this often.
const SAFETY: Duration = Duration::from_secs(1);

/// Calls `show` with everything behind the cursor, again and again, until it fails (a reader that leaves is a failure).
///
/// # Errors
/// Whatever `read` or `show` meet.
pub(super) fn follow<T>(
    dir: PathBuf,
    mut cursor: Cursor,
    mut read: impl FnMut(Cursor) -> tachi_shared::Result<(Vec<T>, Cursor)>,
    mut show: impl FnMut(&T) -> Result<()>,
) -> Result<u8> {
    let waiter = Waiter::on(&[dir]);
    loop {
        let (records, next) = read(cursor)?;
        let more = records.len() >= BATCH;
        cursor = next;
        records.iter().try_for_each(&mut show)?;
        if !more {
            waiter.sleep(SAFETY);
        }
    }
}
