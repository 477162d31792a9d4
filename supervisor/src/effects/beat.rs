//! What instances say of themselves: their own state files, read when they ring and at the slow tick.
//!
//! A file that has not been replaced or touched since it was last read costs one `stat`. A heartbeat that belongs to
//! another start than the one we lead is not a heartbeat. An unreadable file says nothing; it is read again next time.

use std::collections::BTreeMap;
use std::time::Duration;

use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::instance::InstanceState;
use tachi_shared::os::{Disk, Stat, Storage as _, process};
use tachi_shared::registry::Kind;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::table::{Leader, Table};
use crate::fleet::{Event, Fleet};

/// Shortest time between two looks at all files: a thousand instances ringing at once must not cost a million looks.
const SWEEP_EVERY: Duration = Duration::from_millis(5);

/// What was read last.
#[derive(Debug)]
pub(super) struct Beats {
    seen: BTreeMap<InstanceId, (Incarnation, u64, i128)>,
    last: Mono,
    due: Option<Mono>,
}

impl Beats {
    /// Nothing read yet.
    pub(super) fn new() -> Self {
        Self { seen: BTreeMap::new(), last: Mono::ZERO, due: None }
    }

    /// Somebody rang: look now, or soon if that was done a moment ago.
    pub(super) fn rung(&mut self, now: Mono) {
        let earliest = self.last.after(SWEEP_EVERY);
        self.due = Some(if self.last == Mono::ZERO { now } else { earliest.max(now) });
    }

    /// When to look.
    pub(super) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// Reads what has changed since the last look.
    pub(super) fn look(&mut self, store: &Store, table: &mut Table, now: Now) -> Vec<Event> {
        self.last = now.mono;
        self.due = None;
        let mut events = Vec::new();
        for (id, leader) in table.iter_mut() {
            let Ok(stat) = Disk.stat(&store.dir().instance(id)) else { continue };
            let mark = (leader.incarnation, stat.ino, stat.mtime_ns);
            if self.seen.get(id) == Some(&mark) {
                continue;
            }
            let Ok(Loaded::Good(state)) = store.instance(id).load() else { continue };
            self.seen.insert(id.clone(), mark);
            if state.incarnation == leader.incarnation && state.boot_id == leader.process.boot_id {
                learn_command(leader, &state);
                events.push(beat(id, &state, &stat, now));
            }
        }
        events
    }
}

/// A holder has told which process the command is.
fn learn_command(leader: &mut Leader, state: &InstanceState) {
    if leader.kind == Kind::Command && state.running && leader.face().pid != state.pid {
        leader.command = process::find(state.pid);
    }
}

fn beat(id: &InstanceId, state: &InstanceState, stat: &Stat, now: Now) -> Event {
    // A touched file is proof of life as good as a replaced one.
    let touched =
        Timestamp::from_unix(i64::try_from(stat.mtime_ns.div_euclid(1_000_000_000)).unwrap_or_default());
    let age = touched.age(now.wall);
    let touched =
        Mono::from_millis(now.mono.as_millis().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0)));
    Event::Beat {
        id: id.clone(),
        incarnation: state.incarnation,
        ready: state.ready_at.is_some(),
        progress_at: state.progress_at.max(touched.min(now.mono)),
        busy_until: state.busy_until,
        paused: state.paused,
        doing: state.current_task.clone(),
        at: state.last_activity,
    }
}

/// Memory of those that have a limit. Who is adopted under another rule than it was started with is judged by the new one.
pub(super) fn grown(table: &Table, fleet: &Fleet) -> Vec<Event> {
    let limited = table.iter().filter(|(id, _)| fleet.get(id).is_some_and(|i| i.spec.max_rss.is_some()));
    let measured = limited.filter_map(|(id, leader)| {
        let bytes = process::resident(leader.face().pid)?;
        Some(Event::Grown { id: id.clone(), incarnation: leader.incarnation, bytes })
    });
    measured.collect()
}

/// Leaders that somebody stopped by a signal, or continued, since the last look.
pub(super) fn frozen(table: &mut Table) -> Vec<Event> {
    let mut events = Vec::new();
    for (id, leader) in table.iter_mut() {
        let Some(stat) = process::stat(leader.face().pid) else { continue };
        if stat.is_stopped() != leader.frozen {
            leader.frozen = stat.is_stopped();
            events.push(Event::Frozen { id: id.clone(), frozen: leader.frozen });
        }
    }
    events
}
