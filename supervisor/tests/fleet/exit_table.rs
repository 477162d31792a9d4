//! P30, P42, P43: every exit code and every signal, by every cause, under every policy. What must follow is written here
//! anew, as a table of its own, and compared with what the mind does.

use std::time::Duration;

use tachi::fleet::Event;
use tachi::fleet::event::How;
use tachi::fleet::words::signal_name;
use tachi::settings::{RestartPolicy, Settings};
use tachi_shared::registry::{Row, Status};

use super::scene::{Scene, id, parse, settings, shown};
use tachi_shared::id::Incarnation;

/// When the instance dies: ready for long, and after its silence was judged.
const DIES_AT: u64 = 6_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nobody,
    Person,
    Watchdog,
}

#[derive(Debug, PartialEq, Eq)]
enum Follows {
    Start,
    Nothing(Status),
}

/// The cause that must be told.
fn cause(asked: Asked, how: &How, oom: bool) -> &'static str {
    // SEGV, ABRT, BUS, FPE, ILL, TRAP, SYS, PIPE, XCPU, XFSZ: what a process does to itself.
    let faults = [11, 6, 7, 8, 4, 5, 31, 13, 24, 25];
    match (asked, how) {
        (Asked::Person, _) => "requested",
        (Asked::Watchdog, _) => "watchdog",
        (_, How::Signal(9)) if oom => "oom",
        (_, How::Signal(number)) if faults.contains(number) => "crash",
        (_, How::Signal(_)) => "external",
        (_, How::Exit(0)) => "self",
        (_, How::Exit(_)) => "crash",
        (_, How::Lost) => "lost",
    }
}

/// What must come of it.
fn follows(policy: RestartPolicy, asked: Asked, how: &How) -> Follows {
    match (asked, how) {
        (Asked::Person, _) => Follows::Nothing(Status::Stopped),
        (Asked::Nobody, How::Exit(0)) if policy != RestartPolicy::Always => Follows::Nothing(Status::Stopped),
        (_, How::Exit(78)) => Follows::Nothing(Status::Failed),
        _ if policy == RestartPolicy::Never => Follows::Nothing(Status::Failed),
        _ => Follows::Start,
    }
}

fn fleet(policy: RestartPolicy) -> Settings {
    let mut settings = settings(1);
    settings.specs[0].restart = policy;
    // Silence is over its limit when the time comes, so that a tick is the watchdog's.
    settings.specs[0].stall_soft = Duration::from_millis(5_000);
    settings.specs[0].stall_hard = Duration::from_millis(5_500);
    settings
}

fn check(policy: RestartPolicy, asked: Asked, how: &How, oom: bool) {
    let case = format!("{policy:?}, {asked:?}, {how:?}, oom: {oom}");
    let mut scene = Scene::running_with(&fleet(policy));
    match asked {
        Asked::Nobody => {}
        Asked::Person => drop(scene.give(4_000, parse(&["c", "asks", "stop", "1"], 4_000))),
        Asked::Watchdog => {
            scene.give(5_200, Event::Tick);
            let ended = shown(scene.give(5_600, Event::Tick));
            assert_eq!(ended, ["kill 1#1"], "{case}");
        }
    }
    let event =
        Event::Died { id: id(1), incarnation: Incarnation(1), how: how.clone(), oom, last_line: None };
    scene.give(DIES_AT, event);
    let told = scene.recorded().iter().filter(|kind| *kind == "died").count();
    assert_eq!(told, 1, "{case}: recorded once");
    let actions = shown(scene.give(DIES_AT, parse(&["empty", "1#1"], DIES_AT)));
    let row = scene.row(1);
    let starts = actions.iter().filter(|action| *action == "spawn 1#2").count();
    match follows(policy, asked, how) {
        Follows::Start => assert_eq!((starts, row.status), (1, Status::Starting), "{case}: {actions:?}"),
        Follows::Nothing(status) => assert_eq!((starts, row.status), (0, status), "{case}: {actions:?}"),
    }
    assert_eq!(death(&row), words(asked, how, oom), "{case}");
}

/// Kind, code, signal and cause as recorded.
fn death(row: &Row) -> (String, Option<i32>, Option<String>, String) {
    let death = row.last_death.clone().unwrap();
    let kind = serde_json::to_value(death.kind).unwrap().as_str().unwrap().to_owned();
    (kind, death.code, death.signal, death.cause)
}

fn words(asked: Asked, how: &How, oom: bool) -> (String, Option<i32>, Option<String>, String) {
    let (kind, code, signal) = match how {
        How::Exit(code) => ("exit", Some(*code), None),
        How::Signal(number) => ("signal", None, Some(signal_name(*number))),
        How::Lost => ("lost", None, None),
    };
    (kind.to_owned(), code, signal, cause(asked, how, oom).to_owned())
}

#[test]
fn p30_every_exit_code_and_signal_by_every_cause_under_every_policy() {
    let policies =
        [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never, RestartPolicy::Job];
    let codes = (0..256).map(How::Exit);
    let signals = (1..=64).filter(|number| !matches!(number, 32 | 33)).map(How::Signal);
    let ends: Vec<How> = codes.chain(signals).chain([How::Lost]).collect();
    let mut cases = 0;
    for policy in policies {
        for asked in [Asked::Nobody, Asked::Person, Asked::Watchdog] {
            for how in &ends {
                for oom in [false, true] {
                    check(policy, asked, how, oom);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 4 * 3 * (256 + 62 + 1) * 2);
}
