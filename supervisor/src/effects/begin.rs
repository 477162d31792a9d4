//! Taking a state directory: the lock first, then everything a supervisor needs, then what an earlier one left.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getpid, getrlimit, set_child_subreaper, setrlimit};
use rustix::termios::isatty;
use serde_json::Map;
use tachi_shared::clock::{self, Mono, Now};
use tachi_shared::event;
use tachi_shared::id::Incarnation;
use tachi_shared::os::doorbell::{Doorbell, Ring};
use tachi_shared::os::{AliveLock, Disk, filesystem, process};
use tachi_shared::registry::{Desired, Registry, Row, Status, SupervisorRow};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::adopt;
use super::beat::Beats;
use super::door::{self, Doors};
use super::home::Home;
use super::house::House;
use super::journal::Journal;
use super::notify::Notify;
use super::poll::{DOORBELL, HINTS, Poll, REREAD, SIGNALS, wake_up};
use super::reap::OomCounter;
use super::registry_writer::RegistryWriter;
use super::reread::{Reread, Settle};
use super::retired;
use super::rotate::{Rotated, SIZE};
use super::run_loop::{Later, Supervisor};
use super::screen::Screen;
use super::signals;
use super::spawn::Launcher;
use super::table::Table;
use super::tree::{self, Trees};
use crate::error::{Error, Result};
use crate::fleet::{Event, Fleet};
use crate::settings::Settings;

/// Patience with the registry's lock before the first row: a frozen holder is continued meanwhile by nobody.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The house, its doors, and why nobody watches them.
fn house_with_doors(
    store: &Store,
    incarnation: Incarnation,
    network: Option<&str>,
) -> Result<(House, Doors, Option<String>)> {
    let wake = Arc::new(wake_up()?);
    let said = Arc::clone(&wake);
    let house = House::new(store, move || door::ring(&said));
    let (doors, no_watch) = Doors::open(store, incarnation, network, wake, house.hinter());
    Ok((house, doors, no_watch))
}

/// Takes the directory and gets everything ready for the first pass of the loop.
pub(super) fn begin(settings: &Settings, mut screen: Screen, settle: Settle) -> Result<Supervisor> {
    let network = filesystem::network_of(&settings.state);
    refuse_network(network, settings)?;
    let store = Store::create(&settings.state)?;
    // The mark in the environment is compared as text, so the directory needs one spelling.
    let root = std::fs::canonicalize(store.dir().root())
        .map_err(|e| Error::system("resolve the state directory", e))?;
    let store = Store::open(&root)?;
    let dir = store.dir().clone();
    let alive = AliveLock::take(&dir.supervisor_alive())?;
    settings.limits.save(&Disk, &dir)?;
    let store = Store::open(&root)?;
    let signals = signals::supervisor()?;
    set_child_subreaper(Some(getpid())).map_err(|e| Error::system("become a subreaper", e.into()))?;
    let open_files = raise_open_files();
    let now = clock::now();
    let loaded = store.registry().load()?;
    let known = match &loaded {
        Loaded::Good(registry) | Loaded::Fallback(registry, _) => Some(registry.clone()),
        Loaded::Missing => None,
    };
    let row = supervisor_row(known.as_ref(), settings, now);
    let incarnation = row.incarnation;
    let (house, doors, no_watch) = house_with_doors(&store, incarnation, network)?;
    let poll = Poll::new()?;
    let doorbell = Doorbell::open(&dir.supervisor_doorbell())?;
    poll.add(&signals, SIGNALS)?;
    poll.add(&doorbell, DOORBELL)?;
    poll.add(doors.wake(), HINTS)?;
    let reread = Reread::new(settle)?;
    poll.add(reread.wake(), REREAD)?;
    screen.begin();
    screen.note(greeting(settings, &root));
    let mut supervisor = Supervisor {
        fleet: Fleet::new(settings).with_retired(retired::remembered(&row)),
        table: Table::new(),
        trees: Trees::new(&root),
        launcher: Launcher::new(settings, &dir, open_files)?,
        poll,
        signals,
        doorbell,
        doors,
        beats: Beats::new(),
        oom: OomCounter::new(),
        registry: RegistryWriter::new(&store, row, known),
        journal: Journal::new(&store, incarnation),
        house,
        reread,
        notify: Notify::open(),
        screen,
        own_log: Rotated::open(&dir.supervisor_log(), SIZE),
        events: VecDeque::new(),
        later: Later::default(),
        wake_at: None,
        tick_at: Mono::ZERO,
        in_terminal: isatty(std::io::stdin()) || isatty(std::io::stdout()) || isatty(std::io::stderr()),
        exit: None,
        home: Home::new(alive),
        store,
        dir,
    };
    if let Some(text) = no_watch {
        supervisor.record(event::Event::new(now.wall, "watch-trouble", text));
    }
    supervisor.take_over(settings, loaded, now)?;
    Ok(supervisor)
}

