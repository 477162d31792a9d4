//! A pretended team: the board in memory, members that take turns in a random order and die at random.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, Role, Seq, TaskId};
use tachi_shared::task::change::decide;
use tachi_shared::task::{Board, Change, TaskStatus};
use tachi_worker::backend::builtin::{Duty, Outcome, Peer, Remember, Say, Site, next_duty, perform, survey};

const ROLES: [&str; 4] = ["explorer", "builder", "reflector", "coordinator"];

/// Xorshift; the seed is printed by failing tests because they name it.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

pub(crate) struct Fleet {
    pub(crate) site: Site,
    pub(crate) board: Board,
    pub(crate) peers: Vec<Peer>,
    pub(crate) said: Vec<Say>,
    pub(crate) remembered: Vec<Remember>,
    pub(crate) failures: Vec<String>,
    surveyed: BTreeMap<InstanceId, bool>,
    claims: BTreeMap<InstanceId, TaskId>,
    incarnations: BTreeMap<InstanceId, u32>,
    dice: Dice,
    /// One in so many pieces of work is broken off by a death; 0 = none.
    deaths: usize,
}

impl Fleet {
    pub(crate) fn new(tree: &Path, state: &Path, count: usize, seed: u64, deaths: usize) -> Self {
        let peers = (1..=count)
            .map(|n| Peer {
                id: InstanceId::new(&format!("instance_{n}")).unwrap(),
                role: Role::new(ROLES[(n - 1) % 4]).unwrap(),
            })
            .collect();
        Self {
            site: Site { workspace: tree.into(), state: state.into(), artifacts: state.join("artifacts") },
            board: Board::default(),
            peers,
            said: Vec::new(),
            remembered: Vec::new(),
            failures: Vec::new(),
            surveyed: BTreeMap::new(),
            claims: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            dice: Dice(seed | 1),
            deaths,
        }
    }

    /// All processes start again, as after `down` and `up`.
    pub(crate) fn restart(&mut self) {
        self.surveyed.clear();
    }

    pub(crate) fn change(&mut self, change: &Change) -> Option<Seq> {
        let now = Now { wall: Timestamp::from_unix(1_700_000_000), mono: Mono::from_millis(5) };
        let events = decide(&self.board, change, now).unwrap();
        for event in &events {
            let seq = self.board.seq.next();
            self.board.apply(seq, event);
        }
        (!events.is_empty()).then_some(self.board.seq)
    }

    /// Works until nobody has anything to do; everything is done then.
    pub(crate) fn run(&mut self) {
        self.run_to_rest();
        let unfinished: Vec<String> = self
            .board
            .tasks
            .values()
            .filter(|task| task.status != TaskStatus::Done)
            .map(|task| format!("{}: {:?} {:?}", task.id, task.status, task.history))
            .collect();
        assert!(unfinished.is_empty(), "left over: {unfinished:#?}\nfailures: {:#?}", self.failures);
    }

    /// Works until nobody has anything to do, whatever is left over.
    pub(crate) fn run_to_rest(&mut self) {
        let mut resting = 0;
        let mut turns = 0;
        // That somebody with work was never among so many draws has a chance of one in a hundred thousand.
        while resting < 12 * self.peers.len() {
            turns += 1;
            assert!(turns < 200_000, "the team does not come to rest");
            let chosen = self.dice.roll(self.peers.len());
            let me = self.peers[chosen].clone();
            resting = if self.turn(&me) { 0 } else { resting + 1 };
        }
    }

    /// Fails a task in all its attempts.
    pub(crate) fn lose(&mut self, task: &TaskId, reason: &str) {
        let by = InstanceId::new("stranger").unwrap();
        for _ in 0..tachi_shared::task::board::ATTEMPTS_MAX {
            let (task, boot_id) = (task.clone(), "b".to_owned());
            let incarnation = Incarnation(1);
            let fence =
                self.change(&Change::Claim { task: task.clone(), by: by.clone(), incarnation, boot_id });
            let (fence, reason) = (fence.unwrap(), reason.to_owned());
            self.change(&Change::Fail { task, fence, reason, by: by.clone() });
        }
        assert_eq!(self.board.tasks[task].status, TaskStatus::Failed);
    }

    /// Some turns, not to the end.
    pub(crate) fn some_turns(&mut self, count: usize) {
        for _ in 0..count {
            let chosen = self.dice.roll(self.peers.len());
            let me = self.peers[chosen].clone();
            self.turn(&me);
        }
    }

