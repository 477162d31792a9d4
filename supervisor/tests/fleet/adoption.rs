//! Taking a directory in which something already happened.

use serde_json::json;
use tachi::fleet::event::{How, LastWords};
use tachi::fleet::{Event, rows};
use tachi_shared::id::Incarnation;
use tachi_shared::registry::{DeathKind, Desired, Row, Status};

use super::scene::{Scene, began, id, process, settings, shown};

/// The rows of a running fleet, as its supervisor left them.
fn left(n: u32) -> Vec<Row> {
    let scene = Scene::running(n);
    rows(&scene.fleet, scene.now)
}

#[test]
fn p15_the_living_are_adopted_at_their_incarnation_and_stay_ready() {
    let mut scene = Scene::new(&settings(2));
    let mut before = left(2);
    before[0].extra.insert("note".to_owned(), json!("by hand"));
    before[0].restarts = 7;
    let alive = vec![(id(1), Incarnation(1), process(1, 1)), (id(2), Incarnation(1), process(2, 1))];
    assert_eq!(shown(scene.give(100, began(before, alive))), [""; 0]);
    scene.check("100 ? 1 ready \n 100 ? 2 ready");
    let row = scene.row(1);
    assert_eq!((row.pid, row.incarnation.0, row.restarts), (Some(1001), 1, 7));
    assert_eq!(row.extra.get("note"), Some(&json!("by hand")));
    scene.check("9000 lost 1#1 => kill 1#1 \n 9000 empty 1#1 => spawn 1#2, release 1#1, tell 1");
}

#[test]
fn p57_who_died_unseen_is_recorded_emptied_and_replaced() {
    let mut scene = Scene::new(&settings(1));
    assert_eq!(shown(scene.give(100, began(left(1), Vec::new()))), ["kill 1#1"]);
    assert!(scene.recorded().contains(&"died".to_owned()));
    scene.check("100 ? 1 lost \n 101 empty 1#1 => spawn 1#2, release 1#1, tell 1");
    assert_eq!(scene.row(1).last_death.unwrap().cause, "lost");
}

#[test]
fn p44_who_was_stopped_stays_down_and_who_failed_is_forgiven() {
    let mut scene = Scene::new(&settings(3));
    let mut before = left(3);
    for row in &mut before {
        row.pid = None;
        row.status = Status::Stopped;
        row.backoff.level = 3;
    }
    before[1].desired = Desired::Stopped;
    before[2].status = Status::Failed;
    assert_eq!(shown(scene.give(100, began(before, Vec::new()))), ["spawn 1#2", "spawn 3#2"]);
    scene.check("100 ? 2 stopped");
    assert_eq!([1, 2, 3].map(|k| scene.row(k).backoff.level), [3, 3, 0]);
}

#[test]
fn stamps_of_another_boot_are_void() {
    let mut scene = Scene::new(&settings(1));
    let mut before = left(1);
    before[0].pid = None;
    before[0].backoff.level = 2;
    before[0].backoff.crashes = vec![super::scene::at(50).mono];
    before[0].backoff.boot_id = "another".to_owned();
    scene.give(100, began(before, Vec::new()));
    assert_eq!((scene.row(1).backoff.level, scene.row(1).backoff.crashes.len()), (2, 0));
}

#[test]
fn who_lives_without_belonging_is_drained_highest_first_and_dead_rows_are_dropped() {
    let mut scene = Scene::new(&settings(1));
    let mut before = left(5);
    before[3].pid = None;
    before[3].status = Status::Stopped;
    let alive = [1, 2, 3, 5].map(|k| (id(k), Incarnation(1), process(k, 1))).to_vec();
    assert_eq!(
        shown(scene.give(100, began(before, alive))),
        ["TERM 5", "CONT 5", "TERM 3", "CONT 3", "TERM 2", "CONT 2"]
    );
    scene.check("101 exit 5#1 0 => kill 5#1 \n 101 empty 5#1 => release 5#1");
    let ids: Vec<String> = rows(&scene.fleet, scene.now).iter().map(|r| r.instance_id.to_string()).collect();
    assert_eq!(ids, ["instance_1", "instance_3", "instance_2"]);
}

#[test]
fn a_living_instance_without_a_row_is_adopted_not_doubled() {
    let mut scene = Scene::new(&settings(1));
    let alive = vec![(id(1), Incarnation(4), process(1, 4))];
    assert_eq!(shown(scene.give(0, began(Vec::new(), alive))), [""; 0]);
    assert_eq!(scene.row(1).incarnation.0, 4);
    scene.check("0 ? 1 starting \n 10 ready 1#4 => \n 10 ? 1 ready");
}