/// The first line of a run.
fn greeting(settings: &Settings, root: &Path) -> String {
    format!(
        "tachi: supervisor {} runs {} instances on {}, state in {}",
        std::process::id(),
        settings.specs.len(),
        settings.workspace.display(),
        root.display()
    )
}

/// Locks and wake-ups reach no other machine, so two supervisors could hold one directory.
fn refuse_network(network: Option<&str>, settings: &Settings) -> Result<()> {
    let Some(name) = network.filter(|_| !settings.allow_network_fs) else { return Ok(()) };
    Err(Error::usage(
        format!("the state directory {} is on a network file system ({name})", settings.state.display()),
        "choose a local directory with --state, or use --allow-network-fs if no other machine uses this one",
    ))
}

impl Supervisor {
    /// Adopts what lives, ends what is left over, and tells the mind.
    fn take_over(&mut self, settings: &Settings, loaded: Loaded<Registry>, now: Now) -> Result<()> {
        let found = adopt::look(&self.store, settings, loaded)?;
        for text in found.troubles {
            self.record(event::Event::new(now.wall, "rejected", text));
        }
        let mut alive = Vec::new();
        for (id, leader) in found.leaders {
            self.trees.led(&id, leader.incarnation, &leader.process, true);
            alive.push((id.clone(), leader.incarnation, leader.process.clone()));
            self.table.insert(id, leader, &self.poll)?;
        }
        for (mark, process) in tree::sweep(self.dir.root(), &self.table) {
            let text = format!("{} left pid {} behind; it was killed", mark.id, process.pid);
            self.record(event::Event::new(now.wall, "stray", text).of(&mark.id, mark.incarnation));
        }
        // Who sees our row in the registry sees the stop file as it holds from now on.
        let latched = self.settle_stop_file(settings, now);
        let rows = as_they_are(&found.rows, &self.table, latched);
        // Written before anything starts: instances look up here who supervises them.
        self.registry.ask();
        self.registry.flush(|| rows, now.mono, FIRST_WAIT);
        self.ring_all(Ring::Control);
        self.events.push_back(Event::Began { rows: found.rows, alive, boot_id: process::boot_id(), latched });
        Ok(())
    }

    /// An interactive `up` clears the stop file; a service keeps it. Says whether it holds.
    fn settle_stop_file(&mut self, settings: &Settings, now: Now) -> bool {
        if !self.doors.is_stopped() || settings.keep_stop {
            return self.doors.is_stopped();
        }
        let done = self.doors.clear();
        let cleared = done.is_ok();
        self.trouble("stop-cleared", done, now);
        if cleared {
            self.record(event::Event::new(now.wall, "stop-cleared", "the stop file was removed by `up`"));
        }
        false
    }
}

/// The rows for the first write: who is gone has no pid and is not called ready, whatever the last supervisor wrote; and
/// who is about to be tried again is not called given up or held down, or a waiting `up --detach` would take it as our word.
fn as_they_are(rows: &[Row], table: &Table, latched: bool) -> Vec<Row> {
    let mut rows = rows.to_vec();
    for row in rows.iter_mut().filter(|row| table.get(&row.instance_id).is_none()) {
        let at_rest = matches!(row.status, Status::Failed | Status::Stopped);
        if row.pid.is_some() || (at_rest && row.desired == Desired::Running && !latched) {
            row.pid = None;
            row.pid_start = None;
            row.status = Status::Lost;
        }
    }
    rows
}

fn supervisor_row(known: Option<&Registry>, settings: &Settings, now: Now) -> SupervisorRow {
    let old = known.and_then(|registry| registry.supervisor.as_ref());
    let ours = process::current();
    SupervisorRow {
        pid: Some(ours.pid),
        pid_start: Some(ours.pid_start),
        boot_id: ours.boot_id,
        incarnation: old.map_or(Incarnation(1), |old| old.incarnation.next()),
        started_at: now.wall,
        workspace: Some(settings.workspace.display().to_string()),
        containment: "subreaper".to_owned(),
        extra: old.map_or_else(Map::new, |old| old.extra.clone()),
    }
}

/// A thousand instances need more descriptors than a shell gives; returns what children get back.
fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return None;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).ok().and(limit.current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: &str, desired: &str) -> Row {
        serde_json::from_value(serde_json::json!({
            "instance_id": "a", "role": "builder", "pid": null, "incarnation": 1, "status": status,
            "desired": desired, "restarts": 0, "backend": "builtin"
        }))
        .unwrap()
    }

    #[test]
    fn m03_what_is_about_to_be_tried_again_is_not_written_as_given_up_or_held_down() {
        let told = |status, desired, latched| {
            as_they_are(&[row(status, desired)], &Table::new(), latched).remove(0).status
        };
        assert_eq!(told("failed", "running", false), Status::Lost);
        assert_eq!(told("stopped", "running", false), Status::Lost);
        assert_eq!(told("stopped", "running", true), Status::Stopped);
        assert_eq!(told("stopped", "stopped", false), Status::Stopped);
    }
}
