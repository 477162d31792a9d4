//! A fleet under a script: `check` runs lines of `milliseconds event => expected actions` and compares.
//!
//! `1` stands for `instance_1`, `1#2` for its second start. Records, registry writes and wake-ups are left out of the
//! comparison; tests that are about them look at [`Scene::actions`].

use std::path::PathBuf;
use std::time::Duration;

use tachi::fleet::event::How;
use tachi::fleet::words::signal_name;
use tachi::fleet::{Action, Event, Fleet, next, rows};
use tachi::settings::{BackoffPolicy, Limit, OnFailed, OnLoss, RestartPolicy, Settings, Spec, Until};
use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::command::Verb;
use tachi_shared::id::{CommandId, Incarnation, InstanceId, ProcessRef, Role};
use tachi_shared::registry::{Desired, Kind, Row};

const ROLES: [&str; 4] = ["explorer", "builder", "reflector", "coordinator"];
/// Moment of boot is not moment of start: scripts begin here.
const START_MS: u64 = 1_000_000;

pub(crate) fn id(k: u32) -> InstanceId {
    InstanceId::new(&format!("instance_{k}")).unwrap()
}

pub(crate) fn spec(k: u32) -> Spec {
    let role = ROLES[(k as usize + 3) % 4];
    Spec {
        id: id(k),
        role: Role::new(role).unwrap(),
        kind: Kind::Worker,
        command: Vec::new(),
        cwd: PathBuf::from("/"),
        env: Vec::new(),
        port: None,
        restart: RestartPolicy::Always,
        backoff: BackoffPolicy {
            first: Duration::ZERO,
            base: Duration::from_millis(500),
            max: Duration::from_secs(60),
        },
        limit: Some(Limit { burst: 5, period: Duration::from_secs(60) }),
        grace: Duration::from_secs(10),
        stop_signal: 15,
        backend: "builtin".to_owned(),
        stall_soft: Duration::from_secs(30),
        stall_hard: Duration::from_secs(120),
        needs: Vec::new(),
        ready: None,
        limits: Vec::new(),
        on_failed: OnFailed::Keep,
    }
}

pub(crate) fn settings(n: u32) -> Settings {
    Settings {
        state: PathBuf::from("/state"),
        workspace: PathBuf::from("/data"),
        config: None,
        goal: None,
        specs: (1..=n).map(spec).collect(),
        roles: (1..=4).map(spec).collect(),
        on_supervisor_loss: OnLoss::Continue,
        limits: tachi_shared::log::Limits::default(),
        allow_network_fs: false,
        brake: true,
        orphan_grace: Duration::from_secs(600),
        keep_stop: false,
        until: Until::Stopped,
    }
}

pub(crate) fn at(ms: u64) -> Now {
    let wall = Timestamp::from_unix(1_700_000_000).after(Duration::from_millis(ms));
    Now { wall, mono: Mono::from_millis(START_MS + ms) }
}

pub(crate) fn process(k: u32, incarnation: u32) -> ProcessRef {
    ProcessRef { pid: k * 1000 + incarnation, pid_start: 7, boot_id: "boot".to_owned() }
}

pub(crate) fn began(rows: Vec<Row>, alive: Vec<(InstanceId, Incarnation, ProcessRef)>) -> Event {
    Event::Began { rows, alive, boot_id: "boot".to_owned(), latched: false }
}

pub(crate) fn command(name: &str, verb: Verb) -> Event {
    Event::Command { command: CommandId::new(name).unwrap(), verb, from: "test".to_owned() }
}

pub(crate) fn died(k: u32, incarnation: u32, how: How) -> Event {
    Event::Died { id: id(k), incarnation: Incarnation(incarnation), how, oom: false, last_line: None }
}

/// A fleet, and the moment it is at.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) now: Now,
    pub(crate) actions: Vec<Action>,
}

