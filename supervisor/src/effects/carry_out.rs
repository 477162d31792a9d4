//! Carrying out what the mind asks for.
//!
//! What concerns processes happens at once and its answer goes back to the mind in the same pass; what concerns the disk is
//! only put down here and written at the end of the pass.

use std::time::Duration;

use tachi_shared::clock::Now;
use tachi_shared::command::Reply;
use tachi_shared::event;
use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::os::signal;

use super::run_loop::Supervisor;
use crate::fleet::{self, Action, Event};

/// How long the first start waits for the registry's lock; it goes on without it.
const ROWS_WAIT: Duration = Duration::from_millis(20);

impl Supervisor {
    /// Carries out one action.
    pub(super) fn carry_out(&mut self, action: Action, now: Now) {
        match action {
            Action::Spawn { id, incarnation } => self.spawn(id, incarnation, now),
            Action::Signal { id, signal } => self.signal(&id, signal, now),
            Action::KillTree { id, incarnation } => self.trees.empty(id, incarnation),
            Action::Ring { id } => self.later.control.push(id),
            Action::ReleaseTasks { id, incarnation, reason } => self.journal.release(id, incarnation, reason),
            Action::Announce { id, text } => self.journal.announce(&id, &text, now),
            Action::Record(event) => self.record(*event),
            Action::SaveRegistry => {
                self.registry.ask();
                self.later.rows = true;
            }
            Action::Reply { command, ok, code, message, details } => {
                self.later.replies.push(Reply { id: command, ok, code, message, details, at: now.wall });
            }
            Action::LatchStop(text) => {
                let done = self.doors.latch(&text);
                self.trouble("stop-latched", done, now);
            }
            Action::ClearStop => {
                let done = self.doors.clear();
                self.trouble("stop-cleared", done, now);
            }
            Action::Reread { command, dry_run } => self.reread.begin(command, dry_run),
            Action::WakeAt(at) => self.wake_at = Some(at),
            Action::Exit(code) => self.exit = Some(code),
        }
    }

    /// Puts an event down and shows it.
    pub(super) fn record(&mut self, event: event::Event) {
        self.screen.event(&event);
        self.later.log.push(log_line(&event));
        self.journal.record(event);
    }

    /// Records that something of ours could not be done.
    pub(super) fn trouble(&mut self, kind: &str, done: tachi_shared::Result<()>, now: Now) {
        if let Err(error) = done {
            self.record(event::Event::new(now.wall, kind, format!("could not be done: {error}")));
        }
    }

    fn spawn(&mut self, id: InstanceId, incarnation: Incarnation, now: Now) {
        // Who starts looks at once who else belongs to the team; the first ones would see nobody and do everybody's work. If
        // all have just died together, the rows still show them, and nothing stands before the first start.
        if self.table.iter().next().is_none() && !self.registry.shows(&fleet::rows(&self.fleet, now)) {
            self.registry.ask();
            self.save_rows(now, ROWS_WAIT);
        }
        let Some(spec) = self.fleet.get(&id).map(|instance| &instance.spec) else {
            let error = "it is not in the fleet".to_owned();
            self.events.push_back(Event::SpawnFailed { id, incarnation, error, machine_full: false });
            return;
        };
        match self.launcher.spawn(spec, incarnation) {
            Err(failure) => self.events.push_back(Event::SpawnFailed {
                id,
                incarnation,
                error: failure.error,
                machine_full: failure.machine_full,
            }),
            Ok(leader) => {
                let process = leader.process.clone();
                self.trees.led(&id, incarnation, &process, false);
                match self.table.insert(id.clone(), leader, &self.poll) {
                    Ok(()) => self.events.push_back(Event::Spawned { id, incarnation, process }),
                    // It could not be waited for: it was not taken in, and its tree ends before the next try.
                    Err(error) => {
                        self.trees.abandon(&process);
                        self.events.push_back(Event::SpawnFailed {
                            id,
                            incarnation,
                            error: error.to_string(),
                            machine_full: true,
                        });
                    }
                }
            }
        }
    }

    fn signal(&mut self, id: &InstanceId, number: i32, now: Now) {
        let Some(leader) = self.table.get_mut(id) else { return };
        let incarnation = leader.incarnation;
        if let Err(error) = leader.signal(number) {
            let text = format!("{} could not be sent to {id}: {error}", signal::name(number));
            self.record(event::Event::new(now.wall, "signal-trouble", text).of(id, incarnation));
        }
    }

    /// Rings those whose rows have changed, after the rows were written.
    pub(super) fn ring_control(&mut self) {
        let mut ids = std::mem::take(&mut self.later.control);
        ids.sort();
        ids.dedup();
        for id in ids {
            ring(&self.dir.doorbell(&id), Ring::Control);
        }
    }

    /// Rings everybody.
    pub(super) fn ring_all(&self, why: Ring) {
        for (id, _) in self.table.iter() {
            ring(&self.dir.doorbell(id), why);
        }
    }
}

/// One event as a line of our own log.
fn log_line(event: &event::Event) -> String {
    let who = event.instance.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
    format!("{} {} {who}{}", event.timestamp, event.kind, event.text)
}
