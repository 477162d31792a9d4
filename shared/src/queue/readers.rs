//! Where everybody stands in the queue, and how far idle readers need not read: what retention goes by.
//!
//! A reader's position is in its own `instances/<id>.json`. One that gets nothing has no reason to move, and would hold every
//! segment for ever; so the supervisor looks whether anything between its position and the end of a segment is addressed to it,
//! and if not, says so in `.tachi/verified.json`: `{"schema":1,"readers":{"<id>":<seq>}}`. Writer: the supervisor alone, no
//! lock, replaced whole *before* a segment is removed. A crash leaves the old file or the new one; both are true. An inbox
//! that meets missing records up to there has lost nothing and tells of nothing ([`super::Inbox`]).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::message::Draft;
use super::rules::is_for_another;
use crate::error::{Error, Result};
use crate::id::{InstanceId, Role, Seq};
use crate::layout::StateDir;
use crate::log::{Cursor, Entry, Gap, LogReader, Standing};
use crate::os::place::{Sync, place};
use crate::os::{AliveLock, Storage};

/// Largest state file looked into, in bytes.
const STATE_MAX: u64 = 128 * 1024 * 1024;
/// Largest file of verified positions, in bytes: a thousand readers need a tenth.
const FILE_MAX: u64 = 1024 * 1024;
/// Entries taken from the log in one go.
const CHUNK: usize = 512;

/// One reader of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Who.
    pub id: InstanceId,
    /// What messages to a role it gets.
    pub role: Role,
    /// Where it stands: everything up to here is handled, or verified to be for others.
    pub seq: Seq,
    /// The last message it has taken to handle; not below `seq`.
    pub taken: Seq,
    /// Whether its process lives.
    pub lives: bool,
}

impl Reader {
    /// As retention needs it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { name: self.id.to_string(), seq: self.seq }
    }
}

/// The part of a state file that matters here.
#[derive(Deserialize)]
struct State {
    instance_id: InstanceId,
    instance_role: Role,
    #[serde(default)]
    inbox: Option<Cursor>,
    #[serde(default)]
    taken: Option<Seq>,
}

/// Everybody who ever read. A state file that cannot be read has nothing to say; its instance starts over from a copy.
pub fn readers<S: Storage>(storage: &S, dir: &StateDir) -> Vec<Reader> {
    let verified = Verified::load(storage, dir);
    let mut readers = Vec::new();
    for name in storage.list(&dir.instances()).unwrap_or_default() {
        let Ok(bytes) = storage.read(&dir.instances().join(&name), STATE_MAX) else { continue };
        let Ok(state) = serde_json::from_slice::<State>(&bytes) else { continue };
        // Holders never read, and a newcomer wants nothing that is old enough to go.
        let Some(cursor) = state.inbox else { continue };
        let seq = cursor.seq.max(verified.of(&state.instance_id));
        let taken = state.taken.unwrap_or_default().max(seq);
        let lives = AliveLock::is_held(&dir.alive(&state.instance_id));
        readers.push(Reader { id: state.instance_id, role: state.instance_role, seq, taken, lives });
    }
    readers.sort_by(|a, b| a.id.cmp(&b.id));
    readers
}

/// `.tachi/verified.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    schema: u64,
    #[serde(default)]
    readers: BTreeMap<InstanceId, Seq>,
}

impl Verified {
    /// What is known. A missing or unreadable file knows nothing.
    pub fn load<S: Storage>(storage: &S, dir: &StateDir) -> Self {
        Self::read(storage, &dir.verified())
    }

    pub(super) fn read<S: Storage>(storage: &S, path: &Path) -> Self {
        let bytes = storage.read(path, FILE_MAX).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Nothing up to here is for `id` that it has not read.
    #[must_use]
    pub fn of(&self, id: &InstanceId) -> Seq {
        self.readers.get(id).copied().unwrap_or(Seq::START)
    }

    /// Notes that nothing up to `seq` is for `id`.
    pub fn advance(&mut self, id: &InstanceId, seq: Seq) {
        let known = self.readers.entry(id.clone()).or_insert(seq);
        *known = seq.max(*known);
    }

    /// Forgets readers that have gone.
    pub fn keep_only(&mut self, readers: &[Reader]) {
        self.readers.retain(|id, _| readers.iter().any(|reader| reader.id == *id));
    }

    /// Makes it known to everybody.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn save<S: Storage>(&mut self, storage: &S, dir: &StateDir) -> Result<()> {
        self.schema = 1;
        let text = serde_json::to_string(self).map_err(|error| Error::Refused(error.to_string()))?;
        // Synced, because what it speaks of is removed next.
        place(storage, &dir.tmp(), &dir.verified(), format!("{text}\n").as_bytes(), Sync::Data)
    }
}

/// How far `reader` can be moved without missing anything, at most to `until`: to just before the first record that is for
/// it, that cannot be judged, or that is gone.
pub(super) fn idle_until<S: Storage>(log: &mut LogReader<S>, reader: &Reader, until: Seq) -> Result<Seq> {
    let mut sure = reader.seq;
    while sure < until {
        let entries = log.read(CHUNK)?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            match entry {
                Entry::Record { seq, line } if is_for_another(line, &reader.id, &reader.role) => sure = *seq,
                Entry::Record { seq, line } => match serde_json::from_str::<Draft>(line) {
                    Ok(draft) if !draft.is_for(&reader.id, &reader.role) => sure = *seq,
                    _ => return Ok(sure.min(until)),
                },
                Entry::Gap(Gap::Epoch { next, .. }) => sure = sure.max(Seq(next.0.saturating_sub(1))),
                Entry::Gap(Gap::Unnumbered { .. }) => {}
                Entry::Gap(Gap::Lagged { .. } | Gap::Poison { .. }) => return Ok(sure.min(until)),
            }
        }
    }
    Ok(sure.min(until))
}
