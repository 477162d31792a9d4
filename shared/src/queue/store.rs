//! The queue on the log engine: sending, waking, and each reader's inbox.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::message::{Draft, Message};
use super::readers::{Reader, Verified, idle_until, readers};
use super::rules::{Priority, bells, is_for_another, write_record};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{InstanceId, Recipient, Role, Seq};
use crate::layout::{StateDir, Topic};
use crate::log::{Cursor, Durability, Entry, Gap, Limits, Log, LogReader, Room, Standing, newest, slowest};
use crate::os::doorbell::{Bells, Ring};
use crate::os::{Disk, Storage};
use crate::registry::{Registry, RegistryStore};
use crate::snapshot::Loaded;

/// Entries taken from the log in one go while passing over a long stretch.
const CHUNK: usize = 512;

/// The message queue on a storage.
pub struct Queue<S: Storage = Disk> {
    storage: S,
    dir: StateDir,
    log: Log<S>,
    /// Records on their way into the log.
    buffer: Vec<u8>,
    bells: Bells,
}

impl<S: Storage> Queue<S> {
    /// Names the queue; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let log = Log::new(storage.clone(), dir, Topic::Messages);
        let bells = Bells::new(dir.doorbells());
        Self { storage, dir: dir.clone(), log, buffer: Vec::new(), bells }
    }

    /// The same, with another promise about power loss.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.log = self.log.with_durability(durability);
        self
    }

    /// The same, with segments of another size.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.log = self.log.with_segment_bytes(bytes);
        self
    }

    /// The same, with an end to its growth.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.log = self.log.with_limits(limits);
        self
    }

    /// Appends the messages in order and returns the last position. Sizes are checked; recipients are the caller's business.
    /// Does not ring.
    ///
    /// # Errors
    /// As [`crate::log::Log::append`] ([`crate::Error::not_stored`] tells which may be sent again); [`crate::Error::QueueFull`] names the slowest reader; [`crate::Error::TooLarge`],
    /// [`crate::Error::InvalidName`].
    pub fn send(&mut self, drafts: &[Draft], wait: Duration) -> Result<Seq> {
        if drafts.is_empty() {
            return Ok(self.log.end()?.seq);
        }
        self.buffer.clear();
        let mut ends = Vec::with_capacity(drafts.len());
        for draft in drafts {
            write_record(draft, &mut self.buffer)?;
            ends.push(self.buffer.len());
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let records: Vec<&[u8]> =
            starts.zip(&ends).filter_map(|(start, end)| self.buffer.get(start..*end)).collect();
        let urgent = drafts.iter().all(|draft| Priority::of(draft) == Priority::Urgent);
        let room = if urgent { Room::Reserved } else { Room::Usual };
        match self.log.append_to(room, &records, wait) {
            Ok(appended) => Ok(appended.last),
            Err(Error::QueueFull { topic, bytes, limit, .. }) => {
                let standing: Vec<Standing> = self.readers().iter().map(Reader::standing).collect();
                let slowest = slowest(&standing).map(|reader| reader.name.clone());
                Err(Error::QueueFull { topic, bytes, limit, slowest })
            }
            Err(error) => Err(error),
        }
    }

    /// Sends and rings the doorbells of everybody who is to receive.
    ///
    /// # Errors
    /// As [`Queue::send`]; a bell that cannot be rung is no error.
    pub fn post(&mut self, drafts: &[Draft], wait: Duration) -> Result<Seq> {
        let sent = self.send(drafts, wait);
        if sent.as_ref().err().is_none_or(|error| error.not_stored(drafts.len()).len() < drafts.len()) {
            self.wake(drafts);
        }
        sent
    }

    /// Rings the doorbells of everybody who is to receive `drafts`.
    pub fn wake(&mut self, drafts: &[Draft]) {
        let to_many = |draft: &&Draft| matches!(draft.to, Recipient::Broadcast | Recipient::Role(_));
        let all = if drafts.iter().any(|draft| to_many(&draft)) {
            self.storage.list(&self.dir.doorbells()).unwrap_or_default()
        } else {
            Vec::new()
        };
        let to_role = |draft: &Draft| matches!(draft.to, Recipient::Role(_));
        let registry = if drafts.iter().any(to_role) { self.registry() } else { None };
        let names: BTreeSet<&str> =
            drafts.iter().flat_map(|draft| bells(draft, registry.as_ref(), &all)).collect();
        for name in names {
            self.bells.ring(name, Ring::Messages);
        }
    }

    /// Appends those of `drafts` whose id is not yet in the log behind `since`: what a successor does with an outbox.
    /// `None` = all were there. Does not ring.
    ///
    /// # Errors
    /// As [`Queue::send`], but whatever it says of what is missing: ask again, the ids tell.
    pub fn send_missing(&mut self, drafts: &[Draft], since: &Cursor, wait: Duration) -> Result<Option<Seq>> {
        if drafts.is_empty() {
            return Ok(None);
        }
        // A message of a sender that was killed may lack its newline alone: nobody sees it, and the next writer makes it
        // whole. Sent again before that, it would be there twice.
        self.make_whole(wait)?;
        let mut missing: Vec<&Draft> = drafts.iter().collect();
        let mut reader = self.log.reader(since.clone());
        loop {
            let entries = reader.read(CHUNK)?;
            if entries.is_empty() || missing.is_empty() {
                break;
            }
            for entry in &entries {
                let Entry::Record { seq, line } = entry else { continue };
                // Looking for the text first spares parsing what others said.
                if missing.iter().any(|draft| line.contains(&draft.id))
                    && let Ok(message) = parse(*seq, line)
                {
                    missing.retain(|draft| draft.id != message.draft.id);
                }
            }
        }
        let missing: Vec<Draft> = missing.into_iter().cloned().collect();
        let sent = if missing.is_empty() { None } else { Some(self.send(&missing, wait)?) };
        if missing.len() < drafts.len() {
            self.log.vouch(since.seq)?;
        }
        Ok(sent)
    }

    /// Makes the end of the queue whole, as any sender does before it appends.
    pub(super) fn make_whole(&mut self, wait: Duration) -> Result<()> {
        self.log.locked(wait, |writer| writer.end().map(drop))
    }

    /// The first position that the oldest segment may hold.
    pub(super) fn first(&self) -> Result<Option<Seq>> {
        Ok(self.log.pieces()?.first().map(|piece| Seq(piece.base)))
    }

    /// Where every reader stands.
    #[must_use]
    pub fn readers(&self) -> Vec<Reader> {
        readers(&self.storage, &self.dir)
    }

    /// How far `reader` can be moved without missing anything, at most to `until`.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn idle_until(&self, reader: &Reader, until: Seq) -> Result<Seq> {
        idle_until(&mut self.log.reader(Cursor { seq: reader.seq, ..Cursor::default() }), reader, until)
    }

    /// The log itself, for who keeps it in bounds.
    pub fn log_mut(&mut self) -> &mut Log<S> {
        &mut self.log
    }

    /// The end of the queue now.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn end(&self) -> Result<Cursor> {
        self.log.end()
    }

    /// The inbox of `id` behind `cursor`.
    pub fn inbox(&self, id: &InstanceId, role: &Role, cursor: Cursor) -> Inbox<S> {
        let (storage, verified) = (self.storage.clone(), self.dir.verified());
        let reader = self.log.reader(cursor);
        let owner = Owner { id: id.clone(), role: role.clone(), storage, verified };
        Inbox { owner, reader }
    }

    /// Every entry behind `cursor`, for who takes in what hands appended.
    pub(super) fn entries(&self, cursor: Cursor) -> LogReader<S> {
        self.log.reader(cursor)
    }

    /// Every message behind `cursor`, whoever it is for (`tachi messages`, the view). Lines that are no messages are left
    /// out here; an [`Inbox`] tells of them.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn messages(&self, cursor: Cursor, max: usize) -> Result<(Vec<Message>, Cursor)> {
        let mut reader = self.log.reader(cursor);
        let mut messages = Vec::new();
        reader.read_each(max, &mut |entry, _| {
            let before = messages.len();
            if let Entry::Record { seq, line } = entry {
                messages.extend(parse(seq, line).ok());
            }
            messages.len() > before
        })?;
        Ok((messages, reader.cursor().clone()))
    }

    /// The newest `count` messages, oldest first.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn newest(&self, count: usize) -> Result<Vec<Message>> {
        let lines = newest(&self.storage, &self.dir, Topic::Messages, &self.log, count)?;
        Ok(lines.iter().filter_map(|(seq, line)| parse(*seq, line).ok()).collect())
    }

    fn registry(&self) -> Option<Registry> {
        match RegistryStore::new(self.storage.clone(), &self.dir).load() {
            Ok(Loaded::Good(registry) | Loaded::Fallback(registry, _)) => Some(registry),
            Ok(Loaded::Missing) | Err(_) => None,
        }
    }
}

