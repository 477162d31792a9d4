//! What the doors for hands have taken in: nothing is taken in twice, however late it is met again and whoever died meanwhile.
//!
//! File `.tachi/taken.json`: `{"schema":1,"boot_id":"…","read":CURSOR,"contents":{CONTENT:{SEQ:TIMESTAMP}},"ids":{ID:SEQ}}`:
//! the contents of elements of `messages.json` with each position they were given, the ids of what came by `spool/` and
//! of lines appended by hand, and how far the queue was read for them. Writer: the keeper of the view, under `view.lock`;
//! replaced whole, synced. The queue is the truth: a keeper reads on from `read` before it decides, so a crash between an
//! append and this file costs that reading only. A power loss may have taken messages that the file tells of, so another
//! boot learns anew what the queue still holds, and so does who finds no file or a damaged one.
//! Bound: the newest [`KEPT`] positions; what else was there is known by its newest position and time alone.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::import;
use super::store::{Queue, parse};
use crate::clock::Timestamp;
use crate::error::{Context as _, Error, Result};
use crate::id::Seq;
use crate::layout::StateDir;
use crate::log::{Cursor, Entry, Gap, LogReader};
use crate::os::Storage;
use crate::os::place::{Sync, place};

/// Positions remembered: more than people and scripts write by hand, and a file of one or two megabytes.
const KEPT: usize = 20_000;
/// Largest file looked into, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// So many messages without news of hands are read again at most by the next keeper.
const STRIDE: u64 = 10_000;
/// Entries taken from the queue in one go.
const CHUNK: usize = 512;
const SCHEMA: u64 = 1;
/// How ids begin that the doors give.
pub(super) const DOORS: [&str; 3] = ["import.", "spool.", "line."];

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    schema: u64,
    #[serde(default)]
    boot_id: String,
    #[serde(default)]
    read: Cursor,
    #[serde(default)]
    contents: BTreeMap<String, BTreeMap<Seq, Timestamp>>,
    #[serde(default)]
    ids: BTreeMap<String, Seq>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<Forgotten>,
}

impl Known {
    /// Keeps what was in segments that are gone, before `first`; the rest is read again.
    fn keep_before(&mut self, first: Seq) {
        self.ids.retain(|_, seq| *seq < first);
        self.contents.values_mut().for_each(|seqs| drop(seqs.split_off(&first)));
        self.contents.retain(|_, seqs| !seqs.is_empty());
    }

    /// Forgets the oldest positions once there are too many, and a tenth more, so that it happens seldom.
    fn forget(&mut self) {
        let Self { contents, ids, forgotten, .. } = self;
        let mut all: Vec<Seq> =
            contents.values().flat_map(BTreeMap::keys).chain(ids.values()).copied().collect();
        if all.len() <= KEPT {
            return;
        }
        all.sort_unstable();
        let Some(upto) = all.get(all.len() - KEPT / 10 * 9).copied() else { return };
        ids.retain(|_, seq| *seq > upto);
        for seqs in contents.values_mut() {
            let kept = seqs.split_off(&upto.next());
            for at in std::mem::replace(seqs, kept).into_values() {
                let latest = forgotten.map_or(at, |forgotten| forgotten.latest.max(at));
                *forgotten = Some(Forgotten { upto, latest });
            }
        }
        contents.retain(|_, seqs| !seqs.is_empty());
    }

    fn may_have_forgotten(&self, since: Seq, at: Option<Timestamp>) -> bool {
        let older =
            |forgotten: Forgotten| since <= forgotten.upto && at.is_none_or(|at| at <= forgotten.latest);
        self.forgotten.is_some_and(older)
    }
}

/// What is known of positions that were too many.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Forgotten {
    upto: Seq,
    latest: Timestamp,
}

/// A line without position, as it was found.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) text: String,
}

/// What was taken in, as far as the queue was read.
pub(super) struct Taken<S: Storage> {
    storage: S,
    path: PathBuf,
    tmp: PathBuf,
    known: Known,
    is_loaded: bool,
    reader: Option<LogReader<S>>,
    /// Lines found without position. The file is not written before they are taken in.
    pub(super) lines: Vec<Line>,
    /// Nothing was read since another boot wrote the file.
    is_of_other_boot: bool,
    /// Up to where the file on the disk goes; `None` = there is something new to tell.
    saved: Option<Seq>,
}

impl<S: Storage> Taken<S> {
    pub(super) fn new(storage: S, dir: &StateDir) -> Self {
        let (path, tmp) = (dir.taken_in(), dir.tmp());
        let (known, lines) = (Known::default(), Vec::new());
        Self {
            storage,
            path,
            tmp,
            known,
            is_loaded: false,
            reader: None,
            lines,
            is_of_other_boot: true,
            saved: None,
        }
    }

    /// Reads the file. One that cannot be read now is no missing one: what it knows would be written over.
    fn load(&mut self) -> Result<()> {
        let bytes = match self.storage.read(&self.path, FILE_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.context("read", &self.path)?,
        };
        let found = serde_json::from_slice::<Known>(&bytes).ok().filter(|known| known.schema == SCHEMA);
        let known = found.unwrap_or_default();
        let boot_id = self.storage.boot_id();
        self.is_of_other_boot = known.boot_id != boot_id;
        let read = if self.is_of_other_boot { Cursor::default() } else { known.read.clone() };
        self.known = Known { schema: SCHEMA, boot_id, read, ..known };
        self.saved = Some(self.known.read.seq);
        self.is_loaded = true;
        Ok(())
    }

