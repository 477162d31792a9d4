//! Makes the process an instance: signals, session, directory, alive lock, predecessor's file — then runs the loop.
//!
//! Done here, after exec, and not between fork and exec: see DESIGN §4.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use tachi_shared::clock;
use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::instance::{ExitRecord, InstanceState};
use tachi_shared::os::{AliveLock, limits, process};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use super::hands::Hands;
use super::run_loop::Runner;
use super::senses::Senses;
use crate::backend::builtin::{Peer, Site};
use crate::error::{EXIT_FAILED, Error, Result};
use crate::settings::Settings;
use crate::turn::{Guard, Identity, Turn};

/// Runs one instance until it leaves; returns its exit code.
///
/// Under a supervisor it leads a session of its own, so that the terminal's signals reach the supervisor only; run by hand it
/// does not, because Ctrl-C must reach it. Either way nothing it starts gets lost: it is the reaper of its children.
///
/// # Errors
/// [`Error::Usage`] and [`Error::State`] before anything is begun, [`Error::Held`] if the instance runs already, others when the
/// loop cannot go on.
pub fn run(settings: Settings, cwd: &Path) -> Result<u8> {
    let signals = take_signals()?;
    if settings.incarnation.is_some() {
        // Fails only for who leads a session already.
        let _leader_already = rustix::process::setsid();
        for words in limits::take_over() {
            // Standard error is the log; nothing can be done if that fails too.
            let _ = writeln!(std::io::stderr(), "tachi-worker: {words}");
        }
    }
    prctl::set_child_subreaper(true)
        .map_err(|error| Error::system("become the reaper of own children", error))?;
    check_workspace(&settings.workspace)?;
    let root = settings.state.clone().unwrap_or_else(|| Store::find(cwd));
    let store = Store::create(&root).map_err(Error::State)?;
    let store = match settings.durability {
        Some(durability) => store.with_durability(durability),
        None => store,
    };
    let _alive = take_alive(&store, &settings.id)?;
    let (predecessor, damaged) = load(&store, &settings.id)?;
    let who = identify(&settings, &store, predecessor.as_ref());
    let outcome = live(settings, &store, &signals, who.clone(), (predecessor, damaged));
    if let Err(error) = &outcome {
        last_words(&store, &who, error);
    }
    outcome
}

fn live(
    settings: Settings,
    store: &Store,
    signals: &SigSet,
    who: Identity,
    (predecessor, damaged): (Option<InstanceState>, Option<String>),
) -> Result<u8> {
    let senses = Senses::open(signals, store, &settings)?;
    let guard = if settings.incarnation.is_none() { Guard::Alone } else { Guard::Supervised };
    let turn = Turn::new(who, predecessor, guard, settings.orphan, clock::now());
    let site = Site {
        workspace: settings.workspace.clone(),
        state: store.dir().root().to_owned(),
        artifacts: store.dir().artifacts(),
    };
    let hands = Hands::new(settings, store.clone(), senses);
    Runner::new(hands, turn, site, store.tasks()).run(damaged)
}

/// A clean mask with only the signals that ask to leave, which are read from a descriptor.
fn take_signals() -> Result<SigSet> {
    let signals: SigSet =
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    signals.thread_set_mask().map_err(|error| Error::system("set the signal mask", error))?;
    Ok(signals)
}

fn check_workspace(workspace: &Path) -> Result<()> {
    match std::fs::metadata(workspace) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(unusable(workspace, "is not a directory")),
        Err(error) => Err(unusable(workspace, &format!("cannot be used: {error}"))),
    }
}

fn unusable(workspace: &Path, why: &str) -> Error {
    Error::usage(
        format!("the workspace {} {why}", PathBuf::from(workspace).display()),
        "choose an existing directory with --workspace",
    )
}

fn take_alive(store: &Store, id: &InstanceId) -> Result<AliveLock> {
    AliveLock::take(&store.dir().alive(id)).map_err(|error| match error {
        tachi_shared::Error::Held { holder, .. } => Error::Held { id: id.to_string(), holder },
        other => Error::State(other),
    })
}

/// What the predecessor left, and why its file had to be set aside if it had.
fn load(store: &Store, id: &InstanceId) -> Result<(Option<InstanceState>, Option<String>)> {
    Ok(match store.instance(id).load()? {
        Loaded::Good(state) => (Some(state), None),
        Loaded::Missing => (None, None),
        Loaded::Fallback(state, why) => (Some(state), Some(why)),
    })
}

/// The supervisor numbers its starts; by hand it is one more than anything known.
fn identify(settings: &Settings, store: &Store, predecessor: Option<&InstanceState>) -> Identity {
    let incarnation = settings.incarnation.unwrap_or_else(|| {
        let own = predecessor.map_or(Incarnation(0), |state| state.incarnation);
        let row = match store.registry().load() {
            Ok(Loaded::Good(registry) | Loaded::Fallback(registry, _)) => {
                registry.row(&settings.id).map_or(Incarnation(0), |row| row.incarnation)
            }
            _ => Incarnation(0),
        };
        own.max(row).next()
    });
    let me = Peer { id: settings.id.clone(), role: settings.role.clone() };
    Identity { me, incarnation, pid: std::process::id(), boot_id: process::boot_id() }
}

/// Leaves a trace of an end that was not in order; best effort, the error itself goes to the caller.
fn last_words(store: &Store, who: &Identity, error: &Error) {
    let record = ExitRecord {
        instance_id: who.me.id.clone(),
        incarnation: who.incarnation,
        pid: who.pid,
        at: clock::now().wall,
        code: Some(i32::from(EXIT_FAILED)),
        signal: None,
        reason: format!("error: {error}"),
        last_line: None,
    };
    let _best_effort = store.instance(&who.me.id).write_exit_record(&record);
}
