//! The mind as tables: what happens → what is asked for.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::id::{Incarnation, InstanceId, Recipient, Role, Seq, TaskId};
use tachi_shared::instance::{Hook, InstanceState};
use tachi_shared::log::{Cursor, Gap};
use tachi_shared::queue::{Arrival, Draft, Message, MessageKind};

use super::action::{Action, PlanEnd, Reason, Step, Work};
use super::event::{Event, HookFate, Look, Settlement};
use super::state::{Guard, Identity, Phase, Turn};
use super::{inbox, next};
use crate::backend::builtin::{Duty, Outcome, Peer, Say};
use crate::settings::OrphanRule;

fn at(seconds: u64) -> Now {
    Now { wall: Timestamp::from_unix(1_000_000), mono: Mono::from_millis(seconds * 1000) }
}

fn peer(id: &str, role: &str) -> Peer {
    Peer { id: InstanceId::new(id).unwrap(), role: Role::new(role).unwrap() }
}

fn who(incarnation: u32) -> Identity {
    let me = peer("b", "builder");
    Identity { me, incarnation: Incarnation(incarnation), pid: 7, boot_id: "boot".to_owned() }
}

fn turn_after(predecessor: Option<InstanceState>) -> Turn {
    let incarnation = predecessor.as_ref().map_or(1, |state| state.incarnation.0 + 1);
    let grace = OrphanRule::Grace(Duration::from_secs(600));
    Turn::new(who(incarnation), predecessor, Guard::Supervised, grace, at(0))
}

fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

fn hook(name: &str) -> Hook {
    Hook { task: task(name), fence: 9, title: name.to_owned(), since: Timestamp::EPOCH, owed: Vec::new() }
}

fn look(hook: HookFate, duty: Duty) -> Event {
    Event::Board(Look { hook, left_behind: None, duty, unfinished: false })
}

fn arrival(seq: u64, to: &str, from: &str, kind: MessageKind) -> Arrival {
    let draft =
        Draft::new(to.parse().unwrap(), from, kind, format!("{from}.1.{seq}"), Timestamp::EPOCH, "text");
    Arrival::Message(Box::new(Message { seq: Seq(seq), draft }))
}

fn arrived(arrivals: Vec<Arrival>, seq: u64) -> Event {
    let cursor = Cursor { seq: Seq(seq), ..Cursor::default() };
    Event::Arrived { arrivals, cursor, more: false, peers: Vec::new() }
}

fn said(text: &str) -> Outcome {
    Outcome::Done {
        result: Value::from(1),
        changes: Vec::new(),
        say: vec![Say { kind: MessageKind::TaskComplete, text: text.to_owned() }],
        remember: Vec::new(),
    }
}

/// Actions as short words, so that a table reads as a story. Prints are left out.
fn words(actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Commit => "commit".to_owned(),
        Action::Send { again } => if *again { "send-again" } else { "send" }.to_owned(),
        Action::Record { kind, text } => format!("{kind}:{}", text.split(':').next().unwrap()),
        Action::ReadInbox => "read".to_owned(),
        Action::ReadControl => "control".to_owned(),
        Action::Announce => "announce".to_owned(),
        Action::Answer(message) => format!("answer:{}", message.draft.id),
        Action::GiveUp(message, _) => format!("give-up:{}", message.draft.id),
        Action::Renew(_) => "renew".to_owned(),
        Action::RingTasks => "ring".to_owned(),
        Action::RingSupervisor => "ring-supervisor".to_owned(),
        Action::Work(Work::Look) => "look".to_owned(),
        Action::Work(Work::Claim(task)) => format!("claim:{task}"),
        Action::Work(Work::Survey) => "survey".to_owned(),
        Action::Work(Work::Perform(hook)) => format!("perform:{}", hook.task),
        Action::Work(Work::Settle(_)) => "settle".to_owned(),
        Action::Work(Work::LetGo) => "let-go".to_owned(),
        Action::Leave(reason) => format!("leave:{reason}"),
        Action::Print(_) => String::new(),
    };
    actions.iter().map(word).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(turn: &mut Turn, event: Event, now: Now, expected: &str) {
    let what = format!("{event:?}");
    assert_eq!(words(&next(turn, event, now)), expected, "after {what}");
}

