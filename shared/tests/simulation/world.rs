//! One machine: its disk, its clock, its locks, and whose turn it is.
//!
//! Every simulated process is a thread, but one runs at a time: each call of the storage waits for its turn, is carried
//! out, and passes the turn on by seed. What a thread computes between two calls touches nothing others can see, so a run
//! is decided by its seed alone.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::disk::Files;
use crate::ledger::Ledger;
use crate::plan::{Mutant, Plan};
use crate::random::Random;

/// Why a thread of a simulated process unwinds: it was killed.
pub(crate) struct Killed;

/// Why it unwinds for good: what it found cannot be, and was told.
pub(crate) struct GaveUp;

/// What a process waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
    Runnable,
    /// For a lock, until a moment.
    Lock(PathBuf, Duration),
    /// For a moment.
    Sleep(Duration),
    Over,
}

#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) files: Files,
    pub(crate) ledger: Ledger,
    /// Who holds a lock, and under which number.
    pub(crate) locks: BTreeMap<PathBuf, u64>,
    next_lock: u64,
    /// Since the machine was made; power losses do not stop it.
    pub(crate) clock: Duration,
    pub(crate) boot: u32,
    turn: usize,
    pub(crate) stages: Vec<Stage>,
    /// Killed while waiting: unwinds when its turn comes.
    doomed: Vec<bool>,
    locks_of: Vec<Vec<PathBuf>>,
    kills_left: u64,
    losses_left: u64,
    /// Nothing goes wrong any more: the run is being judged.
    pub(crate) calm: bool,
    pub(crate) calls: u64,
}

#[derive(Debug)]
pub(crate) struct World {
    inside: Mutex<Inside>,
    turns: Vec<Condvar>,
}

/// How a call ends for the process that makes it.
pub(crate) enum Fate {
    Lives,
    /// Killed before the call did anything.
    Before,
    /// Killed after it.
    After,
}

impl World {
    pub(crate) fn new(plan: Plan, processes: usize) -> Arc<Self> {
        let inside = Inside {
            random: Random::new(plan.seed),
            files: Files::default(),
            ledger: Ledger::default(),
            locks: BTreeMap::new(),
            next_lock: 1,
            clock: Duration::from_secs(1000),
            boot: 1,
            turn: 0,
            stages: vec![Stage::Runnable; processes],
            doomed: vec![false; processes],
            locks_of: vec![Vec::new(); processes],
            kills_left: plan.kills,
            losses_left: plan.power_losses,
            calm: false,
            calls: 0,
            plan,
        };
        Arc::new(Self { inside: Mutex::new(inside), turns: (0..processes).map(|_| Condvar::new()).collect() })
    }

    /// Without a turn: before and after a run.
    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for the turn of `me`; unwinds if it was killed meanwhile.
    pub(crate) fn my_turn(&self, me: usize) -> MutexGuard<'_, Inside> {
        let mut inside = self.inside();
        if inside.calm {
            return inside;
        }
        while inside.turn != me {
            inside = self.turns[me].wait(inside).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if std::mem::take(&mut inside.doomed[me]) {
            drop(inside);
            std::panic::resume_unwind(Box::new(Killed));
        }
        inside
    }

    /// Gives the turn to somebody.
    pub(crate) fn pass(&self, mut inside: MutexGuard<'_, Inside>) {
        if inside.calm {
            return;
        }
        let next = inside.choose();
        let me = std::mem::replace(&mut inside.turn, next);
        drop(inside);
        if me != next {
            self.turns[next].notify_one();
        }
    }

    /// Kills `me`, whose turn it is: locks go, the thread unwinds.
    pub(crate) fn die(&self, me: usize, mut inside: MutexGuard<'_, Inside>) -> ! {
        inside.forget(me);
        self.pass(inside);
        std::panic::resume_unwind(Box::new(Killed));
    }