/// One reader's view of the queue.
pub struct Inbox<S: Storage = Disk> {
    owner: Owner<S>,
    reader: LogReader<S>,
}

/// Whose inbox it is.
struct Owner<S> {
    id: InstanceId,
    role: Role,
    storage: S,
    verified: PathBuf,
}

/// What arrives in an inbox.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// A message for this reader.
    Message(Box<Message>),
    /// A message for this reader that came too late to be of use: counted, not handled.
    Expired(Box<Message>),
    /// Something could not be delivered: counted, never silent.
    Gap(Gap),
}

impl<S: Storage> Inbox<S> {
    /// Up to `max` arrivals; the cursor passes over what is for others. Urgent messages come first and low ones last
    /// among those taken together: what was handled is one position, so nothing can be put back for later.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn take(&mut self, max: usize, now: Timestamp) -> Result<Vec<Arrival>> {
        let mut arrivals = Vec::new();
        let owner = &self.owner;
        // Never more than what fits: whatever is read counts as taken.
        let read = self.reader.read_each(max, &mut |entry, at| {
            let arrival = owner.arrival(entry, at, now);
            let counts = arrival.is_some();
            arrivals.extend(arrival);
            counts
        });
        if arrivals.is_empty() {
            // What was taken must be handed on; the trouble shows again at the next look.
            read?;
        }
        arrivals.sort_by_key(|arrival| match arrival {
            Arrival::Message(message) => Priority::of(&message.draft),
            Arrival::Expired(_) | Arrival::Gap(_) => Priority::Normal,
        });
        Ok(arrivals)
    }

    /// Position to commit after handling.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        self.reader.cursor()
    }
}

