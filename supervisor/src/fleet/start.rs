//! Starting, becoming ready, living: spawn and its answer, beats, SIGSTOP from outside.
//!
//! [`Step::start`] is the only place that asks for a spawn, and refuses while anything of the instance may live, the stop
//! latch is set, or the supervisor leaves.

use tachi_shared::clock::{Mono, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef};
use tachi_shared::registry::{Death, DeathKind, Desired, Kind};

use super::action::Action;
use super::next::{REFRESH, REFRESH_IDLE, Step};
use super::phase::{After, Alive, Cause, Emptying, Mode, Phase, Rest};
use super::state::Instance;
use super::words::describe;
use nix::libc::{SIGCONT, SIGSTOP};

/// What an instance's own file says now.
pub(super) struct Beat {
    pub(super) ready: bool,
    pub(super) progress_at: Mono,
    pub(super) busy_until: Option<Mono>,
    pub(super) paused: bool,
    pub(super) doing: String,
    pub(super) at: Timestamp,
}

impl Step<'_> {
    /// Starts the next incarnation, or rests where starting is not allowed.
    pub(super) fn start(&mut self, id: &InstanceId) {
        let (latched, ending, now) = (self.fleet.latched(), self.fleet.ending(), self.now.mono);
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        if instance.occupied() {
            return;
        }
        if ending || latched {
            let rest = if ending { Rest::Ending } else { Rest::Latched };
            return self.enter(id, Phase::Down(rest));
        }
        if let Some(spec) = instance.next_spec.take() {
            instance.spec = *spec;
        }
        if let Some(wait) = self.fleet.wait_of(id) {
            return self.enter(id, Phase::Waiting(wait));
        }
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        instance.incarnation = instance.incarnation.next();
        instance.started_at = Some(self.now.wall);
        instance.doing = None;
        let incarnation = instance.incarnation;
        self.first.push(Action::Spawn { id: id.clone(), incarnation });
        self.enter(id, Phase::Spawning { since: now });
    }

    /// Starts the next incarnation in place of one that died.
    pub(super) fn replace(&mut self, id: &InstanceId) {
        self.start(id);
        match self.fleet.instances.get_mut(id) {
            Some(Instance { phase: Phase::Spawning { .. }, restarts, .. }) => *restarts += 1,
            Some(Instance { phase: Phase::Waiting(wait), .. }) => wait.again = true,
            _ => {}
        }
    }

    pub(super) fn spawned(&mut self, id: &InstanceId, incarnation: Incarnation, process: ProcessRef) {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        if instance.incarnation != incarnation {
            return;
        }
        let pid = process.pid;
        match &mut instance.phase {
            Phase::Spawning { .. } => self.enter(id, Phase::Alive(Alive::new(process, now))),
            Phase::Stopping(stopping) if stopping.process.is_none() => {
                stopping.process = Some(process);
                let killed = stopping.killed;
                self.moved(id);
                if killed {
                    self.first.push(Action::KillTree { id: id.clone(), incarnation });
                } else {
                    self.ask_to_end(id);
                }
            }
            _ => return,
        }
        let event = self.event_of(id, "started", format!("{id} started as pid {pid}")).with("pid", pid);
        self.told.push(Action::Record(Box::new(event)));
    }

    pub(super) fn spawn_failed(
        &mut self,
        id: &InstanceId,
        incarnation: Incarnation,
        error: String,
        machine_full: bool,
    ) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let cause = match &instance.phase {
            _ if instance.incarnation != incarnation => return,
            Phase::Spawning { .. } => Cause::Spawn,
            Phase::Stopping(stopping) if stopping.process.is_none() => Cause::Stop(stopping.cause),
            _ => return,
        };
        let death = Death {
            at: self.now.wall,
            kind: DeathKind::SpawnError,
            code: None,
            signal: None,
            cause: cause.word().to_owned(),
            uptime_s: 0.0,
            last_line: Some(error),
        };
        let words = describe(&death);
        self.record_death(id, death);
        let after = match cause {
            Cause::Stop(_) => After::Start,
            _ if machine_full => self.after_obstacle(id, format!("this machine is full: {words}")),
            _ => self.after_crash(id, std::time::Duration::ZERO, false, &words),
        };
        let emptying = Emptying { cause, after, again_at: self.now.mono };
        self.enter(id, Phase::Emptying(emptying));
        self.tree_empty(id, incarnation);
    }

    pub(super) fn beat(&mut self, id: &InstanceId, incarnation: Incarnation, beat: Beat) {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        if instance.incarnation != incarnation || !instance.occupied() {
            return;
        }
        let doing = instance.doing.as_deref() != Some(&beat.doing);
        if doing || instance.last_heartbeat != Some(beat.at) {
            instance.doing = Some(beat.doing);
            instance.last_heartbeat = Some(beat.at);
            // That somebody idle still lives is no news worth a write every few seconds.
            let soon = if doing { REFRESH } else { REFRESH_IDLE };
            self.fleet.stale = Some(self.fleet.stale.map_or(soon, |stale| stale.min(soon)));
        }
        let Phase::Alive(alive) = &mut instance.phase else { return };
        let before = (alive.ready_at.is_some(), alive.paused, alive.mode);
        alive.ready_at = alive.ready_at.or_else(|| beat.ready.then_some(now));
        alive.paused = beat.paused;
        alive.busy_until = beat.busy_until;
        let progress = beat.progress_at.min(now);
        if progress > alive.heard {
            alive.heard = progress;
            if alive.mode == Mode::Stalled {
                alive.mode = Mode::Working;
            }
        }
        let after = (alive.ready_at.is_some(), alive.paused, alive.mode);
        if before != after {
            self.moved(id);
        }
        if before.2 != after.2 {
            self.note_of(id, "recovered", format!("{id} makes progress again"));
        }
        if !before.0 && after.0 {
            self.became_ready(id);
        }
    }

    fn became_ready(&mut self, id: &InstanceId) {
        self.note_of(id, "ready", format!("{id} is ready"));
        if self.fleet.instances.get(id).is_some_and(|instance| instance.desired == Desired::Paused) {
            self.tell_pause(id);
        }
    }

    /// Makes a living instance idle: a worker reads its row, a command is stopped by signal.
    pub(super) fn tell_pause(&mut self, id: &InstanceId) {
        self.tell(id, SIGSTOP);
    }

    /// Lets a living instance go on.
    pub(super) fn tell_resume(&mut self, id: &InstanceId) {
        if self.fleet.instances.get(id).is_some_and(|instance| {
            matches!(&instance.phase, Phase::Alive(alive) if alive.mode == Mode::Frozen)
                && instance.spec.kind == Kind::Worker
        }) {
            self.first.push(Action::Signal { id: id.clone(), signal: SIGCONT });
        }
        self.tell(id, SIGCONT);
    }

    fn tell(&mut self, id: &InstanceId, signal: i32) {
        let Some(instance) = self.fleet.instances.get(id) else { return };
        let (kind, alive) = (instance.spec.kind, matches!(instance.phase, Phase::Alive(_)));
        self.moved(id);
        match kind {
            _ if !alive => {}
            Kind::Worker => self.last.push(Action::Ring { id: id.clone() }),
            Kind::Command => {
                self.save_first();
                self.first.push(Action::Signal { id: id.clone(), signal });
            }
        }
    }

    pub(super) fn frozen(&mut self, id: &InstanceId, frozen: bool) {
        let now = self.now.mono;
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        let Phase::Alive(alive) = &mut instance.phase else { return };
        if (alive.mode == Mode::Frozen) == frozen {
            return;
        }
        alive.mode = if frozen { Mode::Frozen } else { Mode::Working };
        alive.heard = alive.heard.max(now);
        self.moved(id);
        let text = if frozen { format!("{id} was stopped by a signal") } else { format!("{id} goes on") };
        self.note_of(id, if frozen { "frozen" } else { "thawed" }, text);
    }
}
