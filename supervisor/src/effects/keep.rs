//! Keeping the logs in bounds and on the disk: what the house keeper does for them in its rounds.
//!
//! Dirty segments are synced once a round. Every [`EVERY`] the queue and the event log get a new segment by age, idle readers
//! are moved, what may go goes, and lines nobody can read are listed. The board is never cut: its state is the fold of all
//! its events, and a checkpoint of the fold would have to be trusted more than the events themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use tachi_shared::clock::{Mono, Now};
use tachi_shared::id::{InstanceId, Seq};
use tachi_shared::layout::Topic;
use tachi_shared::log::{Flusher, Limits, Log, Piece, Standing, expendable};
use tachi_shared::os::Disk;
use tachi_shared::queue::{Queue, Reader, Verified};
use tachi_shared::store::Store;

use super::unreadable::Unreadable;

/// Between two looks at what may go.
const EVERY: Duration = Duration::from_secs(5);
/// So long after its process was seen gone a reader does not hold anything back any more.
const DEAD_AFTER: Duration = Duration::from_secs(600);
/// How long a log's lock is waited for.
const WAIT: Duration = Duration::from_millis(50);

/// The keeper of the logs.
pub(super) struct Keep {
    store: Store,
    limits: Limits,
    queue: Queue,
    events: Log,
    flushers: Vec<Flusher<Disk>>,
    unreadable: Unreadable,
    /// Since when readers were seen without a process.
    gone: BTreeMap<InstanceId, Mono>,
    looked: Option<Mono>,
}

impl Keep {
    /// Looks at nothing yet.
    pub(super) fn new(store: &Store) -> Self {
        let limits = store.limits();
        let topics = [Topic::Messages, Topic::Tasks, Topic::Events];
        Self {
            limits,
            queue: store.queue(),
            events: Log::new(Disk, store.dir(), Topic::Events),
            flushers: topics.map(|topic| Flusher::new(Disk, store.dir(), topic)).into(),
            unreadable: Unreadable::new(store),
            gone: BTreeMap::new(),
            looked: None,
            store: store.clone(),
        }
    }

    /// One round; what went wrong or was removed, as sentences.
    pub(super) fn round(&mut self, now: Now) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        words.extend(
            self.flushers.iter_mut().filter_map(|flusher| flusher.flush().err()).map(|e| e.to_string()),
        );
        if self.looked.is_none_or(|at| now.mono.since(at) >= EVERY) {
            self.looked = Some(now.mono);
            for done in [self.unreadable.look(now.wall), self.tidy(now)] {
                words.extend(done.unwrap_or_else(|error| match error {
                    // Somebody writes; the next look comes.
                    tachi_shared::Error::LockTimeout { .. } => Vec::new(),
                    error => vec![error.to_string()],
                }));
            }
        }
        words
    }

    fn tidy(&mut self, now: Now) -> tachi_shared::Result<Vec<String>> {
        let mut words = Vec::new();
        let age = self.limits.keep_time;
        self.events.rotate_older(age, now.wall, WAIT)?;
        let gone = expendable(&self.events.pieces()?, &[], &self.limits, now.wall);
        words.extend(told("events", self.events.remove(&gone)?));
        let log = self.queue.log_mut();
        log.rotate_older(age, now.wall, WAIT)?;
        let pieces = log.pieces()?;
        // Nobody's position matters while nothing is old or large enough to go.
        let wanted = expendable(&pieces, &[], &self.limits, now.wall);
        let Some(until) = end_of(&pieces, wanted.last().copied()) else { return Ok(words) };
        let readers = self.holding(now.mono);
        let standing = self.move_idle(&readers, until)?;
        let gone = expendable(&pieces, &standing, &self.limits, now.wall);
        words.extend(told("messages", self.queue.log_mut().remove(&gone)?));
        Ok(words)
    }

    /// Readers whose positions count: those that live, and those that have not been gone for long.
    fn holding(&mut self, now: Mono) -> Vec<Reader> {
        let mut readers = self.queue.readers();
        self.gone.retain(|id, _| readers.iter().any(|reader| reader.id == *id && !reader.lives));
        readers.retain(|reader| {
            if reader.lives {
                return true;
            }
            let since = *self.gone.entry(reader.id.clone()).or_insert(now);
            now.since(since) < DEAD_AFTER
        });
        readers
    }

    /// Moves those for whom there is nothing up to `until`, and says so in the file before anything goes.
    fn move_idle(&self, readers: &[Reader], until: Seq) -> tachi_shared::Result<Vec<Standing>> {
        let mut verified = Verified::load(&Disk, self.store.dir());
        let before = verified.clone();
        let mut standing = Vec::new();
        for reader in readers {
            let mut seq = reader.seq;
            if seq < until {
                seq = self.queue.idle_until(reader, until)?;
                if seq > reader.seq {
                    verified.advance(&reader.id, seq);
                }
            }
            standing.push(Standing { seq, ..reader.standing() });
        }
        if verified != before {
            verified.keep_only(&self.queue.readers());
            verified.save(&Disk, self.store.dir())?;
        }
        Ok(standing)
    }
}

