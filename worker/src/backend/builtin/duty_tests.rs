//! Duties as tables: who does what, given who lives and what is open.

use serde_json::json;
use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::id::{Incarnation, Role, TaskId};
use tachi_shared::task::Change;
use tachi_shared::task::change::{NewTask, decide};

use super::super::job::votes;
use super::*;

fn peer(id: &str, role: &str) -> Peer {
    Peer { id: InstanceId::new(id).unwrap(), role: Role::new(role).unwrap() }
}

fn team(count: usize) -> Vec<Peer> {
    let roles = ["explorer", "builder", "reflector", "coordinator"];
    (0..count).map(|n| peer(&format!("instance_{}", n + 1), roles[n % 4])).collect()
}

fn change(board: &mut Board, change: &Change) {
    let now = Now { wall: Timestamp::EPOCH, mono: Mono::ZERO };
    for event in decide(board, change, now).unwrap() {
        let seq = board.seq.next();
        board.apply(seq, &event);
    }
}

fn add(board: &mut Board, jobs: &[Job]) {
    let by = InstanceId::new("instance_4").unwrap();
    let tasks: Vec<NewTask> = jobs.iter().map(|job| job.task("t".into(), Vec::new(), &by).unwrap()).collect();
    change(board, &Change::Add(tasks));
}

fn parts(count: u64) -> Vec<Job> {
    let part = |n| Job::Part {
        run: "1-aa".into(),
        part: format!("{n:016x}"),
        files: 1,
        bytes: 10,
        label: String::new(),
    };
    (0..count).map(part).collect()
}

fn claim(board: &mut Board, id: &TaskId, by: &Peer) {
    let (task, by, boot_id) = (id.clone(), by.id.clone(), "b".to_owned());
    change(board, &Change::Claim { task, by, incarnation: Incarnation(1), boot_id });
}

fn do_it(board: &mut Board, id: &TaskId, by: &Peer) {
    claim(board, id, by);
    let fence = board.tasks[id].owner.as_ref().unwrap().fence;
    change(board, &Change::Done { task: id.clone(), fence, result: json!(1), by: by.id.clone() });
}

/// Everything one member does when nobody else moves.
fn alone_at_work(board: &mut Board, me: &Peer, peers: &[Peer]) -> usize {
    let mut done = 0;
    while let Duty::Claim(task) = next_duty(board, me, peers, true) {
        do_it(board, &task, me);
        done += 1;
    }
    done
}

#[test]
fn the_first_coordinator_lists_the_tree_once_else_the_first_member() {
    let board = Board::default();
    let peers = team(4);
    let lists = |me: &Peer, peers: &[Peer], surveyed| next_duty(&board, me, peers, surveyed) == Duty::Survey;
    assert!(lists(&peers[3], &peers, false));
    assert!(!lists(&peers[3], &peers, true));
    assert!(!lists(&peers[0], &peers, false));
    assert!(lists(&peers[0], &peers[..3], false));
    assert!(!lists(&peers[1], &peers[..3], false));
    assert!(lists(&peers[1], &[], false), "a member that is not in the registry yet counts itself");
    let ten: Vec<Peer> = ["instance_10", "instance_2"].map(|id| peer(id, "builder")).into();
    assert!(lists(&ten[1], &ten, false) && !lists(&ten[0], &ten, false));
}

#[test]
fn own_duties_come_first_and_absent_roles_are_covered() {
    let mut board = Board::default();
    add(&mut board, &parts(4));
    add(&mut board, &[Job::Assemble { run: "1-aa".into() }, Job::Derive { run: "1-aa".into() }]);
    let claims = |me: &Peer, peers: &[Peer]| match next_duty(&board, me, peers, true) {
        Duty::Claim(task) => board.tasks[&task].payload["kind"].as_str().unwrap().to_owned(),
        other => format!("{other:?}"),
    };
    let peers = team(4);
    assert_eq!(claims(&peers[0], &peers), "part");
    assert_eq!(claims(&peers[1], &peers), "assemble");
    assert_eq!(claims(&peers[2], &peers), "derive");
    assert_eq!(claims(&peers[3], &peers), "part");
    let mut gathered = Board::default();
    add(&mut gathered, &[Job::Assemble { run: "1-aa".into() }]);
    assert_eq!(next_duty(&gathered, &peers[0], &peers, true), Duty::Rest, "the builder lives and will come");
    assert_ne!(next_duty(&gathered, &peers[0], &peers[..1], true), Duty::Rest, "nobody else will come");
}

#[test]
fn m07b_in_a_team_of_four_nobody_reads_much_more_than_its_share() {
    let peers = team(4);
    for me in &peers {
        let mut board = Board::default();
        add(&mut board, &parts(20));
        add(&mut board, &[Job::Assemble { run: "1-aa".into() }]);
        if me.role.as_str() == "builder" {
            let assemble = TaskId::new("assemble-1-aa").unwrap();
            do_it(&mut board, &assemble, me);
        }
        assert_eq!(alone_at_work(&mut board, me, &peers), 9, "40 % and the one that went beyond");
        let rest = alone_at_work(&mut board, me, &[]);
        assert!(rest >= 11, "with fewer alive it goes on, {rest}");
    }
}

#[test]
fn members_begin_at_different_parts() {
    let mut board = Board::default();
    add(&mut board, &parts(64));
    add(&mut board, &[Job::Assemble { run: "1-aa".into() }]);
    let peers: Vec<Peer> = (1..=4).map(|n| peer(&format!("instance_{n}"), "explorer")).collect();
    let begins: std::collections::BTreeSet<String> =
        peers.iter().map(|me| format!("{:?}", next_duty(&board, me, &peers, true))).collect();
    assert!(begins.len() >= 3, "{begins:?}");
}

#[test]
fn m07b_votes_go_to_those_who_did_not_propose_and_do_not_look_already() {
    let peers = team(4);
    let proposal = TaskId::new("p-1").unwrap();
    let mut board = Board::default();
    let (text, payload, by) = ("x".to_owned(), json!({}), peers[2].id.clone());
    change(&mut board, &Change::Propose { proposal: proposal.clone(), text, payload, by });
    change(&mut board, &Change::Add(votes(&proposal, "x", &peers[2].id).unwrap()));
    let first = TaskId::new("vote-p-1-1").unwrap();
    let second = TaskId::new("vote-p-1-2").unwrap();
    assert_eq!(next_duty(&board, &peers[2], &peers, true), Duty::Rest);
    assert_eq!(next_duty(&board, &peers[0], &peers, true), Duty::Claim(first.clone()));
    claim(&mut board, &first, &peers[0]);
    assert_eq!(next_duty(&board, &peers[0], &peers, true), Duty::Rest, "it looks already");
    assert_eq!(
        next_duty(&board, &peers[2], &peers[2..3], true),
        Duty::Claim(second.clone()),
        "nobody else lives"
    );
    assert_eq!(next_duty(&board, &peers[1], &peers, true), Duty::Claim(second));
}