    /// `me` is over for good.
    pub(crate) fn leave(&self, me: usize) {
        let mut inside = self.inside();
        while inside.turn != me {
            inside = self.turns[me].wait(inside).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        inside.forget(me);
        inside.stages[me] = Stage::Over;
        self.pass(inside);
    }
}

impl Inside {
    /// What becomes of `me` at this call.
    pub(crate) fn fate(&mut self, me: usize) -> Fate {
        self.calls += 1;
        self.clock += Duration::from_micros(1 + self.random.below(60));
        if self.calm {
            return Fate::Lives;
        }
        if self.random.chance(1, 400) {
            // A suspended machine, a stopped process: leases run out.
            self.clock += Duration::from_secs(31);
        }
        if self.losses_left > 0 && self.random.chance(1, 250) {
            self.losses_left -= 1;
            self.lose_power();
            return Fate::Before;
        }
        if self.kills_left > 0 && self.random.chance(1, self.plan.calls_per_kill) {
            self.kills_left -= 1;
            self.ledger.note(|| format!("process {me} killed"));
            return if self.random.chance(1, 2) { Fate::Before } else { Fate::After };
        }
        Fate::Lives
    }

    /// Whether something fails at this call.
    pub(crate) fn fails(&mut self) -> bool {
        !self.calm && self.plan.faults && self.random.chance(1, 60)
    }

    /// Whether something cannot be looked at at this call.
    pub(crate) fn blinks(&mut self) -> io::Result<()> {
        if !self.calm && self.plan.blinks && self.random.chance(1, 150) {
            self.ledger.note(|| "too many open files".to_owned());
            return Err(io::Error::from(rustix::io::Errno::MFILE));
        }
        Ok(())
    }

    fn lose_power(&mut self) {
        let Self { files, random, .. } = self;
        files.lose_power(random);
        self.boot += 1;
        self.locks.clear();
        for me in 0..self.stages.len() {
            if self.stages[me] != Stage::Over {
                self.doomed[me] = me != self.turn;
                self.forget(me);
            }
        }
        self.ledger.power_was_lost();
    }

    fn forget(&mut self, me: usize) {
        for lock in std::mem::take(&mut self.locks_of[me]) {
            self.locks.remove(&lock);
        }
        self.stages[me] = Stage::Runnable;
    }

    /// Takes a lock if it is free; its number.
    pub(crate) fn take_lock(&mut self, me: usize, path: &PathBuf) -> Option<u64> {
        let ignored = self.plan.mutant == Some(Mutant::NoLock);
        if self.locks.contains_key(path) && !ignored {
            return None;
        }
        self.next_lock += 1;
        self.locks.insert(path.clone(), self.next_lock);
        if me < self.locks_of.len() {
            self.locks_of[me].push(path.clone());
        }
        Some(self.next_lock)
    }

    pub(crate) fn free_lock(&mut self, me: usize, path: &PathBuf, number: u64) {
        if self.locks.get(path) == Some(&number) {
            self.locks.remove(path);
            if me < self.locks_of.len() {
                self.locks_of[me].retain(|held| held != path);
            }
        }
    }

    /// Who goes on: usually the same, else anybody who can; if nobody can, time passes.
    fn choose(&mut self) -> usize {
        let turn = self.turn;
        if self.can_go_on(turn) && !self.random.chance(self.plan.switches, 100) {
            return turn;
        }
        loop {
            let ready: Vec<usize> = (0..self.stages.len()).filter(|one| self.can_go_on(*one)).collect();
            if !ready.is_empty() {
                return self.random.pick(&ready);
            }
            let moments = self.stages.iter().filter_map(|stage| match stage {
                Stage::Lock(_, until) | Stage::Sleep(until) => Some(*until),
                Stage::Runnable | Stage::Over => None,
            });
            match moments.min() {
                Some(next) => self.clock = self.clock.max(next),
                None => return turn,
            }
        }
    }

    fn can_go_on(&self, me: usize) -> bool {
        match &self.stages[me] {
            Stage::Runnable => true,
            Stage::Lock(path, until) => self.clock >= *until || !self.locks.contains_key(path),
            Stage::Sleep(until) => self.clock >= *until,
            Stage::Over => false,
        }
    }
}