/// The last number of the segment with the first number `base`.
fn end_of(pieces: &[Piece], base: Option<u64>) -> Option<Seq> {
    let at = pieces.iter().position(|piece| Some(piece.base) == base)?;
    pieces.get(at + 1).map(|next| Seq(next.base.saturating_sub(1)))
}

fn told(log: &str, removed: usize) -> Option<String> {
    (removed > 0).then(|| {
        format!("removed the {removed} oldest segments of {log}/, read by everybody and beyond what is kept")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachi_shared::clock;
    use tachi_shared::id::{Incarnation, ProcessRef, Role};
    use tachi_shared::instance::InstanceState;
    use tachi_shared::log::Cursor;
    use tachi_shared::os::AliveLock;
    use tachi_shared::queue::{Draft, MessageKind};

    /// A queue of some segments for `b` alone, so crowded that age does not protect.
    fn crowded() -> (tempfile::TempDir, Store) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("state");
        let first = Store::create(&root).unwrap();
        let limits = Limits { max_bytes: 80_000, keep_bytes: 0, ..Limits::default() };
        limits.save(&Disk, first.dir()).unwrap();
        let store = Store::open(&root).unwrap();
        let mut queue = store.queue();
        let text = "x".repeat(1000);
        let at = clock::now().wall;
        let draft = |k: usize| {
            Draft::new("b".parse().unwrap(), "a", MessageKind::Finding, format!("a.1.{k}"), at, &text)
        };
        while queue.send(&[draft(1)], WAIT).is_ok() {}
        (temp, store)
    }

    fn reader(store: &Store, name: &str, seq: u64) -> AliveLock {
        let id = InstanceId::new(name).unwrap();
        let process = ProcessRef { pid: 1, pid_start: 1, boot_id: "b".to_owned() };
        let role = Role::new("builder").unwrap();
        let mut state = InstanceState::new(&id, &role, Incarnation(1), &process, clock::now());
        state.inbox = Some(Cursor { seq: Seq(seq), ..Cursor::default() });
        store.instance(&id).replace(&state).unwrap();
        AliveLock::take(&store.dir().alive(&id)).unwrap()
    }

    fn first(store: &Store) -> u64 {
        store.queue().log_mut().pieces().unwrap()[0].base
    }

    #[test]
    fn s29_a_live_reader_holds_what_it_has_not_read_until_it_is_dead_for_ten_minutes() {
        let (_temp, store) = crowded();
        let alive = reader(&store, "b", 3);
        let mut keep = Keep::new(&store);
        let mut now = clock::now();
        assert_eq!((keep.round(now), first(&store)), (vec![], 1));
        drop(alive);
        now.mono = now.mono.after(Duration::from_secs(6));
        assert_eq!((keep.round(now), first(&store)), (vec![], 1));
        now.mono = now.mono.after(DEAD_AFTER);
        let words = keep.round(now);
        assert!(words.len() == 1 && words[0].contains("oldest segments of messages/"), "{words:?}");
        assert!(first(&store) > 1);
    }

    #[test]
    fn s29_an_idle_reader_holds_nothing_and_the_file_says_so_first() {
        let (_temp, store) = crowded();
        let end = store.queue().end().unwrap().seq.0;
        let _alive = [reader(&store, "b", end), reader(&store, "idle", 0)];
        let mut keep = Keep::new(&store);
        assert_eq!(keep.round(clock::now()).len(), 1);
        let first = first(&store);
        assert!(first > 1);
        let idle = InstanceId::new("idle").unwrap();
        assert!(Verified::load(&Disk, store.dir()).of(&idle) >= Seq(first - 1));
    }
}
