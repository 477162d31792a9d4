//! Who thinks, and how soon.

use std::time::{Duration, Instant};

use tachi_shared::id::Recipient;
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