#[test]
fn the_living_that_should_be_stopped_are_stopped() {
    for latched in [false, true] {
        let mut scene = Scene::new(&settings(1));
        let mut before = left(1);
        before[0].desired = if latched { Desired::Running } else { Desired::Stopped };
        let alive = vec![(id(1), Incarnation(1), process(1, 1))];
        let event =
            Event::Began { rows: before, alive, words: Vec::new(), boot_id: "boot".to_owned(), latched };
        assert_eq!(shown(scene.give(100, event)), ["TERM 1", "CONT 1"]);
    }
}

#[test]
fn p60_silence_from_before_the_adoption_never_counts() {
    let mut scene = Scene::new(&settings(1));
    let alive = vec![(id(1), Incarnation(1), process(1, 1))];
    scene.give(600_000, began(left(1), alive));
    scene.check("600_001 tick => \n 629_000 tick => \n 629_000 ? 1 ready");
}

/// One that is gone, and what it wrote down about its end.
fn left_words(k: u32, incarnation: u32, how: How, requested: bool) -> LastWords {
    LastWords {
        id: id(k),
        incarnation: Incarnation(incarnation),
        how,
        requested,
        at: super::scene::at(50).wall,
        last_line: Some("bye".to_owned()),
    }
}

#[test]
fn p15_a_death_that_nobody_saw_is_told_by_its_last_words_if_they_are_of_that_start() {
    for (words, cause, kind) in [
        (left_words(1, 1, How::Exit(3), false), "crash", DeathKind::Exit),
        (left_words(1, 1, How::Signal(9), false), "external", DeathKind::Signal),
        (left_words(1, 1, How::Signal(11), false), "crash", DeathKind::Signal),
        (left_words(1, 1, How::Signal(15), true), "requested", DeathKind::Signal),
        (left_words(1, 1, How::Exit(0), false), "self", DeathKind::Exit),
        (left_words(1, 7, How::Exit(3), false), "lost", DeathKind::Lost),
    ] {
        let mut scene = Scene::new(&settings(1));
        let event = Event::Began {
            rows: left(1),
            alive: Vec::new(),
            words: vec![words.clone()],
            boot_id: "boot".to_owned(),
            latched: false,
        };
        assert_eq!(shown(scene.give(100, event)), ["kill 1#1"]);
        let death = scene.row(1).last_death.unwrap();
        assert_eq!((death.cause.as_str(), death.kind), (cause, kind), "{words:?}");
        let of_this_start = words.incarnation.0 == 1;
        assert_eq!(death.last_line.as_deref(), of_this_start.then_some("bye"));
        assert_eq!(scene.recorded().iter().filter(|kind| *kind == "died").count(), 1);
        scene.give(101, super::scene::parse(&["empty", "1#1"], 101));
        let spawned = scene.actions.iter().any(|action| matches!(action, tachi::fleet::Action::Spawn { .. }));
        assert!(spawned, "whatever it was, `up` starts it again: {words:?}");
    }
}

#[test]
fn p30_a_job_that_finished_while_nobody_watched_is_done() {
    let mut settings = settings(1);
    settings.specs[0].restart = tachi::settings::RestartPolicy::Job;
    let mut scene = Scene::new(&settings);
    let event = Event::Began {
        rows: left(1),
        alive: Vec::new(),
        words: vec![left_words(1, 1, How::Exit(0), false)],
        boot_id: "boot".to_owned(),
        latched: false,
    };
    scene.give(100, event);
    scene.check("101 empty 1#1 => release 1#1, tell 1 \n 101 ? 1 stopped");
    assert!(scene.row(1).reason.unwrap().contains("as it should"));
}

#[test]
fn p37_who_waited_for_its_first_start_under_an_old_number_has_not_died() {
    let mut settings = settings(2);
    settings.specs[1].needs = vec!["instance_1".to_owned()];
    let retired = [(id(2), Incarnation(4))].into();
    let mut scene = Scene::new(&settings);
    scene.fleet = tachi::fleet::Fleet::new(&settings).with_retired(retired);
    scene.give(0, began(Vec::new(), Vec::new()));
    let before = rows(&scene.fleet, scene.now);
    assert_eq!((before[1].incarnation, before[1].status), (Incarnation(4), Status::Starting));
    let mut next = Scene::new(&settings);
    assert_eq!(shown(next.give(100, began(before, Vec::new()))), ["kill 1#1"], "only the first may live");
    assert_eq!(next.recorded().iter().filter(|kind| *kind == "died").count(), 1);
}
