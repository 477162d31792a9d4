//! The inbox of this instance, and who else is there.

use tachi_shared::clock::{Mono, Now};
use tachi_shared::id::Recipient;
use tachi_shared::layout::StateDir;
use tachi_shared::log::Cursor;
use tachi_shared::os::AliveLock;
use tachi_shared::queue::{Arrival, Inbox, Queue};
use tachi_shared::registry::{Kind, Registry, RegistryStore, Row, Status};
use tachi_shared::snapshot::Loaded;

use crate::backend::builtin::Peer;
use crate::turn::{Event, Identity};

/// Messages taken at once.
const BATCH: usize = 64;
/// How long a look at the team is good for, in milliseconds.
const TEAM_FRESH_MS: u64 = 1_000;

/// Reads what was sent to this instance.
pub(super) struct Mailbox {
    inbox: Option<Inbox>,
}

impl Mailbox {
    /// Opens nothing yet.
    pub(super) fn new() -> Self {
        Self { inbox: None }
    }

    /// Takes the next batch behind `cursor` (used the first time only; afterwards the reader knows).
    pub(super) fn take(
        &mut self,
        queue: &Queue,
        who: &Identity,
        cursor: Option<&Cursor>,
        team: &mut Team,
        now: Now,
    ) -> Event {
        let inbox = self.inbox.get_or_insert_with(|| {
            queue.inbox(&who.me.id, &who.me.role, cursor.cloned().unwrap_or_default())
        });
        match inbox.take(BATCH, now.wall) {
            Ok(arrivals) => Event::Arrived {
                peers: if arrivals.iter().any(is_for_several) { team.peers(now) } else { Vec::new() },
                more: arrivals.len() >= BATCH,
                cursor: inbox.cursor().clone(),
                arrivals,
            },
            Err(error) => Event::Unreadable { inbox: true, why: format!("cannot read the inbox: {error}") },
        }
    }
}

fn is_for_several(arrival: &Arrival) -> bool {
    match arrival {
        Arrival::Message(message) => {
            message.draft.kind.causes_think() && !matches!(message.draft.to, Recipient::Instance(_))
        }
        Arrival::Expired(_) | Arrival::Gap(_) => false,
    }
}

/// The live team, as the registry shows it. Without a supervisor that keeps rows true, only the alive locks are believed.
pub(super) struct Team {
    dir: StateDir,
    registry: RegistryStore,
    seen: Option<(Mono, Vec<Peer>)>,
}

impl Team {
    /// Reads nothing yet.
    pub(super) fn new(dir: StateDir, registry: RegistryStore) -> Self {
        Self { dir, registry, seen: None }
    }

    /// The registry as it is, if it can be read.
    pub(super) fn registry(&mut self) -> Option<Registry> {
        match self.registry.load() {
            Ok(Loaded::Good(registry) | Loaded::Fallback(registry, _)) => Some(registry),
            Ok(Loaded::Missing) | Err(_) => None,
        }
    }

    /// Everybody who takes part in the work now.
    pub(super) fn peers(&mut self, now: Now) -> Vec<Peer> {
        if let Some((at, peers)) = &self.seen
            && now.mono.since(*at).as_millis() < u128::from(TEAM_FRESH_MS)
        {
            return peers.clone();
        }
        let rows = self.registry().map(|registry| registry.instances).unwrap_or_default();
        let supervised = AliveLock::is_held(&self.dir.supervisor_alive());
        let peers: Vec<Peer> = rows
            .into_iter()
            .filter(|row| {
                takes_part(row) && (supervised || AliveLock::is_held(&self.dir.alive(&row.instance_id)))
            })
            .map(|row| Peer { id: row.instance_id, role: row.role })
            .collect();
        self.seen = Some((now.mono, peers.clone()));
        peers
    }
}

fn takes_part(row: &Row) -> bool {
    row.kind == Kind::Worker && matches!(row.status, Status::Starting | Status::Ready | Status::Stalled)
}
