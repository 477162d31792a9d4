//! The inbox of this instance, and who else is there.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use tachi_shared::clock::{Mono, Now, Timestamp};
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
/// How long a look at the team is good for while the registry stays as it is: locks and ages change without it.
const TEAM_FRESH: Duration = Duration::from_secs(1);
/// So long somebody who starts is counted on; who takes longer hangs, and nobody waits for it.
const START_MAX: Duration = Duration::from_secs(10);

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
    seen: Option<Seen>,
}

/// The last look at the team.
struct Seen {
    version: Version,
    at: Mono,
    peers: Vec<Peer>,
    /// Whether only another registry can change it: somebody sees to it that the rows are true, and nobody is on the way.
    settled: bool,
}

/// What changes with every replacement of the registry: inode, size, time.
type Version = (u64, u64, i64, i64);

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

    /// Everybody who takes part in the work now. A registry that changed is read at once: whoever acts on an older team does
    /// the duties of members who have come since.
    pub(super) fn peers(&mut self, now: Now) -> Vec<Peer> {
        let version = self.version();
        let supervised = AliveLock::is_held(&self.dir.supervisor_alive());
        // Opening the registry wakes its watcher: a hundred idle members that each look now and then would never let it rest.
        if let Some(seen) = &self.seen
            && seen.version == version
            && (now.mono.since(seen.at) < TEAM_FRESH || (seen.settled && supervised))
        {
            return seen.peers.clone();
        }
        let rows = self.registry().map(|registry| registry.instances).unwrap_or_default();
        let settled = supervised && !rows.iter().any(|row| row.status == Status::Starting);
        let peers: Vec<Peer> = rows
            .into_iter()
            .filter(|row| {
                takes_part(row, now.wall)
                    && (supervised || AliveLock::is_held(&self.dir.alive(&row.instance_id)))
            })
            .map(|row| Peer { id: row.instance_id, role: row.role })
            .collect();
        self.seen = Some(Seen { version, at: now.mono, peers: peers.clone(), settled });
        peers
    }

    fn version(&self) -> Version {
        std::fs::metadata(self.dir.registry())
            .map_or((0, 0, 0, 0), |found| (found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    }
}

/// Whether the others may leave work to it: ready, or about to be. Not one that is stalled: it may hang for good.
fn takes_part(row: &Row, now: Timestamp) -> bool {
    let coming = || row.started_at.is_none_or(|started| started.age(now) < START_MAX);
    row.kind == Kind::Worker
        && match row.status {
            Status::Ready => true,
            Status::Starting => coming(),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: &str, started: i64) -> Row {
        let at = Timestamp::from_unix(started);
        serde_json::from_value(serde_json::json!({
            "instance_id": "a", "role": "builder", "pid": 1, "pid_start": 1, "incarnation": 1, "status": status,
            "desired": "running", "started_at": at, "last_heartbeat": null, "restarts": 0,
            "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null
        }))
        .unwrap()
    }

    #[test]
    fn nobody_waits_for_a_member_that_hangs() {
        let now = Timestamp::from_unix(1_000);
        assert!(takes_part(&row("ready", 0), now));
        assert!(takes_part(&row("starting", 995), now), "it will come");
        assert!(!takes_part(&row("starting", 900), now), "it will not");
        for status in ["stalled", "paused", "frozen", "stopping", "backoff", "failed", "stopped", "lost"] {
            assert!(!takes_part(&row(status, 999), now), "{status}");
        }
    }

    #[test]
    fn a_member_that_came_is_seen_at_once_although_the_team_was_just_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let store = tachi_shared::store::Store::create(root.path()).unwrap();
        let dir = store.dir().clone();
        let alive = tachi_shared::id::InstanceId::new("a").unwrap();
        let _alive = AliveLock::take(&dir.alive(&alive)).unwrap();
        let mut team = Team::new(dir, store.registry());
        let now = tachi_shared::clock::now();
        assert!(team.peers(now).is_empty());
        let patience = Duration::from_secs(5);
        store
            .registry()
            .update(patience, |registry| {
                registry.instances.push(row("ready", 0));
                Ok(())
            })
            .unwrap();
        assert_eq!(team.peers(now).len(), 1);
    }
}