    /// One turn of one member: whether it did anything.
    fn turn(&mut self, me: &Peer) -> bool {
        let surveyed = self.surveyed.get(&me.id).copied().unwrap_or(false);
        // A member that holds a claim carries it out; that it was taken earlier lets others see it held meanwhile.
        if let Some(task) = self.claims.remove(&me.id) {
            self.carry_out(me, &task);
            return true;
        }
        match next_duty(&self.board, me, &self.peers, surveyed) {
            Duty::Rest => false,
            Duty::Survey => {
                let board = self.board.clone();
                let outcome = self.act(|site, go_on| survey(site, me, &board, go_on));
                if let Some(Outcome::Done { .. }) = &outcome {
                    self.surveyed.insert(me.id.clone(), true);
                }
                self.publish(me, outcome, None);
                true
            }
            Duty::Claim(task) => {
                let incarnation = Incarnation(*self.incarnations.get(&me.id).unwrap_or(&1));
                let by = me.id.clone();
                self.change(&Change::Claim { task: task.clone(), by, incarnation, boot_id: "b".into() });
                self.claims.insert(me.id.clone(), task);
                true
            }
        }
    }

    fn carry_out(&mut self, me: &Peer, id: &TaskId) {
        let board = self.board.clone();
        let task = board.tasks[id].clone();
        let fence = task.owner.as_ref().unwrap().fence;
        let outcome = self.act(|site, go_on| perform(site, me, &task, &board, go_on));
        if outcome.is_none() {
            let incarnation = Incarnation(*self.incarnations.get(&me.id).unwrap_or(&1));
            let reason = "killed".to_owned();
            let owner = me.id.clone();
            self.change(&Change::ReleaseOwner { owner, incarnation, reason, by: "supervisor".into() });
            *self.incarnations.entry(me.id.clone()).or_insert(1) += 1;
            self.surveyed.remove(&me.id);
            return;
        }
        self.publish(me, outcome, Some((id, fence)));
    }

    /// Acts; `None` = died before, amid or after it, with nothing published.
    fn act(&mut self, work: impl FnOnce(&Site, &mut dyn FnMut(&str) -> bool) -> Outcome) -> Option<Outcome> {
        let dies = self.deaths > 0 && self.dice.roll(self.deaths) == 0;
        let after = if dies { self.dice.roll(3) } else { usize::MAX };
        let mut asked = 0;
        let outcome = work(&self.site.clone(), &mut |text| {
            assert!(!text.is_empty());
            asked += 1;
            asked <= after
        });
        (!dies).then_some(outcome)
    }

    fn publish(&mut self, me: &Peer, outcome: Option<Outcome>, task: Option<(&TaskId, Seq)>) {
        match outcome {
            None => {}
            Some(Outcome::Done { result, changes, say, remember }) => {
                for change in &changes {
                    self.change(change);
                }
                self.said.extend(say);
                self.remembered.extend(remember);
                if let Some((task, fence)) = task {
                    let (task, by) = (task.clone(), me.id.clone());
                    self.change(&Change::Done { task, fence, result, by });
                }
            }
            Some(Outcome::Failed(reason)) => {
                self.failures.push(reason.clone());
                let (task, fence) = task.unwrap_or_else(|| panic!("the survey failed: {reason}"));
                let (task, by) = (task.clone(), me.id.clone());
                self.change(&Change::Fail { task, fence, reason, by });
            }
            Some(Outcome::Interrupted) => panic!("nobody interrupted"),
        }
    }

    pub(crate) fn artifact(&self, name: &str) -> PathBuf {
        self.site.artifacts.join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.artifact(name)).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes("survey.json")).unwrap()
    }

    /// Tasks of one kind, with who did them.
    pub(crate) fn tasks(&self, kind: &str) -> Vec<&tachi_shared::task::Task> {
        self.board.tasks.values().filter(|task| task.payload["kind"] == kind).collect()
    }
}

/// Surveys `tree` with a fresh state directory outside of it.
pub(crate) fn surveyed(tree: &Path, count: usize, seed: u64, deaths: usize) -> (tempfile::TempDir, Fleet) {
    let state = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::new(tree, state.path(), count, seed, deaths);
    fleet.run();
    (state, fleet)
}
