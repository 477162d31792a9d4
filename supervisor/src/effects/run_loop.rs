//! The one loop of the supervisor: sleep, collect what happened, think, act, write down.
//!
//! The order inside a pass is the point: deaths are reaped, the mind is asked, replacements are started — and only then is
//! anything written. Every sleep has a reason to end: a descriptor, the mind's deadline, the slow tick, or a retry.

use std::collections::VecDeque;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use tachi_shared::clock::{self, Mono, Now};
use tachi_shared::command::Reply;
use tachi_shared::event;
use tachi_shared::id::InstanceId;
use tachi_shared::layout::StateDir;
use tachi_shared::os::doorbell::{Doorbell, Ring};
use tachi_shared::store::Store;

use super::beat::{self, Beats};
use super::door::{self, Doors};
use super::home::Home;
use super::house::House;
use super::journal::Journal;
use super::notify::Notify;
use super::poll::{DOORBELL, HINTS, Poll, REREAD, SIGNALS, Token};
use super::reap::{self, OomCounter};
use super::registry_writer::{Looked, RegistryWriter};
use super::reread::{Reread, Settle};
use super::rotate::Rotated;
use super::screen::Screen;
use super::signals;
use super::spawn::Launcher;
use super::table::Table;
use super::thaw;
use super::tree::Trees;
use crate::error::{Result, exit};
use crate::fleet::{self, Event, Fleet};
use crate::settings::Settings;

/// A lock that cannot be had for this long may have a frozen holder.
const STUCK: Duration = Duration::from_secs(2);
/// No signal tells that a frozen instance which is not our child goes on: it is looked at this often.
const THAWED_WITHIN: Duration = Duration::from_secs(1);
/// Who asked for something finds it in the registry when the answer comes, unless writing fails for this long.
const REPLY_ANYWAY: Duration = Duration::from_millis(500);
/// Thoughts in one pass; then it is looked whether anything else happened.
const THOUGHTS: usize = 2_000;
/// Patience with each lock when leaving.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs a fleet until it is told to end; returns the exit code. `settle` settles the settings once more.
///
/// Must be called on the main thread of a process that has no other thread yet: signals are blocked here for all.
///
/// # Errors
/// [`crate::Error::Store`] when the directory cannot be used or is held by another supervisor, [`crate::Error::System`]
/// when the system refuses what a supervisor needs.
pub fn supervise(settings: Settings, screen: Screen, settle: Settle) -> Result<u8> {
    let mut supervisor = super::begin::begin(&settings, screen, settle)?;
    drop(settings);
    let code = supervisor.run()?;
    supervisor.leave();
    Ok(if supervisor.home.is_anothers() { exit::FAILED } else { code })
}

/// What is written at the end of a pass.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// Instances to ring once their rows are written.
    pub(super) control: Vec<InstanceId>,
    /// Answers to commands.
    pub(super) replies: Vec<Reply>,
    /// Lines for our own log.
    pub(super) log: Vec<String>,
    /// Whether the rows changed.
    pub(super) rows: bool,
}

/// Everything the loop works with.
pub(super) struct Supervisor {
    pub(super) store: Store,
    pub(super) dir: StateDir,
    pub(super) fleet: Fleet,
    pub(super) table: Table,
    pub(super) trees: Trees,
    pub(super) launcher: Launcher,
    pub(super) poll: Poll,
    pub(super) signals: SignalFd,
    pub(super) doorbell: Doorbell,
    pub(super) doors: Doors,
    pub(super) beats: Beats,
    pub(super) oom: OomCounter,
    pub(super) registry: RegistryWriter,
    pub(super) journal: Journal,
    pub(super) house: House,
    pub(super) reread: Reread,
    pub(super) notify: Notify,
    pub(super) screen: Screen,
    pub(super) own_log: Rotated,
    pub(super) events: VecDeque<Event>,
    pub(super) later: Later,
    pub(super) wake_at: Option<Mono>,
    pub(super) tick_at: Mono,
    pub(super) in_terminal: bool,
    pub(super) exit: Option<u8>,
    /// Our hold on the directory, kept for life.
    pub(super) home: Home,
}

impl Supervisor {
    fn run(&mut self) -> Result<u8> {
        loop {
            let ready = self.sleep()?;
            let now = clock::now();
            self.collect(&ready, now);
            self.think(now);
            self.write_down(clock::now());
            self.notify.round(now.mono, self.fleet.ending(), || fleet::readiness(&self.fleet));
            if let Some(code) = self.exit {
                return Ok(code);
            }
        }
    }