impl<S: Storage> Owner<S> {
    /// What was missed for certain: up to the verified position nothing was for us.
    fn missed(&self, from: Seq, to: Seq) -> Option<Gap> {
        let verified = Verified::read(&self.storage, &self.verified).of(&self.id);
        let from = from.max(Seq(verified.0.saturating_add(1)));
        (from <= to).then_some(Gap::Lagged { from, to })
    }

    /// What an entry that begins at `at` is to us.
    fn arrival(&self, entry: Entry<&str>, at: &Cursor, now: Timestamp) -> Option<Arrival> {
        let (seq, line) = match entry {
            // Not lost: the keeper of the view appends it anew, with a position.
            Entry::Gap(Gap::Unnumbered { .. }) => return None,
            Entry::Gap(Gap::Lagged { from, to }) => return self.missed(from, to).map(Arrival::Gap),
            Entry::Gap(gap) => return Some(Arrival::Gap(gap)),
            Entry::Record { line, .. } if is_for_another(line, &self.id, &self.role) => return None,
            Entry::Record { seq, line } => (seq, line),
        };
        match parse(seq, line) {
            Ok(message) => {
                let draft = &message.draft;
                if !draft.is_for(&self.id, &self.role) {
                    return None;
                }
                let expired = draft.expires_at.is_some_and(|end| end < now);
                let message = Box::new(message);
                Some(if expired { Arrival::Expired(message) } else { Arrival::Message(message) })
            }
            Err(error) => {
                let reason = format!("record {seq} is no message: {error}");
                Some(Arrival::Gap(Gap::Poison { segment: at.segment, offset: at.offset, reason }))
            }
        }
    }
}

/// A line as a message; its position is the log's, whatever the line says.
pub(super) fn parse(seq: Seq, line: &str) -> serde_json::Result<Message> {
    serde_json::from_str(line).map(|draft| Message { seq, draft })
}