/// A turn that went through its first steps and rests.
fn resting() -> Turn {
    let mut turn = turn_after(None);
    next(&mut turn, Event::Started { end: Seq(0), damaged: None }, at(0));
    next(&mut turn, Event::Sent, at(0));
    next(&mut turn, look(HookFate::Empty, Duty::Rest), at(0));
    next(&mut turn, arrived(Vec::new(), 0), at(0));
    next(&mut turn, look(HookFate::Empty, Duty::Rest), at(0));
    assert_eq!(turn.phase, Phase::Idle);
    assert_eq!(turn.file.current_task, "Waiting");
    turn
}

/// A turn at work on task `t`.
fn working() -> Turn {
    let mut turn = resting();
    next(&mut turn, Event::Rung { messages: false, tasks: true, control: false }, at(1));
    next(&mut turn, look(HookFate::Empty, Duty::Claim(task("t"))), at(1));
    next(&mut turn, Event::Claimed(hook("t")), at(1));
    assert_eq!(turn.phase, Phase::Working);
    turn
}

#[test]
fn w03_the_first_steps_are_heartbeat_outbox_hook_inbox_patrol() {
    let mut turn = turn_after(None);
    let start = Event::Started { end: Seq(5), damaged: None };
    check(&mut turn, start, at(0), "step:heartbeat step:outbox commit announce control send");
    assert!(turn.file.running && turn.file.ready_at.is_some());
    check(&mut turn, Event::Sent, at(0), "look");
    check(&mut turn, look(HookFate::Empty, Duty::Survey), at(0), "step:hook read");
    check(&mut turn, arrived(Vec::new(), 5), at(0), "step:inbox look");
    check(&mut turn, look(HookFate::Empty, Duty::Survey), at(0), "step:patrol commit survey");
}

#[test]
fn what_the_predecessor_owes_goes_out_before_anything_else_with_its_own_ids() {
    let mut old = working().file;
    old.outbox =
        vec![Draft::new(Recipient::Operator, "b", MessageKind::Reply, "b.1.7".into(), at(0).wall, "x")];
    old.sent = 7;
    let mut turn = turn_after(Some(old));
    let start = Event::Started { end: Seq(5), damaged: None };
    check(&mut turn, start, at(0), "step:heartbeat step:outbox commit announce control send-again");
    let ids: Vec<_> = turn.file.outbox.iter().map(|draft| draft.id.as_str()).collect();
    assert_eq!(ids, ["b.1.7", "b.2.8"]);
    check(&mut turn, Event::Unsent("full".into()), at(0), "");
    check(&mut turn, Event::Rung { messages: true, tasks: true, control: false }, at(1), "");
    check(&mut turn, Event::Tick, at(1), "commit send-again");
    check(&mut turn, Event::Sent, at(1), "look");
    assert!(turn.file.outbox.is_empty());
}

#[test]
fn a_hook_found_is_executed_before_the_inbox_is_read() {
    let mut turn = turn_after(Some(working().file));
    next(&mut turn, Event::Started { end: Seq(0), damaged: None }, at(2));
    check(&mut turn, Event::Sent, at(2), "look");
    check(&mut turn, look(HookFate::Live, Duty::Rest), at(2), "step:hook claim:t");
    check(&mut turn, Event::Claimed(hook("t")), at(2), "commit perform:t");
    check(&mut turn, Event::Ended(said("done")), at(3), "commit settle");
    check(&mut turn, Event::Settled(Settlement::Recorded), at(3), "commit send read");
    assert_eq!(turn.file.hook, None);
}

#[test]
fn a_claim_without_a_hook_is_taken_up_by_the_successor_first() {
    let mut turn = turn_after(Some(resting().file));
    next(&mut turn, Event::Started { end: Seq(0), damaged: None }, at(2));
    next(&mut turn, Event::Sent, at(2));
    let left = Look {
        hook: HookFate::Empty,
        left_behind: Some(task("t")),
        duty: Duty::Claim(task("other")),
        unfinished: true,
    };
    check(&mut turn, Event::Board(left), at(2), "step:hook claim:t");
}

