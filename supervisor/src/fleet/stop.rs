//! Stopping: by request, by latch, by leaving — and killing what does not end.
//!
//! The wish is asked to be on disk before the first signal. A stop asks (stop signal, then CONT for those who are frozen),
//! waits for the grace, kills the tree, and is over only when the tree is empty.

use std::time::Duration;

use nix::libc::SIGCONT;
use tachi_shared::clock::Mono;
use tachi_shared::id::InstanceId;

use super::action::Action;
use super::next::Step;
use super::phase::{Phase, Rest, StopCause, Stopping};
use super::state::Ending;
use super::words::seconds;

/// How long a KILL may stay without effect before it is asked for again.
pub(super) const KILL_AGAIN: Duration = Duration::from_secs(1);

impl Step<'_> {
    /// Brings one instance down; what follows is decided when its tree is empty.
    pub(super) fn stop_one(&mut self, id: &InstanceId, cause: StopCause) {
        let now = self.now.mono;
        if self.put_off(id, cause) {
            return;
        }
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        match &mut instance.phase {
            Phase::Spawning { .. } | Phase::Alive(_) => {
                let kill_at = now.after(instance.spec.grace);
                let asked = instance.process().is_some();
                self.begin_stop(id, cause, kill_at, false);
                if asked {
                    self.ask_to_end(id);
                }
            }
            Phase::Stopping(stopping) => {
                stopping.cause = cause;
                self.moved(id);
            }
            Phase::Emptying(_) => self.moved(id),
            Phase::Failed { .. } | Phase::Down(_) if cause != StopCause::Requested => {}
            Phase::Waiting(_) if matches!(cause, StopCause::Restart | StopCause::Needs) => {}
            Phase::Backoff { .. } | Phase::Held { .. } if cause == StopCause::Needs => self.start(id),
            Phase::Down(_)
            | Phase::Failed { .. }
            | Phase::Backoff { .. }
            | Phase::Held { .. }
            | Phase::Waiting(_) => {
                self.enter(id, Phase::Down(rest_for(cause)));
            }
        }
    }

    fn begin_stop(&mut self, id: &InstanceId, cause: StopCause, kill_at: Mono, killed: bool) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let (process, since, ready_at) = match &instance.phase {
            Phase::Spawning { since } => (None, *since, None),
            Phase::Alive(alive) => (Some(alive.process.clone()), alive.since, alive.ready_at),
            _ => return,
        };
        self.enter(
            id,
            Phase::Stopping(Stopping { process, since, ready_at, cause, kill_at, killed, forgiven: false }),
        );
    }

    /// The stop signal, and CONT behind it: a frozen process would never see it.
    pub(super) fn ask_to_end(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let stop_signal = instance.spec.stop_signal;
        self.save_first();
        for signal in [stop_signal, SIGCONT] {
            self.first.push(Action::Signal { id: id.clone(), signal });
        }
    }

    /// Kills the tree of a living instance now.
    pub(super) fn kill_now(&mut self, id: &InstanceId, cause: StopCause) {
        let again = self.now.mono.after(KILL_AGAIN);
        self.begin_stop(id, cause, again, true);
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        if let Phase::Stopping(stopping) = &mut instance.phase {
            stopping.killed = true;
            stopping.kill_at = again;
        }
        if instance.occupied() {
            let incarnation = instance.incarnation;
            self.first.push(Action::KillTree { id: id.clone(), incarnation });
            self.moved(id);
        }
    }

    /// The grace is over, or a kill had no effect yet.
    pub(super) fn kill_overdue(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let Phase::Stopping(Stopping { cause, killed, .. }) = instance.phase else { return };
        if !killed {
            let grace = seconds(instance.spec.grace);
            self.note_of(id, "killed", format!("{id} did not end within {grace}"));
        }
        self.kill_now(id, cause);
    }

    /// The stop file is there: everything ends, the supervisor stays.
    pub(super) fn latch(&mut self, text: String) {
        let text = if text.trim().is_empty() { "no reason given".to_owned() } else { text.trim().to_owned() };
        let before = self.fleet.latch.replace(text.clone());
        if before.is_some() {
            return;
        }
        self.note("stop-latched", format!("stop is latched: {text}"));
        for id in self.fleet.order.clone() {
            self.stop_one(&id, StopCause::Latch);
        }
    }

    /// The stop file is gone: who was held down by it starts.
    pub(super) fn unlatch(&mut self) {
        if self.fleet.latch.take().is_none() {
            return;
        }
        self.note("stop-cleared", "stop is cleared");
        for id in self.fleet.order.clone() {
            let held = self.fleet.get(&id).is_some_and(|i| i.phase == Phase::Down(Rest::Latched));
            if held {
                self.start(&id);
            }
        }
    }

    /// First a request to everybody, then a kill.
    pub(super) fn terminate(&mut self, why: &str) {
        let ids = self.fleet.order.clone();
        if self.fleet.ending == Ending::No {
            self.fleet.ending = Ending::Asked;
            self.note("supervisor-stopping", format!("asked to leave ({why}); everybody ends"));
            for id in ids {
                self.stop_one(&id, StopCause::Down);
            }
            return;
        }
        self.fleet.ending = Ending::Killing;
        self.note("supervisor-stopping", format!("asked again ({why}); everybody is killed"));
        for id in ids {
            self.kill_now(&id, StopCause::Down);
        }
    }
}

fn rest_for(cause: StopCause) -> Rest {
    match cause {
        StopCause::Down => Rest::Ending,
        StopCause::Latch => Rest::Latched,
        _ => Rest::Requested,
    }
}
