//! A small world for random histories: processes with leaders and strays, a stop file, a saved registry.
//!
//! It carries out actions as `effects/` would, and holds the truth the fleet is judged against: after every step it looks
//! whether a start met something alive, a stop was overruled, a death was told twice, and so on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tachi::fleet::event::How;
use tachi::fleet::phase::{Phase, Rest};
use tachi::fleet::state::Instance;
use tachi::fleet::{Action, Event, Fleet, next, rows};
use tachi::settings::Settings;
use tachi_shared::clock::Mono;
use tachi_shared::command::Verb;
use tachi_shared::id::{CommandId, Incarnation, InstanceId, ProcessRef};
use tachi_shared::registry::{Desired, Row};

use super::scene::{at, id};

/// xorshift64*: small, seeded, the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let bound = u64::try_from(all.len()).unwrap();
        (bound > 0).then(|| &all[usize::try_from(self.below(bound)).unwrap()])
    }
}

/// What is left of one start.
#[derive(Debug)]
struct Tree {
    incarnation: Incarnation,
    leader: bool,
    strays: u64,
    asked: bool,
    frozen: bool,
}

/// The world.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) fleet: Fleet,
    settings: Settings,
    pub(crate) ms: u64,
    trees: BTreeMap<InstanceId, Tree>,
    queue: BTreeMap<InstanceId, VecDeque<Event>>,
    highest: BTreeMap<InstanceId, Incarnation>,
    saved: Vec<Row>,
    saved_retired: BTreeMap<InstanceId, Incarnation>,
    stop_file: bool,
    kept_down: BTreeSet<InstanceId>,
    deaths: BTreeMap<(InstanceId, Incarnation), u32>,
    told: BTreeMap<(InstanceId, Incarnation), u32>,
    commands: u64,
    replies: BTreeMap<CommandId, u32>,
    pub(crate) exited: bool,
    pub(crate) spawns: u64,
    wake_at: Option<Mono>,
    /// Those whose signals in this step are no new stops.
    asked_before: BTreeSet<InstanceId>,
    trace: bool,
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings, trace: bool) -> Self {
        let mut world = Self {
            dice: Dice::new(seed),
            fleet: Fleet::new(&settings),
            settings,
            ms: 0,
            trees: BTreeMap::new(),
            queue: BTreeMap::new(),
            highest: BTreeMap::new(),
            saved: Vec::new(),
            saved_retired: BTreeMap::new(),
            stop_file: false,
            kept_down: BTreeSet::new(),
            deaths: BTreeMap::new(),
            told: BTreeMap::new(),
            commands: 0,
            replies: BTreeMap::new(),
            exited: false,
            spawns: 0,
            wake_at: None,
            asked_before: BTreeSet::new(),
            trace,
        };
        world.take_over();
        world
    }

    /// A new supervisor, from the saved registry and what lives.
    pub(crate) fn take_over(&mut self) {
        self.fleet = Fleet::new(&self.settings).with_retired(self.saved_retired.clone());
        self.queue.clear();
        let lives = |(id, tree): (&InstanceId, &Tree)| {
            let process = ProcessRef { pid: 1, pid_start: 1, boot_id: "boot".to_owned() };
            tree.leader.then(|| (id.clone(), tree.incarnation, process))
        };
        let alive = self.trees.iter().filter_map(lives).collect();
        self.replies.retain(|_, count| *count > 0);
        let boot_id = "boot".to_owned();
        self.give(Event::Began {
            rows: self.saved.clone(),
            alive,
            words: Vec::new(),
            boot_id,
            latched: self.stop_file,
        });
    }

    /// One event, its actions, and the judgement.
    pub(crate) fn give(&mut self, event: Event) {
        if self.trace {
            println!("{:>8} {event:?}", self.ms);
        }
        self.ms += 1;
        let before = self.waiting();
        let now = at(self.ms);
        let by_hand = self.by_hand(&event);
        // A person's own signals are no stops, and who was to be replaced already is not asked to end because others are.
        let by_command = matches!(&event, Event::Command { verb: Verb::Kill { .. }, .. });
        let stopping = |i: &Instance| by_command || matches!(i.phase, Phase::Stopping(_));
        let all = self.fleet.instances.iter();
        self.asked_before = all.filter(|(_, i)| stopping(i)).map(|(id, _)| id.clone()).collect();
        self.note_wishes(&event);
        let actions = next(&mut self.fleet, event, now);
        self.judge(&before, &actions, &by_hand);
        // Who is scaled away and added again later is a new one.
        self.kept_down.retain(|id| self.fleet.get(id).is_some_and(|instance| !instance.leaving));
        self.wake_at = None;
        for action in actions {
            self.carry_out(action);
        }
        self.judge_world();
    }

    /// Who must not start now unless a person says so, and why.
    fn waiting(&self) -> BTreeMap<InstanceId, &'static str> {
        let now = at(self.ms).mono;
        let why = |(id, instance): (&InstanceId, &Instance)| match &instance.phase {
            _ if instance.leaving => Some((id.clone(), "it is leaving")),
            Phase::Failed { .. } => Some((id.clone(), "it was given up")),
            Phase::Backoff { until, .. } if now < *until => Some((id.clone(), "it is before its time")),
            _ => None,
        };
        self.fleet.instances.iter().filter_map(why).collect()
    }

    /// Instances a person starts with this event.
    fn by_hand(&self, event: &Event) -> BTreeSet<InstanceId> {
        match event {
            Event::Command {
                verb: Verb::Start { targets } | Verb::Restart { targets } | Verb::Reset { targets },
                ..
            } => self.meant(targets),
            Event::Command { verb: Verb::Pause { targets }, .. } => {
                let stopped = |id: &InstanceId| self.kept_down.contains(id);
                self.meant(targets).into_iter().filter(stopped).collect()
            }
            // Who is run differently from now on is tried again.
            Event::Reread { .. } => self.fleet.instances.keys().cloned().collect(),
            Event::Edited { id, .. } if self.kept_down.contains(id) => [id.clone()].into(),
            _ => BTreeSet::new(),
        }
    }

    fn meant(&self, targets: &[String]) -> BTreeSet<InstanceId> {
        let members = || self.fleet.instances.iter().filter(|(_, i)| !i.leaving).map(|(id, _)| id);
        let known = |target: &String| target == "all" || members().any(|id| id.as_str() == target);
        if !targets.iter().all(known) {
            return BTreeSet::new();
        }
        let meant = |id: &&InstanceId| targets.iter().any(|target| target == "all" || target == id.as_str());
        members().filter(meant).cloned().collect()
    }

    /// Who is to be kept down from now on, who no longer.
    fn note_wishes(&mut self, event: &Event) {
        if self.fleet.ending() && matches!(event, Event::Command { .. }) {
            return;
        }
        match event {
            Event::Command { verb: Verb::Stop { targets }, .. } => {
                self.kept_down.extend(self.meant(targets));
            }
            Event::Command { verb: Verb::Pause { .. }, .. } => {
                self.kept_down = &self.kept_down - &self.by_hand(event);
            }
            Event::Command { verb: Verb::Start { .. } | Verb::Restart { .. }, .. }
                if !self.fleet.latched() =>
            {
                self.kept_down = &self.kept_down - &self.by_hand(event);
            }
            Event::Edited { id, desired: Desired::Stopped } if self.fleet.get(id).is_some() => {
                self.kept_down.insert(id.clone());
            }
            Event::Edited { id, .. } => {
                self.kept_down.remove(id);
            }
            _ => {}
        }
    }

    fn judge(
        &mut self,
        before: &BTreeMap<InstanceId, &str>,
        actions: &[Action],
        by_hand: &BTreeSet<InstanceId>,
    ) {
        for (place, action) in actions.iter().enumerate() {
            match action {
                Action::Spawn { id, incarnation } => self.judge_spawn(before, id, *incarnation, by_hand),
                Action::Signal { id, signal: 15 } if !self.asked_before.contains(id) => self.judge_stop(id),
                Action::WakeAt(_) => assert_eq!(place + 1, actions.len(), "WakeAt is not last"),
                Action::Record(event) if event.kind == "died" => {
                    let key = (event.instance.clone().unwrap(), event.incarnation.unwrap());
                    let told = self.told.entry(key.clone()).or_default();
                    *told += 1;
                    assert_eq!(*told, 1, "the death of {key:?} was recorded twice");
                }
                Action::Reply { command, .. } => {
                    let count = self.replies.entry(command.clone()).or_default();
                    *count += 1;
                    assert_eq!(*count, 1, "{command} was answered twice");
                }
                _ => {}
            }
        }
        let last_spawn = actions.iter().rposition(|action| matches!(action, Action::Spawn { .. }));
        let disk = |a: &Action| {
            matches!(a, Action::Record(_) | Action::Announce { .. } | Action::ReleaseTasks { .. })
        };
        let first_disk = actions.iter().position(disk);
        assert!(first_disk.is_none() || last_spawn < first_disk, "a spawn waits for the disk: {actions:?}");
    }

    /// Who is asked to end because everybody is leaves after those who need him.
    fn judge_stop(&self, id: &InstanceId) {
        if !self.fleet.latched() && !self.fleet.ending() {
            return;
        }
        for other in self.fleet.instances.values().filter(|other| other.occupied()) {
            let asked = matches!(other.phase, Phase::Stopping(_) | Phase::Emptying(_));
            let needs = other.spec.needs.iter().any(|name| name == id.as_str());
            assert!(asked || !needs, "{id} is asked to end before {}", other.spec.id);
        }
    }

    fn judge_spawn(
        &mut self,
        before: &BTreeMap<InstanceId, &str>,
        id: &InstanceId,
        incarnation: Incarnation,
        by_hand: &BTreeSet<InstanceId>,
    ) {
        self.spawns += 1;
        assert!(!self.trees.contains_key(id), "{id}#{incarnation} starts beside {:?}", self.trees.get(id));
        let highest = self.highest.insert(id.clone(), incarnation);
        assert!(highest < Some(incarnation), "{id}#{incarnation} after {highest:?}");
        assert!(!self.fleet.latched() && !self.fleet.ending(), "{id} starts while latched or ending");
        assert!(!self.kept_down.contains(id), "{id} starts although a person stopped it");
        for name in &self.fleet.get(id).unwrap().spec.needs {
            let needed = self.fleet.instances.values().filter(|other| {
                other.spec.id.as_str() == name || (other.spec.role.as_str() == name && !other.leaving)
            });
            for other in needed {
                let serves = other.ready() || matches!(other.phase, Phase::Down(Rest::Finished(_)));
                assert!(serves, "{id} starts although {} is {:?}", other.spec.id, other.phase);
            }
        }
        let hindrance = before.get(id).filter(|_| !by_hand.contains(id));
        assert_eq!(hindrance, None, "{id} starts alone");
    }

    /// Whatever lives is known to the fleet, at the right incarnation.
    fn judge_world(&self) {
        if self.exited {
            return;
        }
        for (id, tree) in &self.trees {
            let known = self.fleet.get(id).is_some_and(|i| i.occupied() && i.incarnation == tree.incarnation);
            assert!(
                known,
                "{id} lives as {tree:?} and the fleet knows {:?}",
                self.fleet.get(id).map(|i| &i.phase)
            );
        }
    }

    fn push(&mut self, id: &InstanceId, event: Event) {
        self.queue.entry(id.clone()).or_default().push_back(event);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn { id, incarnation } => self.spawn(&id, incarnation),
            Action::Signal { id, signal } => self.signal(&id, signal),
            Action::KillTree { id, incarnation } => self.kill_tree(&id, incarnation),
            Action::SaveRegistry => {
                self.saved = rows(&self.fleet, at(self.ms));
                self.saved_retired = self.fleet.retired().clone();
            }
            Action::LatchStop(_) => self.stop_file = true,
            Action::ClearStop => self.stop_file = false,
            Action::Exit(_) => self.exited = true,
            Action::WakeAt(moment) => self.wake_at = Some(moment),
            _ => {}
        }
    }

    fn spawn(&mut self, id: &InstanceId, incarnation: Incarnation) {
        if self.dice.chance(8) {
            let machine_full = self.dice.chance(50);
            let (id, error) = (id.clone(), "no".to_owned());
            let event = Event::SpawnFailed { id: id.clone(), incarnation, error, machine_full };
            *self.deaths.entry((id.clone(), incarnation)).or_default() += 1;
            return self.push(&id, event);
        }
        let strays = self.dice.below(3);
        let tree = Tree { incarnation, leader: true, strays, asked: false, frozen: false };
        self.trees.insert(id.clone(), tree);
        let process = ProcessRef { pid: 1, pid_start: 1, boot_id: "boot".to_owned() };
        self.push(id, Event::Spawned { id: id.clone(), incarnation, process });
    }

    fn signal(&mut self, id: &InstanceId, signal: i32) {
        let ignores = self.dice.chance(20);
        let Some(tree) = self.trees.get_mut(id) else { return };
        match signal {
            19 | 18 if tree.leader => {
                tree.frozen = signal == 19;
                let event = Event::Frozen { id: id.clone(), frozen: tree.frozen };
                self.push(id, event);
            }
            9 => self.end_leader(id, How::Signal(9), false),
            15 if !ignores => self.end_leader(id, How::Exit(0), false),
            _ => {}
        }
    }

    fn kill_tree(&mut self, id: &InstanceId, incarnation: Incarnation) {
        let reforks = self.dice.chance(15);
        let loses_answer = self.dice.chance(3);
        self.end_leader(id, How::Signal(9), false);
        match self.trees.get_mut(id) {
            Some(tree) if tree.incarnation == incarnation => {
                tree.asked = true;
                tree.strays = if reforks { 1 } else { 0 };
                self.clear_if_empty(id);
            }
            _ if loses_answer => {}
            _ => self.push(id, Event::TreeEmpty { id: id.clone(), incarnation }),
        }
    }

    fn clear_if_empty(&mut self, id: &InstanceId) {
        let Some(tree) = self.trees.get(id) else { return };
        if !tree.leader && tree.strays == 0 {
            let (incarnation, asked) = (tree.incarnation, tree.asked);
            self.trees.remove(id);
            if asked {
                self.push(id, Event::TreeEmpty { id: id.clone(), incarnation });
            }
        }
    }

    /// The leader ends; `oom` as the kernel would count it.
    pub(crate) fn end_leader(&mut self, id: &InstanceId, how: How, oom: bool) {
        let Some(tree) = self.trees.get_mut(id).filter(|tree| tree.leader) else { return };
        tree.leader = false;
        let incarnation = tree.incarnation;
        *self.deaths.entry((id.clone(), incarnation)).or_default() += 1;
        self.push(id, Event::Died { id: id.clone(), incarnation, how, oom, last_line: None });
        self.clear_if_empty(id);
    }

    /// Delivers the next waiting event of one instance, if any.
    pub(crate) fn deliver(&mut self) -> bool {
        let waiting: Vec<InstanceId> =
            self.queue.iter().filter(|(_, queue)| !queue.is_empty()).map(|(id, _)| id.clone()).collect();
        let Some(id) = self.dice.pick(&waiting).cloned() else { return false };
        let Some(event) = self.queue.get_mut(&id).and_then(VecDeque::pop_front) else { return false };
        let twice = self.dice.chance(5) && !matches!(event, Event::Frozen { .. } | Event::Spawned { .. });
        self.give(event.clone());
        if twice {
            self.give(event);
        }
        true
    }

    /// A living leader tells about itself.
    pub(crate) fn beat(&mut self, id: &InstanceId, ready: bool, paused: bool) {
        let Some(tree) = self.trees.get(id).filter(|tree| tree.leader && !tree.frozen) else { return };
        let (id, incarnation, now) = (id.clone(), tree.incarnation, at(self.ms));
        let (progress_at, at, doing) = (now.mono, now.wall, format!("step {}", self.ms % 3));
        self.give(Event::Beat { id, incarnation, ready, progress_at, busy_until: None, paused, doing, at });
    }

    /// News about a start that is long over.
    pub(crate) fn old_news(&mut self, id: &InstanceId) {
        let current = self.highest.get(id).copied().unwrap_or_default();
        let Some(old) = current.0.checked_sub(1) else { return };
        let (id, incarnation) = (id.clone(), Incarnation(old));
        let process = ProcessRef { pid: 1, pid_start: 1, boot_id: "boot".to_owned() };
        let event = match self.dice.below(4) {
            0 => Event::Died { id, incarnation, how: How::Exit(1), oom: false, last_line: None },
            1 => Event::TreeEmpty { id, incarnation },
            2 => Event::Spawned { id, incarnation, process },
            _ => Event::SpawnFailed { id, incarnation, error: "old".to_owned(), machine_full: false },
        };
        self.give(event);
    }

    pub(crate) fn ask(&mut self, verb: Verb) {
        self.commands += 1;
        let command = CommandId::new(&format!("c{}", self.commands)).unwrap();
        self.replies.entry(command.clone()).or_default();
        self.give(Event::Command { command, verb, from: "test".to_owned() });
    }

    /// The configuration is changed and read again: one member is run differently, and the last comes or goes.
    pub(crate) fn apply(&mut self) {
        let dice = self.dice.below(3);
        let mut settings = self.settings.clone();
        match settings.specs.len() {
            3 if dice == 0 => drop(settings.specs.pop()),
            2 if dice == 0 => settings.specs.push(super::scene::spec(3)),
            _ if dice == 1 => settings.specs[0].env.push(("A".to_owned(), self.ms.to_string())),
            _ => settings.specs[1].limit = None,
        }
        self.settings = settings.clone();
        self.commands += 1;
        let command = CommandId::new(&format!("c{}", self.commands)).unwrap();
        self.replies.entry(command.clone()).or_default();
        self.give(Event::Reread {
            command,
            dry_run: self.ms.is_multiple_of(7),
            outcome: Ok(Box::new(settings)),
        });
    }

    pub(crate) fn touch_stop_file(&mut self, present: bool) {
        self.stop_file = present;
        self.give(Event::StopFile { present, text: "by hand".to_owned() });
    }

    /// Ids the dice may choose from: those of the specs, one added by scale, one that never exists.
    pub(crate) fn some_id(&mut self) -> InstanceId {
        id(1 + u32::try_from(self.dice.below(5)).unwrap())
    }

    /// The loop was held up: nothing happens for so long.
    pub(crate) fn freeze(&mut self, ms: u64) {
        self.ms += ms;
        self.give(Event::Tick);
    }

    /// Time passes, and every deadline is met.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.ms + ms;
        while let Some(wake) = self.wake_at.filter(|wake| *wake <= at(end).mono && !self.exited) {
            let ahead = u64::try_from(wake.since(at(self.ms).mono).as_millis()).unwrap();
            self.ms += ahead;
            self.give(Event::Tick);
        }
        if !self.exited {
            self.ms = self.ms.max(end);
            self.give(Event::Tick);
        }
    }

    /// Nothing bad happens any more: everything waiting is delivered, the living say so, time passes until all is well.
    pub(crate) fn calm(&mut self, ms: u64) {
        let end = self.ms + ms;
        while !self.exited && self.ms < end && self.restless() {
            while !self.exited && self.deliver() {}
            for id in self.trees.keys().cloned().collect::<Vec<_>>() {
                if !self.exited && self.trees.get(&id).is_some_and(|tree| tree.leader && tree.frozen) {
                    self.signal(&id, 18);
                }
                let paused = self.fleet.get(&id).is_some_and(|i| i.desired == Desired::Paused);
                self.beat(&id, true, paused);
            }
            if !self.exited {
                self.pass(4000);
            }
        }
    }

    fn restless(&self) -> bool {
        self.queue.values().any(|queue| !queue.is_empty())
            || self.fleet.instances.values().any(|instance| !self.as_wanted(instance))
    }

    /// Whether it is up and well if it should be, and down if not.
    fn as_wanted(&self, instance: &Instance) -> bool {
        let pause = instance.desired == Desired::Paused;
        let up = match &instance.phase {
            Phase::Alive(alive) if alive.ready_at.is_some() && alive.paused == pause => true,
            Phase::Down(_) | Phase::Failed { .. } => false,
            Phase::Waiting(wait) => return wait.hopeless && instance.desired != Desired::Stopped,
            _ => return false,
        };
        let given_up = matches!(instance.phase, Phase::Failed { .. } | Phase::Down(Rest::Finished(_)));
        up == (instance.desired != Desired::Stopped && !self.fleet.latched() && !given_up)
    }

    /// After calm: what is wanted is what is, everybody was answered, every death was told once.
    pub(crate) fn judge_calm(&self) {
        for (id, instance) in &self.fleet.instances {
            assert!(self.as_wanted(instance), "{id} is not as wanted: {instance:?}");
        }
        for (command, count) in &self.replies {
            assert_eq!(*count, 1, "{command} was answered {count} times");
        }
        for (key, deaths) in self.deaths.iter().filter(|(_, deaths)| **deaths > 0) {
            assert_eq!(self.told.get(key), Some(deaths), "the death of {key:?}");
        }
    }
}