#[test]
fn what_is_said_about_a_task_is_said_once_wherever_the_teller_is_killed() {
    let mut turn = working();
    check(&mut turn, Event::Ended(said("t is done")), at(2), "commit settle");
    let killed_before_the_board_knew = turn.file.clone();
    assert!(turn.file.outbox.is_empty(), "nothing is sent that is not on the board");
    let owed = turn.file.hook.as_ref().unwrap().owed.clone();
    assert_eq!(owed.len(), 1);
    check(&mut turn, Event::Settled(Settlement::Recorded), at(2), "commit send look");
    assert_eq!(turn.file.outbox, owed);

    let mut successor = turn_after(Some(killed_before_the_board_knew));
    next(&mut successor, Event::Started { end: Seq(0), damaged: None }, at(3));
    next(&mut successor, Event::Sent, at(3));
    check(&mut successor, look(HookFate::Finished, Duty::Rest), at(3), "ring commit send step:hook read");
    assert_eq!(successor.file.outbox, owed, "the same id: a send that got through is not repeated");
    assert_eq!(successor.file.hook, None);
}

#[test]
fn an_outcome_whose_claim_was_lost_counts_for_nothing_and_is_not_announced() {
    let mut turn = working();
    next(&mut turn, Event::Ended(said("t is done")), at(2));
    check(&mut turn, Event::Settled(Settlement::Lost("somebody".into())), at(2), "look");
    assert_eq!((turn.file.hook.clone(), turn.file.outbox.len()), (None, 0));
    assert_eq!(turn.file.usage.get("tasks"), None);
}

#[test]
fn an_outcome_the_board_cannot_take_is_kept_and_tried_again() {
    let mut turn = working();
    next(&mut turn, Event::Ended(said("t is done")), at(2));
    check(&mut turn, Event::Settled(Settlement::Later("full".into())), at(2), "");
    assert!(turn.rest(at(2)) <= Duration::from_secs(1));
    let again = next(&mut turn, Event::Tick, at(3));
    let settled = again.iter().find_map(|action| match action {
        Action::Work(Work::Settle(plan)) => Some(plan.clone()),
        _ => None,
    });
    assert!(matches!(settled.unwrap().end, PlanEnd::Done { .. }));
    check(&mut turn, Event::Settled(Settlement::Recorded), at(3), "commit send look");
}

#[test]
fn b07b_only_a_human_message_or_a_question_is_answered() {
    for kind in [
        "finding",
        "answer",
        "task_complete",
        "proposal",
        "vote",
        "presence",
        "reply",
        "memory",
        "event",
        "?",
    ] {
        let mut turn = resting();
        let event = arrived(vec![arrival(1, "b", "a", MessageKind::from(kind.to_owned()))], 1);
        check(&mut turn, event, at(1), "");
        assert_eq!(turn.file.inbox.as_ref().unwrap().seq, Seq(1));
        check(&mut turn, Event::Tick, at(2), "read look");
        check(&mut turn, look(HookFate::Empty, Duty::Rest), at(2), "commit");
    }
    for kind in [MessageKind::Human, MessageKind::Question] {
        let mut turn = resting();
        check(&mut turn, arrived(vec![arrival(1, "b", "a", kind)], 1), at(1), "commit answer:a.1.1");
    }
}

#[test]
fn the_cursor_is_committed_together_with_the_replies_it_caused() {
    let mut turn = resting();
    let two =
        vec![arrival(1, "b", "operator", MessageKind::Human), arrival(2, "b", "a", MessageKind::Question)];
    check(&mut turn, arrived(two, 2), at(1), "commit answer:operator.1.1");
    assert_eq!(turn.file.taken, Some(Seq(2)), "the sender is not shown that it was seen");
    let answered = Event::Answered { message: "operator.1.1".into(), text: "one".into() };
    check(&mut turn, answered, at(1), "commit answer:a.1.2");
    assert_eq!(turn.file.inbox.as_ref().unwrap().seq, Seq(0), "a successor would answer both again");
    assert!(turn.file.outbox.is_empty(), "and would have promised nothing");
    check(&mut turn, Event::Rung { messages: true, tasks: false, control: false }, at(1), "");
    let answered = Event::Answered { message: "a.1.2".into(), text: "two".into() };
    check(&mut turn, answered, at(1), "commit send read");
    assert_eq!((turn.file.inbox.as_ref().unwrap().seq, turn.file.taken), (Seq(2), None));
    let replies: Vec<_> =
        turn.file.outbox.iter().map(|d| (d.to.to_string(), d.kind.clone(), d.text())).collect();
    assert_eq!(
        replies,
        [
            ("operator".to_owned(), MessageKind::Reply, "one".into()),
            ("a".to_owned(), MessageKind::Answer, "two".into()),
        ]
    );
    assert_eq!(turn.file.outbox[0].reply_to.as_deref(), Some("operator.1.1"));
}

