//! Who thinks, and how soon.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tachi_shared::id::Recipient;
use tachi_shared::log::dead_letter;
use tachi_shared::os::Disk;
use tachi_shared::queue::MessageKind;

use super::team::{Team, wait_until};

#[test]
fn b07b_presence_makes_nobody_think_and_one_message_only_the_one_it_is_for() {
    let mut team = Team::new(1);
    team.start("a", "explorer");
    team.start("b", "builder");
    wait_until("rest", || team.survey_is_done() && team.is_waiting("a") && team.is_waiting("b"));
    for number in 0..20 {
        let kind = [MessageKind::Presence, MessageKind::Memory, MessageKind::Vote][number % 3].clone();
        team.send("broadcast", kind, &format!("noise.1.{number}"));
    }
    team.send("b", MessageKind::Human, "operator.1.1");
    wait_until("the answer", || team.replies_to("operator.1.1") == 1);
    wait_until("all read", || {
        let read = |id| {
            team.state_of(id).is_some_and(|state| state.logs.iter().any(|line| line.contains("vote from")))
        };
        read("a") && read("b")
    });
    let answers = |id: &str| {
        team.state_of(id).unwrap().usage.get("answers").and_then(serde_json::Value::as_u64).unwrap_or(0)
    };
    assert_eq!((answers("a"), answers("b")), (0, 1));
    let replies = team.messages().iter().filter(|message| message.draft.reply_to.is_some()).count();
    assert_eq!(replies, 1);
}

#[test]
fn asked_in_the_middle_of_the_survey_it_answers_within_five_seconds() {
    let mut team = Team::plain(1_500);
    team.start("x", "explorer");
    wait_until("work", || team.state_of("x").is_some_and(|state| state.hook.is_some()));
    let asked = Instant::now();
    team.send("x", MessageKind::Question, "operator.1.1");
    wait_until("the answer", || team.replies_to("operator.1.1") == 1);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let messages = team.messages();
    let reply = messages.iter().find(|message| message.draft.reply_to.is_some()).unwrap();
    assert_eq!((&reply.draft.kind, &reply.draft.to), (&MessageKind::Answer, &Recipient::Operator));
}

/// A model that answers every call the same way, or never.
fn model(response: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut hanging = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 16 * 1024];
            let _size = stream.read(&mut request);
            match response {
                Some(response) => drop(stream.write_all(response.as_bytes())),
                None => hanging.push(stream),
            }
        }
    });
    format!("http://{address}/v1")
}

/// The text with which a worker with this model answers one message.
fn answer_with(team: &mut Team, base_url: &str) -> String {
    start_with_model(team, base_url);
    team.send("x", MessageKind::Human, "operator.1.1");
    wait_until("the answer", || team.replies_to("operator.1.1") == 1);
    let messages = team.messages();
    messages.iter().find(|message| message.draft.reply_to.is_some()).unwrap().draft.text().into_owned()
}

/// Starts a worker with this model; returns which it is.
fn start_with_model(team: &mut Team, base_url: &str) -> usize {
    let mut command = team.command("x", "explorer");
    command.args(["--backend", "tiny"]).env("TACHI_LLM_BASE_URL", base_url).env("TACHI_LLM_MODEL", "m");
    team.workers.push(command.spawn().unwrap());
    wait_until("ready", || team.state_of("x").is_some_and(|state| state.ready_at.is_some()));
    team.workers.len() - 1
}

#[test]
fn a_model_that_is_configured_answers_and_one_that_fails_is_said_to_have_failed() {
    let good = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"forty-two\"}}]}";
    assert_eq!(answer_with(&mut Team::plain(1), &model(Some(good))), "forty-two");
    let bad = "HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\nlater";
    assert_eq!(
        answer_with(&mut Team::plain(1), &model(Some(bad))),
        "The model tiny did not answer: status 503: later"
    );
}

#[test]
fn m09_a_model_that_hangs_delays_neither_the_work_nor_the_stop() {
    let mut team = Team::plain(100);
    start_with_model(&mut team, &model(None));
    team.send("x", MessageKind::Human, "operator.1.1");
    wait_until("the survey", || team.survey_is_done());
    let asked = Instant::now();
    team.signal(0, Signal::SIGTERM);
    assert_eq!(team.wait(0).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(team.replies_to("operator.1.1"), 0);
    team.start("x", "explorer");
    wait_until("the successor's answer", || team.replies_to("operator.1.1") == 1);
}

#[test]
fn s23_39_a_message_over_which_every_start_dies_is_given_up_listed_and_told() {
    let mut team = Team::plain(1);
    let model = model(None);
    team.send("x", MessageKind::Human, "operator.1.1");
    let tries = |team: &Team| team.state_of("x").and_then(|state| state.tries.values().next().copied());
    for start in 1..=5 {
        let worker = start_with_model(&mut team, &model);
        wait_until("it is begun", || tries(&team) == Some(start));
        team.signal(worker, Signal::SIGKILL);
        team.wait(worker);
    }
    // Another message behind it, which the successor must reach.
    team.send("x", MessageKind::Human, "operator.1.2");
    start_with_model(&mut team, &model);
    wait_until("the next one is begun", || {
        team.state_of("x")
            .is_some_and(|state| state.tries.keys().any(|seq| Some(*seq) == team.seq_of("operator.1.2")))
    });
    let letters = dead_letter::all(&Disk, team.store().dir()).unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.seq, letter.by.as_deref()), (team.seq_of("operator.1.1"), Some("x")));
    assert!(letter.reason.contains("5 starts") && letter.line.contains("how many files"), "{letter:?}");
    wait_until("people are told", || team.events().iter().any(|event| event.kind == "dead-letter"));
}