    /// Waits for the next thing; what is not thought through yet leaves only time for a look.
    fn sleep(&self) -> Result<Vec<Token>> {
        if !self.events.is_empty() {
            return self.poll.wait(Some(Duration::ZERO));
        }
        let now = clock::now().mono;
        let tick =
            (!self.table.is_empty() || self.doors.tick() < Duration::from_secs(5)).then_some(self.tick_at);
        let due = [
            tick,
            self.wake_at,
            self.trees.again(),
            self.beats.due(),
            self.registry.due(),
            self.registry.doubt(),
            self.journal.due(),
            self.notify.due(),
        ];
        // Rounded up: a deadline must have passed when we wake for it.
        let wait = due.into_iter().flatten().min().map(|at| at.since(now) + Duration::from_micros(100));
        self.poll.wait(wait)
    }

    /// Turns what the system says into events, deaths first.
    fn collect(&mut self, ready: &[Token], now: Now) {
        self.look_after_home(now);
        let mut children = false;
        let mut died = false;
        for token in ready {
            match *token {
                SIGNALS => children |= self.take_signals(),
                DOORBELL => self.take_rings(now.mono),
                HINTS => {}
                REREAD => self.events.extend(self.reread.taken()),
                leader => died |= self.take_death(leader),
            }
        }
        if children && !died {
            self.events.extend(beat::frozen(&mut self.table));
        }
        if children && self.trees.is_idle() {
            reap::strays(&self.table);
        }
        let ticked = self.tick_at <= now.mono;
        if ticked {
            self.events.extend(beat::frozen(&mut self.table));
            self.events.extend(beat::grown(&self.table, &self.fleet));
            let frozen = self.table.iter().any(|(_, leader)| leader.frozen);
            let longest = if frozen { THAWED_WITHIN } else { Duration::MAX };
            self.tick_at = now.mono.after(self.doors.tick().min(longest));
        }
        let unhinted = if ticked { self.doors.unhinted(now.mono) } else { 0 };
        self.look_at_doors(unhinted | self.doors.hints(), now);
        if ticked && self.journal.has_grown() {
            self.house.hint();
        }
        if ticked || self.beats.due().is_some_and(|due| due <= now.mono) {
            self.events.extend(self.beats.look(&self.store, &mut self.table, now));
        }
        if self.wake_at.is_some_and(|at| at <= now.mono) || ticked {
            self.wake_at = self.wake_at.filter(|at| *at > now.mono);
            self.events.push_back(Event::Tick);
        }
    }

    /// Asks the mind about everything that happened, and about what came of the answers. A start that fails at once and is
    /// tried again at once would be the answer to itself for ever, and nobody would hear a signal.
    fn think(&mut self, now: Now) {
        let mut left = THOUGHTS;
        loop {
            while left > 0
                && let Some(event) = self.events.pop_front()
            {
                left -= 1;
                for action in fleet::next(&mut self.fleet, event, now) {
                    self.carry_out(action, now);
                }
            }
            let empty = self.trees.look(&mut self.table, now.mono);
            if empty.is_empty() {
                break;
            }
            self.events.extend(empty);
        }
    }

    /// Writes down what came of it. Nothing in here waits.
    fn write_down(&mut self, now: Now) {
        if self.home.is_anothers() {
            return;
        }
        self.save_rows(now, Duration::ZERO);
        if self.registry.due().is_none() {
            self.ring_control();
        }
        if self.registry.due().is_none() || self.registry.failing_for(now.mono) >= REPLY_ANYWAY {
            for reply in std::mem::take(&mut self.later.replies) {
                let done = self.doors.answer(&reply);
                self.trouble("command", done, now);
            }
        }
        let flushed = self.journal.flush(now, Duration::ZERO);
        if flushed.messages {
            self.ring_all(Ring::Messages);
        }
        if flushed.tasks {
            self.ring_all(Ring::Tasks);
        }
        for text in self.house.words() {
            self.record(event::Event::new(now.wall, "rejected", text));
        }
        self.help_stuck_locks(now);
        for line in std::mem::take(&mut self.later.log) {
            self.own_log.write(format!("{line}\n").as_bytes());
        }
    }

    pub(super) fn save_rows(&mut self, now: Now, wait: Duration) {
        let (fleet, table) = (&self.fleet, &self.table);
        if std::mem::take(&mut self.later.rows) {
            self.screen.rows(|| rows(fleet, table, now));
        }
        self.registry.remember(fleet);
        let looked = self.registry.flush(|| rows(fleet, table, now), now.mono, wait);
        self.take_look(looked, now);
    }