#[test]
fn s23_39_a_message_that_ended_five_starts_is_given_up_and_what_lies_behind_it_is_answered() {
    let two =
        || vec![arrival(1, "b", "operator", MessageKind::Human), arrival(2, "b", "a", MessageKind::Question)];
    let mut turn = resting();
    for start in 1..=5 {
        check(&mut turn, arrived(two(), 2), at(1), "commit answer:operator.1.1");
        assert_eq!(turn.file.tries.get(&Seq(1)), Some(&start));
        let tries = turn.file.tries.clone();
        // It dies; its successor reads both again.
        turn = resting();
        turn.file.tries = tries;
    }
    let given_up = "dead-letter:message 1 from operator is given up give-up:operator.1.1 commit answer:a.1.2";
    check(&mut turn, arrived(two(), 2), at(1), given_up);
    let answered = Event::Answered { message: "a.1.2".into(), text: "two".into() };
    check(&mut turn, answered, at(1), "commit send");
    assert_eq!((turn.file.inbox.as_ref().unwrap().seq, turn.file.tries.len()), (Seq(2), 0));
    let told: Vec<_> = turn.file.outbox.iter().map(|draft| draft.text().into_owned()).collect();
    assert!(told[0].contains("given up") && told[1] == "two", "{told:?}");
}

#[test]
fn s23_39_what_was_answered_or_left_in_order_is_not_counted_as_a_failed_attempt() {
    let mut turn = resting();
    let two =
        vec![arrival(1, "b", "operator", MessageKind::Human), arrival(2, "b", "a", MessageKind::Question)];
    check(&mut turn, arrived(two, 2), at(1), "commit answer:operator.1.1");
    let answered = Event::Answered { message: "operator.1.1".into(), text: "one".into() };
    check(&mut turn, answered, at(1), "commit answer:a.1.2");
    assert_eq!(turn.file.tries.keys().collect::<Vec<_>>(), [&Seq(2)], "the first would be given up with it");
    next(&mut turn, Event::Terminate("SIGTERM".to_owned()), at(1));
    assert_eq!(turn.file.tries.len(), 0);
}

#[test]
fn a_message_is_answered_in_the_middle_of_work_without_ending_it() {
    let mut turn = working();
    check(&mut turn, Event::Rung { messages: true, tasks: true, control: false }, at(2), "read");
    check(
        &mut turn,
        arrived(vec![arrival(1, "b", "operator", MessageKind::Human)], 1),
        at(2),
        "commit answer:operator.1.1",
    );
    let answered = Event::Answered { message: "operator.1.1".into(), text: "one".into() };
    check(&mut turn, answered, at(2), "commit send");
    check(&mut turn, Event::Sent, at(2), "");
    assert_eq!((&turn.phase, &turn.file.hook), (&Phase::Working, &Some(hook("t"))));
}

#[test]
fn of_several_addressed_one_speaks() {
    let cases = [
        ("broadcast", &[("a", "explorer"), ("c", "coordinator")][..], false),
        ("broadcast", &[("a", "explorer")], false),
        ("broadcast", &[("c", "explorer")], true),
        ("broadcast", &[], true),
        ("role:builder", &[("a", "explorer"), ("c", "builder")], true),
        ("role:builder", &[("a", "builder")], false),
    ];
    for (to, others, expected) in cases {
        let mut turn = resting();
        let peers = others.iter().map(|(id, role)| peer(id, role)).collect();
        let cursor = Cursor { seq: Seq(1), ..Cursor::default() };
        let arrivals = vec![arrival(1, to, "operator", MessageKind::Human)];
        let actions = next(&mut turn, Event::Arrived { arrivals, cursor, more: false, peers }, at(1));
        assert_eq!(words(&actions).contains("answer"), expected, "{to} {others:?}");
    }
}