impl Scene {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { fleet: Fleet::new(settings), now: at(0), actions: Vec::new() }
    }

    /// One event; the actions are kept until the next.
    pub(crate) fn give(&mut self, ms: u64, event: Event) -> &[Action] {
        self.tick_until(ms);
        self.now = at(ms);
        self.actions = next(&mut self.fleet, event, self.now);
        &self.actions
    }

    /// The loop's slow tick, so that a script may jump; what it brings is not compared.
    fn tick_until(&mut self, ms: u64) {
        let mut soon = at(0).mono.since_boot() + self.now.mono.since(at(0).mono) + Duration::from_secs(4);
        while soon < at(ms).mono.since_boot() {
            let tick = at(u64::try_from(soon.as_millis()).unwrap() - START_MS);
            let brought = shown(&next(&mut self.fleet, Event::Tick, tick));
            assert!(
                brought.is_empty(),
                "before {ms} ms time alone brought {brought:?}: say so in the script"
            );
            soon += Duration::from_secs(4);
        }
    }

    /// Runs a script, comparing line by line.
    pub(crate) fn check(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (given, expected) = line.split_once("=>").unwrap_or((line, ""));
            let mut words = given.split_whitespace();
            let ms: u64 = words.next().unwrap().replace('_', "").parse().unwrap();
            let words: Vec<&str> = words.collect();
            if let ["?", k, status] = words[..] {
                let row = self.row(k.parse().unwrap());
                assert_eq!(row.status.word(), status, "at {ms}: {line}\nreason: {:?}", row.reason);
                continue;
            }
            self.give(ms, parse(&words, ms));
            let expected: Vec<String> =
                expected.split(',').map(|word| word.trim().to_owned()).filter(|w| !w.is_empty()).collect();
            assert_eq!(shown(&self.actions), expected, "after: {line}");
        }
    }

    pub(crate) fn row(&self, k: u32) -> Row {
        rows(&self.fleet, self.now).into_iter().find(|row| row.instance_id == id(k)).unwrap()
    }

    /// Kinds of the events recorded by the last step.
    pub(crate) fn recorded(&self) -> Vec<String> {
        let kind = |action: &Action| match action {
            Action::Record(event) => Some(event.kind.clone()),
            _ => None,
        };
        self.actions.iter().filter_map(kind).collect()
    }

    /// Every instance spawned and ready at 10 ms.
    pub(crate) fn running(n: u32) -> Self {
        Self::running_with(&settings(n))
    }

    pub(crate) fn running_with(settings: &Settings) -> Self {
        let mut scene = Self::new(settings);
        scene.give(0, began(Vec::new(), Vec::new()));
        for k in 1..=u32::try_from(settings.specs.len()).unwrap() {
            scene.give(5, parse(&["spawned", &format!("{k}#1")], 5));
            scene.give(10, parse(&["ready", &format!("{k}#1")], 10));
        }
        scene
    }
}

fn start(text: &str) -> (u32, u32) {
    let (k, incarnation) = text.split_once('#').unwrap();
    (k.parse().unwrap(), incarnation.parse().unwrap())
}

fn verb(words: &[&str]) -> Verb {
    let names = |words: &[&str]| {
        let full =
            |w: &&str| if w.parse::<u32>().is_ok() { format!("instance_{w}") } else { (*w).to_owned() };
        words.iter().map(full).collect::<Vec<String>>()
    };
    match words {
        ["down"] => Verb::Down,
        ["pause-all"] => Verb::PauseAll,
        ["start", targets @ ..] => Verb::Start { targets: names(targets) },
        ["stop", targets @ ..] => Verb::Stop { targets: names(targets) },
        ["restart", targets @ ..] => Verb::Restart { targets: names(targets) },
        ["apply"] => Verb::Apply { dry_run: false },
        ["preview"] => Verb::Apply { dry_run: true },
        ["rolling", targets @ ..] => Verb::Rolling { targets: names(targets) },
        ["reset", targets @ ..] => Verb::Reset { targets: names(targets) },
        ["pause", targets @ ..] => Verb::Pause { targets: names(targets) },
        ["resume", targets @ ..] => Verb::Resume { targets: names(targets) },
        ["kill", signal, targets @ ..] => {
            Verb::Kill { targets: names(targets), signal: (*signal).to_owned() }
        }
        ["scale", role, count] => Verb::Scale { role: (*role).to_owned(), count: count.parse().unwrap() },
        other => panic!("no such verb: {other:?}"),
    }
}

