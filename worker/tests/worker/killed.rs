//! A worker killed at any moment: its successor goes on, nothing is lost or done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use tachi_shared::queue::MessageKind;
use tachi_shared::task::TaskStatus;

use super::team::{Team, name, wait_until};

#[test]
fn m06_killed_again_and_again_the_work_is_done_once_and_every_message_answered_once() {
    let mut team = Team::plain(400);
    let mut asked = Vec::new();
    for round in 0..12_u64 {
        let worker = team.start("x", "explorer");
        let incarnation = u32::try_from(round).unwrap() + 1;
        wait_until("ready", || team.is_ready("x", incarnation));
        for number in 0..3 {
            let id = format!("operator.{round}.{number}");
            team.send("x", MessageKind::Human, &id);
            asked.push(id);
        }
        std::thread::sleep(Duration::from_millis((round * 37) % 120));
        team.signal(worker, Signal::SIGKILL);
        team.wait(worker);
    }
    let worker = team.start("x", "explorer");
    wait_until("the survey", || team.survey_is_done() && team.is_waiting("x"));
    wait_until("all answers", || asked.iter().all(|id| team.replies_to(id) >= 1));
    team.signal(worker, Signal::SIGTERM);
    team.wait(worker);
    for id in &asked {
        assert_eq!(team.replies_to(id), 1, "{id}");
    }
    let mut ids = BTreeMap::new();
    for message in team.messages() {
        *ids.entry(message.draft.id).or_insert(0) += 1;
    }
    assert!(ids.values().all(|count| *count == 1), "{ids:?}");
    let board = team.board();
    assert!(board.tasks.values().all(|task| task.status == TaskStatus::Done), "{:#?}", board.tasks);
}

#[test]
fn w03_the_hook_of_the_killed_is_what_the_successor_goes_on_with_first() {
    let mut team = Team::plain(1_500);
    let mut hook = None;
    let worker = team.start("x", "explorer");
    wait_until("a hook", || {
        hook = team.state_of("x").and_then(|state| state.hook);
        if hook.is_some() {
            team.signal(worker, Signal::SIGKILL);
        }
        hook.is_some()
    });
    team.wait(worker);
    let left = team.state_of("x").unwrap().hook;
    team.start("x", "explorer");
    wait_until("patrol", || {
        team.events()
            .iter()
            .any(|event| event.text.starts_with("patrol") && event.incarnation.is_some_and(|i| i.0 == 2))
    });
    if let Some(hook) = left {
        let task = team.board().tasks[&hook.task].clone();
        assert_eq!((task.status, task.finished_by), (TaskStatus::Done, Some(name("x"))));
    }
}