#[test]
fn a_newcomer_gets_old_messages_by_name_but_not_old_broadcasts() {
    let mut turn = turn_after(None);
    next(&mut turn, Event::Started { end: Seq(10), damaged: None }, at(0));
    next(&mut turn, Event::Sent, at(0));
    next(&mut turn, look(HookFate::Empty, Duty::Rest), at(0));
    let old = vec![
        Arrival::Gap(Gap::Lagged { from: Seq(1), to: Seq(2) }),
        arrival(3, "broadcast", "operator", MessageKind::Human),
        arrival(4, "b", "operator", MessageKind::Human),
        arrival(11, "broadcast", "operator", MessageKind::Human),
    ];
    check(&mut turn, arrived(old, 11), at(0), "step:inbox commit answer:operator.1.4");
    let answered = Event::Answered { message: "operator.1.4".into(), text: "x".into() };
    check(&mut turn, answered, at(0), "commit answer:operator.1.11");
}

#[test]
fn a_gap_is_told_and_counted() {
    let mut turn = resting();
    let gap = Arrival::Gap(Gap::Lagged { from: Seq(3), to: Seq(9) });
    check(&mut turn, arrived(vec![gap], 9), at(1), "lagged:messages 3 to 9 are gone, unread");
    assert_eq!(turn.file.usage.get("gaps"), Some(&Value::from(1)));
}

#[test]
fn m09_a_stop_in_the_middle_of_work_lets_go_commits_tells_and_leaves() {
    let mut turn = working();
    check(&mut turn, Event::Terminate("SIGTERM".into()), at(2), "let-go");
    check(&mut turn, Event::Terminate("SIGTERM".into()), at(2), "");
    check(&mut turn, Event::Ended(Outcome::Interrupted), at(2), "");
    check(&mut turn, Event::LetGo { freed: true }, at(2), "commit send commit leave:requested");
    assert!(!turn.file.running);
    assert_eq!((&turn.file.hook, turn.file.current_task.as_str()), (&None, "Stopped"));
    check(&mut turn, Event::Tick, at(3), "");
}

#[test]
fn a_claim_that_could_not_be_freed_stays_on_the_hook() {
    let mut turn = working();
    next(&mut turn, Event::Terminate("SIGTERM".into()), at(2));
    next(&mut turn, Event::LetGo { freed: false }, at(2));
    assert_eq!(turn.file.hook, Some(hook("t")));
}

#[test]
fn a_paused_instance_finishes_its_item_and_idles_with_its_messages_unread() {
    let mut turn = working();
    check(&mut turn, Event::Control { paused: true }, at(2), "commit ring-supervisor");
    check(&mut turn, Event::Ended(said("x")), at(2), "commit settle");
    check(&mut turn, Event::Settled(Settlement::Recorded), at(2), "commit send commit");
    assert_eq!(turn.file.current_task, "Paused");
    check(&mut turn, Event::Rung { messages: true, tasks: true, control: false }, at(3), "");
    check(&mut turn, Event::Sent, at(3), "");
    check(&mut turn, Event::Control { paused: false }, at(4), "commit ring-supervisor read");
    check(&mut turn, arrived(Vec::new(), 0), at(4), "");
}

#[test]
fn an_orphan_finishes_its_item_when_its_time_is_up_and_leaves() {
    let mut turn = working();
    check(&mut turn, Event::SupervisorLost, at(10), "");
    check(&mut turn, Event::Tick, at(700), "read");
    check(&mut turn, arrived(Vec::new(), 0), at(700), "");
    next(&mut turn, Event::Ended(said("x")), at(700));
    let actions = next(&mut turn, Event::Settled(Settlement::Recorded), at(700));
    assert_eq!(words(&actions), "commit send let-go");
    let actions = next(&mut turn, Event::LetGo { freed: true }, at(700));
    assert_eq!(actions.last(), Some(&Action::Leave(Reason::Orphaned)));
}