/// One event from the words of a script line.
pub(crate) fn parse(words: &[&str], ms: u64) -> Event {
    let of = |text: &str| {
        let (k, incarnation) = start(text);
        (k, id(k), Incarnation(incarnation))
    };
    let beat = |text: &str, ready: bool, paused: bool, busy: Option<u64>| {
        let (_, id, incarnation) = of(text);
        let busy_until = busy.map(|ms| at(ms).mono);
        let doing = "waiting".to_owned();
        let (progress_at, at) = (at(ms).mono, at(ms).wall);
        Event::Beat { id, incarnation, ready, progress_at, busy_until, paused, doing, at }
    };
    match words {
        ["began"] => began(Vec::new(), Vec::new()),
        ["spawned", which] => {
            let (k, id, incarnation) = of(which);
            Event::Spawned { id, incarnation, process: process(k, incarnation.0) }
        }
        ["spawn-failed", which, full] => {
            let (_, id, incarnation) = of(which);
            let machine_full = *full == "full";
            Event::SpawnFailed { id, incarnation, error: "no such file".to_owned(), machine_full }
        }
        ["ready", which] => beat(which, true, false, None),
        ["paused", which] => beat(which, true, true, None),
        ["beat", which] => beat(which, false, false, None),
        ["busy", which, until] => beat(which, true, false, Some(until.replace('_', "").parse().unwrap())),
        ["oom", which] => {
            let (_, id, incarnation) = of(which);
            Event::Died { id, incarnation, how: How::Signal(9), oom: true, last_line: None }
        }
        ["lost", which] => died(start(which).0, start(which).1, How::Lost),
        ["killed", which, signal] => {
            died(start(which).0, start(which).1, How::Signal(signal.parse().unwrap()))
        }
        ["exit", which, code] => died(start(which).0, start(which).1, How::Exit(code.parse().unwrap())),
        ["empty", which] => {
            let (_, id, incarnation) = of(which);
            Event::TreeEmpty { id, incarnation }
        }
        ["frozen", k] => Event::Frozen { id: id(k.parse().unwrap()), frozen: true },
        ["thawed", k] => Event::Frozen { id: id(k.parse().unwrap()), frozen: false },
        ["edited", k, desired] => {
            let desired = match *desired {
                "stopped" => Desired::Stopped,
                "paused" => Desired::Paused,
                _ => Desired::Running,
            };
            Event::Edited { id: id(k.parse().unwrap()), desired }
        }
        ["stop-file", there] => Event::StopFile { present: *there == "there", text: "tea".to_owned() },
        ["terminate"] => Event::Terminate { why: "SIGTERM".to_owned() },
        ["leave"] => Event::Leave,
        ["tick"] => Event::Tick,
        [name, "asks", rest @ ..] => command(name, verb(rest)),
        other => panic!("no such event: {other:?}"),
    }
}

/// Actions in the words of the scripts.
pub(crate) fn shown(actions: &[Action]) -> Vec<String> {
    let short = |id: &InstanceId| id.as_str().trim_start_matches("instance_").to_owned();
    let show = |action: &Action| {
        Some(match action {
            Action::Spawn { id, incarnation } => format!("spawn {}#{incarnation}", short(id)),
            Action::Signal { id, signal } => {
                format!("{} {}", signal_name(*signal).trim_start_matches("SIG"), short(id))
            }
            Action::KillTree { id, incarnation } => format!("kill {}#{incarnation}", short(id)),
            Action::Ring { id } => format!("ring {}", short(id)),
            Action::ReleaseTasks { id, incarnation, .. } => format!("release {}#{incarnation}", short(id)),
            Action::Announce { id, .. } => format!("tell {}", short(id)),
            Action::Reply { command, code, .. } => format!("reply {command} {code}"),
            Action::Reread { command, .. } => format!("reread {command}"),
            Action::LatchStop(_) => "latch".to_owned(),
            Action::ClearStop => "clear".to_owned(),
            Action::Exit(code) => format!("exit {code}"),
            Action::Record(_) | Action::SaveRegistry | Action::WakeAt(_) => return None,
        })
    };
    actions.iter().filter_map(show).collect()
}

/// A running fleet of `n` under a script.
pub(crate) fn check(n: u32, script: &str) {
    Scene::running(n).check(script);
}