    /// Reads on to the end of the queue.
    pub(super) fn catch_up(&mut self, queue: &Queue<S>) -> Result<()> {
        if !self.is_loaded {
            self.load()?;
        }
        if self.is_of_other_boot {
            // The name of a segment survives a power loss, its records may not.
            if let Some(first) = queue.first()? {
                self.known.keep_before(first);
            }
            self.is_of_other_boot = false;
        }
        // After an error from what is known, not from where a reader may have lost something.
        let mut reader = self.reader.take().unwrap_or_else(|| queue.entries(self.known.read.clone()));
        loop {
            let entries = reader.read(CHUNK)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                self.learn(entry);
            }
            self.known.read = reader.cursor().clone();
        }
        self.reader = Some(reader);
        self.known.forget();
        Ok(())
    }

    fn learn(&mut self, entry: Entry) {
        match entry {
            Entry::Record { seq, line } => {
                if DOORS.iter().any(|door| line.contains(&format!("\"id\":\"{door}"))) {
                    self.note(seq, &line);
                }
            }
            Entry::Gap(Gap::Unnumbered { segment, offset, line: text }) => {
                self.lines.push(Line { segment, offset, text });
            }
            Entry::Gap(_) => {}
        }
    }

    fn note(&mut self, seq: Seq, line: &str) {
        let Ok(message) = parse(seq, line) else { return };
        let id = &message.draft.id;
        if import::imported(id).is_some() {
            for content in import::contents(&message) {
                self.known.contents.entry(content).or_default().insert(seq, message.draft.timestamp);
            }
        } else if DOORS.iter().any(|door| id.starts_with(door)) {
            self.known.ids.insert(id.clone(), seq);
        }
        self.saved = None;
    }

    /// How often `content` was taken in from the box from `since` on.
    pub(super) fn count(&self, content: &str, since: Seq) -> usize {
        self.known.contents.get(content).map_or(0, |seqs| seqs.range(since..).count())
    }

    /// Whether a message with this id was sent.
    pub(super) fn has(&self, id: &str) -> bool {
        self.known.ids.contains_key(id)
    }

    /// Whether an element of that time, in a file that shows nothing older than `since`, may be one of the forgotten.
    pub(super) fn may_have_forgotten(&self, since: Seq, at: Option<Timestamp>) -> bool {
        self.known.may_have_forgotten(since, at)
    }

    /// Makes it known to the next keeper, if there is enough to tell.
    pub(super) fn save(&mut self) -> Result<()> {
        let read = self.known.read.seq;
        if !self.lines.is_empty() || self.saved.is_some_and(|saved| read.0 < saved.0.saturating_add(STRIDE)) {
            return Ok(());
        }
        let text =
            serde_json::to_string_pretty(&self.known).map_err(|error| Error::Refused(error.to_string()))?;
        place(&self.storage, &self.tmp, &self.path, format!("{text}\n").as_bytes(), Sync::Data)?;
        self.saved = Some(read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s26_of_too_many_positions_the_oldest_go_and_are_known_by_their_time() {
        let mut known = Known::default();
        for k in 1..=KEPT as u64 {
            let at = Timestamp::from_unix(1_000 + i64::try_from(k).unwrap());
            known.contents.entry(format!("{}", k % 100)).or_default().insert(Seq(k), at);
        }
        known.forget();
        assert!(known.forgotten.is_none());
        known.ids.insert("spool.a.0".to_owned(), Seq(KEPT as u64 + 1));
        known.forget();
        let left: Vec<Seq> = known.contents.values().flat_map(BTreeMap::keys).copied().collect();
        let oldest = left.iter().min().unwrap().0;
        assert!(left.len() < KEPT && left.len() > KEPT / 2 && known.ids.len() == 1);
        assert_eq!(oldest as usize + left.len(), KEPT + 1, "the newest stay");
        let at = |k: u64| Some(Timestamp::from_unix(1_000 + i64::try_from(k).unwrap()));
        for (since, at, is_doubtful) in [
            (Seq(0), at(oldest - 1), true),
            (Seq(0), None, true),
            (Seq(0), at(oldest), false),
            (Seq(oldest - 1), at(1), true),
            (Seq(oldest), at(1), false),
            (Seq(oldest), None, false),
        ] {
            assert_eq!(known.may_have_forgotten(since, at), is_doubtful, "{since} {at:?}");
        }
    }

    #[test]
    fn after_a_boot_what_the_queue_still_holds_is_learnt_anew() {
        let mut known = Known::default();
        for k in 1..=4 {
            known.contents.entry("a".to_owned()).or_default().insert(Seq(k), Timestamp::EPOCH);
            known.ids.insert(format!("line.{k}"), Seq(k));
        }
        known.keep_before(Seq(3));
        assert_eq!((known.contents["a"].len(), known.ids.len()), (2, 2));
    }
}