#[test]
fn an_orphan_that_is_found_again_in_time_stays() {
    let mut turn = resting();
    next(&mut turn, Event::SupervisorLost, at(10));
    assert!(turn.rest(at(11)) <= Duration::from_secs(1));
    check(&mut turn, Event::SupervisorFound, at(20), "control ring-supervisor");
    assert_eq!(turn.guard, Guard::Supervised);
    check(&mut turn, Event::Tick, at(5_000), "read look");
}

#[test]
fn who_is_told_to_stop_with_the_supervisor_does_so_at_once() {
    let mut turn = resting();
    turn.orphan = OrphanRule::Stop;
    check(&mut turn, Event::SupervisorLost, at(1), "let-go");
}

#[test]
fn an_idle_instance_declares_its_silence_anew_before_it_runs_out_and_otherwise_writes_nothing() {
    let mut turn = resting();
    let until = turn.file.busy_until.unwrap();
    check(&mut turn, Event::Tick, at(10), "read look");
    check(&mut turn, arrived(Vec::new(), 0), at(10), "");
    check(&mut turn, look(HookFate::Empty, Duty::Rest), at(10), "");
    next(&mut turn, Event::Tick, at(30));
    check(&mut turn, look(HookFate::Empty, Duty::Rest), at(30), "commit");
    assert!(turn.file.busy_until.unwrap() > until);
    assert_eq!(turn.rest(at(30)), Duration::from_secs(30));
}

#[test]
fn progress_is_shown_at_most_once_a_second_and_the_lease_renewed_every_five() {
    let mut turn = working();
    let mut shown = Vec::new();
    for tenth in 0..120 {
        let now = Now { wall: at(0).wall, mono: Mono::from_millis(1_000 + tenth * 100) };
        shown.extend(next(&mut turn, Event::Progress(format!("file {tenth}")), now));
    }
    assert!(shown.iter().filter(|action| **action == Action::Commit).count() <= 12);
    assert_eq!(words(&shown).matches("renew").count(), 2);
    assert!(turn.file.current_task.starts_with("file 1"));
}

#[test]
fn a_claim_lost_to_others_again_and_again_ends_in_rest_until_the_next_ring() {
    let mut turn = resting();
    next(&mut turn, Event::Rung { messages: false, tasks: true, control: false }, at(1));
    let mut claims = 0;
    for _ in 0..20 {
        let actions = words(&next(&mut turn, look(HookFate::Empty, Duty::Claim(task("t"))), at(1)));
        if !actions.contains("claim") {
            break;
        }
        claims += 1;
        next(&mut turn, Event::ClaimLost { task: task("t"), reason: "taken".into() }, at(1));
    }
    assert_eq!((claims, &turn.phase), (5, &Phase::Idle));
    check(&mut turn, Event::Rung { messages: false, tasks: true, control: false }, at(2), "look");
}

#[test]
fn foreign_text_forges_no_lines_and_the_newest_hundred_stay() {
    let mut turn = resting();
    for seq in 1..=150 {
        let Arrival::Message(mut message) = arrival(seq, "b", "a", MessageKind::Finding) else { panic!() };
        message.draft.content = Value::String(format!("{seq}\n2026 forged\u{1b}[2J{}", "x".repeat(5000)));
        next(&mut turn, arrived(vec![Arrival::Message(message)], seq), at(1));
    }
    assert_eq!(turn.file.logs.len(), 100);
    assert!(
        turn.file
            .logs
            .iter()
            .all(|line| !line.contains('\n') && !line.contains('\u{1b}') && line.len() < 500)
    );
    assert!(turn.file.logs.last().unwrap().contains("from a: 150"));
}

#[test]
fn a_bad_state_file_of_the_predecessor_is_told() {
    let mut turn = turn_after(None);
    let start = Event::Started { end: Seq(0), damaged: Some("line 1".into()) };
    assert!(words(&next(&mut turn, start, at(0))).starts_with("rejected:instance state set aside"));
}

fn any_event() -> impl Strategy<Value = u8> {
    0..22_u8
}

