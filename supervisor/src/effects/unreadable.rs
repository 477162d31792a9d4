//! Lines of the logs that nobody can read: found once, listed in `.tachi/deadletter.jsonl`, and told.
//!
//! Whoever a line was for may never look (the board passes over it, nobody reads the event log to its end), so the house keeper
//! reads all three logs behind everybody. What an earlier supervisor has listed is not told again.

use std::collections::BTreeSet;
use std::time::Duration;

use tachi_shared::clock::Timestamp;
use tachi_shared::id::Seq;
use tachi_shared::layout::Topic;
use tachi_shared::log::{Cursor, DeadLetter, Entry, Gap, Log, dead_letter};
use tachi_shared::os::{Disk, Handle as _, OpenMode, Storage as _};
use tachi_shared::store::Store;

/// Entries taken in one go.
const CHUNK: usize = 512;
/// So many records before the end are read at a start; older damage is `tachi doctor`'s to find.
const FAR_BACK: u64 = 10_000;
/// So many lines of one look are told; all are listed.
const TOLD: usize = 10;
/// How long the list's lock is waited for.
const WAIT: Duration = Duration::from_millis(50);

/// Where a line is: topic, first number of the segment, offset.
type Place = (String, u64, u64);

/// The reader of all logs.
pub(super) struct Unreadable {
    store: Store,
    /// How far each log was read. Only that: a reader would keep a segment open between two looks.
    places: [(Topic, Cursor); 3],
    listed: BTreeSet<Place>,
    /// Found and not listed yet.
    found: Vec<DeadLetter>,
}

impl Unreadable {
    /// Reads what is listed already, and no log yet.
    pub(super) fn new(store: &Store) -> Self {
        let listed = dead_letter::all(&Disk, store.dir()).unwrap_or_default();
        let listed =
            listed.into_iter().filter_map(|letter| Some((letter.topic, letter.segment?, letter.offset?)));
        let places = [Topic::Messages, Topic::Tasks, Topic::Events].map(|topic| {
            let end = Log::new(Disk, store.dir(), topic).end().map_or(0, |end| end.seq.0);
            (topic, Cursor { seq: Seq(end.saturating_sub(FAR_BACK)), ..Cursor::default() })
        });
        Self { listed: listed.collect(), places, found: Vec::new(), store: store.clone() }
    }

    /// Reads on; what is new, as sentences.
    pub(super) fn look(&mut self, now: Timestamp) -> tachi_shared::Result<Vec<String>> {
        for (topic, cursor) in &mut self.places {
            let mut reader = Log::new(Disk, self.store.dir(), *topic).reader(cursor.clone());
            loop {
                let entries = reader.read(CHUNK)?;
                *cursor = reader.cursor().clone();
                if entries.is_empty() {
                    break;
                }
                for entry in entries {
                    let Entry::Gap(Gap::Poison { segment, offset, reason }) = entry else { continue };
                    if self.listed.insert((topic.name().to_owned(), segment, offset)) {
                        let line = line(&self.store, *topic, segment, offset);
                        self.found.push(DeadLetter::line(now, *topic, (segment, offset), &reason, &line));
                    }
                }
            }
        }
        let found = self.list()?;
        let mut told: Vec<String> = found.iter().take(TOLD).map(sentence).collect();
        let more = found.len().saturating_sub(TOLD);
        if more > 0 {
            told.push(format!("and {more} more lines cannot be read; all are in deadletter.jsonl"));
        }
        Ok(told)
    }

    /// Lists what was found; what could be listed. The rest is owed to the next look, which tells of the trouble if it is
    /// still there.
    fn list(&mut self) -> tachi_shared::Result<Vec<DeadLetter>> {
        let added = dead_letter::add(&Disk, self.store.dir(), &self.found, WAIT);
        let missing = added.as_ref().err().map(|error| error.not_stored(self.found.len()));
        let listed = missing.and_then(|missing| missing.first().copied()).unwrap_or(self.found.len());
        let owed = self.found.split_off(listed);
        let found = std::mem::replace(&mut self.found, owed);
        if found.is_empty() { added.map(|()| found) } else { Ok(found) }
    }
}

/// The bytes of a line, as far as they are kept.
fn line(store: &Store, topic: Topic, segment: u64, offset: u64) -> Vec<u8> {
    let path = store.dir().segments(topic).join(format!("{segment:020}.jsonl"));
    let mut bytes = vec![0; dead_letter::LINE_KEPT];
    let read = Disk.open(&path, OpenMode::Read).and_then(|file| file.read_at(&mut bytes, offset));
    bytes.truncate(read.unwrap_or_default());
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn sentence(letter: &DeadLetter) -> String {
    let DeadLetter { topic, segment, offset, reason, .. } = letter;
    let (segment, offset) = (segment.unwrap_or_default(), offset.unwrap_or_default());
    format!(
        "{topic}/{segment:020}.jsonl: the line at byte {offset} cannot be read: {reason}; listed in deadletter.jsonl"
    )
}