    /// Passes on what hands did to the registry.
    fn take_look(&mut self, looked: Looked, now: Now) {
        self.events.extend(looked.edits);
        if let Some(why) = looked.rejected {
            self.record(event::Event::new(now.wall, "rejected", why));
        }
    }

    fn help_stuck_locks(&mut self, now: Now) {
        let mut stuck = self.journal.stuck(&self.dir, now.mono, STUCK);
        if self.registry.failing_for(now.mono) >= STUCK {
            stuck.push(self.dir.lock("registry"));
        }
        for lock in stuck {
            if let Some(text) = thaw::thaw(&lock, self.dir.root(), &self.table) {
                self.record(event::Event::new(now.wall, "lock-trouble", text));
            }
        }
    }

    /// The last things written, now with some patience.
    fn leave(&mut self) {
        let now = clock::now();
        if self.home.is_anothers() {
            self.screen.end();
            return;
        }
        self.registry.remember(&self.fleet);
        self.registry.leave(|| rows(&self.fleet, &self.table, now), now.mono, LAST_WAIT);
        for reply in std::mem::take(&mut self.later.replies) {
            let _ = self.doors.answer(&reply);
        }
        self.journal.flush(now, LAST_WAIT);
        self.house.end();
        for line in std::mem::take(&mut self.later.log) {
            self.own_log.write(format!("{line}\n").as_bytes());
        }
        self.screen.end();
    }

    /// Takes what was signalled; says whether something about children was.
    fn take_signals(&mut self) -> bool {
        let mut children = false;
        for signal in signals::take(&self.signals) {
            match signal {
                Signal::SIGCHLD => children = true,
                Signal::SIGWINCH => self.screen.resized(),
                Signal::SIGQUIT => self.events.push_back(Event::Leave),
                Signal::SIGTSTP if self.in_terminal => self.suspend(),
                Signal::SIGHUP | Signal::SIGTSTP if !self.in_terminal => {}
                Signal::SIGTTOU => {}
                other => {
                    self.events.push_back(Event::Terminate { why: other.as_str().to_owned() });
                    self.say_who_is_waited_for();
                }
            }
        }
        children
    }

    fn say_who_is_waited_for(&mut self) {
        let names: Vec<&str> = self.table.iter().map(|(id, _)| id.as_str()).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            self.screen.note(format!("stopping, waiting for {names}; Ctrl-C again kills them now"));
        }
    }

    fn take_rings(&mut self, now: Mono) {
        // A doorbell that cannot be read is made good by the tick.
        let rings = self.doorbell.drain().unwrap_or_default();
        if rings.contains(&Ring::Instance) {
            self.beats.rung(now);
        }
        if rings.iter().any(|ring| *ring != Ring::Instance) {
            self.house.hint();
        }
    }

    fn take_death(&mut self, token: Token) -> bool {
        let Some(id) = self.table.owner(token).cloned() else { return false };
        let Some(how) = self.table.get(&id).and_then(reap::how) else { return false };
        let Some((id, leader)) = self.table.remove(token) else { return false };
        let event = reap::died(id, &leader, how, &self.store, &mut self.oom);
        self.events.push_back(event);
        true
    }

    fn look_at_doors(&mut self, where_to: u8, now: Now) {
        if self.home.is_anothers() {
            return;
        }
        if where_to & door::STOP != 0 {
            self.events.extend(self.doors.look_for_stop());
        }
        if where_to & door::COMMANDS != 0 {
            let asked = self.doors.take_commands(now);
            self.events.extend(asked.events);
            self.later.replies.extend(asked.refused);
            for text in asked.rejected {
                self.record(event::Event::new(now.wall, "rejected", text));
            }
        }
        if where_to & door::REGISTRY != 0 {
            let looked = self.registry.look(now.mono);
            self.take_look(looked, now);
        }
        if self.registry.doubt().is_some_and(|at| at <= now.mono)
            && let Some(why) = self.registry.judge(now.mono)
        {
            self.record(event::Event::new(now.wall, "rejected", why));
        }
        if where_to & door::HOUSE != 0 {
            self.house.hint();
        } else if where_to & door::SYNC != 0 {
            self.house.hint_registry();
        }
    }
}

/// The rows as people read them: the pid of a command is its own, not its holder's.
fn rows(fleet: &Fleet, table: &Table, now: Now) -> Vec<tachi_shared::registry::Row> {
    let mut rows = fleet::rows(fleet, now);
    for row in &mut rows {
        if let Some(leader) = table.get(&row.instance_id).filter(|_| row.pid.is_some()) {
            row.pid = Some(leader.face().pid);
            row.pid_start = Some(leader.face().pid_start);
        }
    }
    rows
}