fn event_of(number: u8, turn: &Turn) -> Event {
    match number {
        0 => Event::Sent,
        1 => Event::Unsent("full".into()),
        2 => Event::Rung { messages: true, tasks: false, control: false },
        3 => Event::Rung { messages: false, tasks: true, control: true },
        4 => arrived(Vec::new(), 1),
        5 => arrived(vec![arrival(1, "b", "a", MessageKind::Human)], 1),
        6 => Event::Answered { message: "a.1.1".into(), text: "x".into() },
        7 => Event::Control { paused: !turn.file.paused },
        8 => Event::SupervisorLost,
        9 => Event::SupervisorFound,
        10 => Event::Progress("p".into()),
        11 => Event::Unreadable { inbox: true, why: "io".into() },
        _ => Event::Tick,
    }
}

/// The answer the loop would give to the work asked for.
fn outcome_of(work: &Work, number: u8) -> Event {
    match work {
        Work::Look => look(
            HookFate::Empty,
            match number % 3 {
                0 => Duty::Rest,
                1 => Duty::Survey,
                _ => Duty::Claim(task("t")),
            },
        ),
        Work::Claim(id) if number.is_multiple_of(2) => {
            Event::ClaimLost { task: id.clone(), reason: "x".into() }
        }
        Work::Claim(id) => Event::Claimed(hook(id.as_str())),
        Work::Survey | Work::Perform(_) => match number % 3 {
            0 => Event::Ended(Outcome::Failed("x".into())),
            _ => Event::Ended(said("x")),
        },
        Work::Settle(_) => Event::Settled(match number % 3 {
            0 => Settlement::Later("x".into()),
            1 => Settlement::Lost("x".into()),
            _ => Settlement::Recorded,
        }),
        Work::LetGo => Event::LetGo { freed: true },
    }
}

proptest! {
    /// Whatever happens in whatever order: at most one piece of work is under way, a send follows a commit, nothing comes after
    /// the leave, and a stop asked for is carried out.
    #[test]
    fn one_piece_of_work_at_a_time_and_every_stop_is_an_end(
        script in prop::collection::vec((any_event(), any::<u8>()), 1..120),
    ) {
        let mut turn = turn_after(None);
        let mut open: Vec<Work> = Vec::new();
        let mut left = false;
        let mut seconds = 0;
        let mut run = |turn: &mut Turn, event: Event, seconds: u64, open: &mut Vec<Work>| {
            let mut committed = false;
            for action in next(turn, event, at(seconds)) {
                assert!(!left, "{action:?} after the leave");
                match action {
                    Action::Commit => committed = true,
                    Action::Send { .. } => assert!(committed, "sent without a commit"),
                    Action::Work(work) => open.push(work),
                    Action::Leave(_) => left = true,
                    _ => {}
                }
            }
            let busy = open.iter().filter(|work| **work != Work::LetGo).count();
            assert!(busy <= 1, "{open:?}");
            left
        };
        run(&mut turn, Event::Started { end: Seq(0), damaged: None }, 0, &mut open);
        for (number, answer) in script {
            seconds += u64::from(answer % 7);
            let event = match open.first() {
                Some(work) if number % 3 == 0 => {
                    let event = outcome_of(work, answer);
                    open.remove(0);
                    event
                }
                _ => event_of(number, &turn),
            };
            run(&mut turn, event, seconds, &mut open);
        }
        let mut ended = run(&mut turn, Event::Terminate("SIGTERM".into()), seconds, &mut open);
        while !ended && !open.is_empty() {
            let work = open.remove(0);
            ended = run(&mut turn, outcome_of(&work, 2), seconds, &mut open);
        }
        prop_assert!(ended);
        prop_assert!(!turn.file.running);
    }
}

#[test]
fn steps_are_recorded_once_however_often_they_come_by() {
    let mut turn = resting();
    let mut again = Vec::new();
    for second in 1..5 {
        again.extend(next(&mut turn, Event::Tick, at(second)));
        again.extend(next(&mut turn, arrived(Vec::new(), 0), at(second)));
        again.extend(next(&mut turn, look(HookFate::Empty, Duty::Rest), at(second)));
    }
    assert!(!words(&again).contains("step:"));
    assert_eq!(
        turn.steps.len(),
        [Step::Heartbeat, Step::Outbox, Step::Hook, Step::Inbox, Step::Patrol].len()
    );
    assert!(!inbox::is_first(&turn));
}
