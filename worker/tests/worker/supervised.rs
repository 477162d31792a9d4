//! A worker as a supervisor runs it; the test plays the supervisor.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tachi_shared::os::AliveLock;
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::queue::MessageKind;
use tachi_shared::registry::{Desired, Status};

use super::team::{Team, name, wait_until};

#[test]
fn under_a_supervisor_the_row_is_left_to_it_and_pause_is_obeyed() {
    let mut team = Team::new(1);
    let store = team.store();
    let _supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    team.start_supervised("x", 7, &[]);
    wait_until("rest", || team.is_ready("x", 7) && team.is_waiting("x"));
    assert!(!store.dir().registry().exists(), "only the supervisor writes rows");
    let mut other = Team::new(0);
    other.start("x", "explorer");
    wait_until("a row to borrow", || other.has_row("x", 1));
    let mut row = other.registry().row(&name("x")).unwrap().clone();
    for (desired, text) in [(Desired::Paused, "Paused"), (Desired::Running, "Waiting")] {
        row.desired = desired;
        let row = row.clone();
        store
            .registry()
            .update(Duration::from_secs(5), |registry| {
                registry.instances = vec![row];
                Ok(())
            })
            .unwrap();
        ring(&store.dir().doorbell(&name("x")), Ring::Control);
        wait_until(text, || team.state_of("x").is_some_and(|state| state.current_task == text));
    }
}

#[test]
fn an_orphan_leaves_after_its_grace_and_says_why() {
    let mut team = Team::new(1);
    let store = team.store();
    let supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    let worker = team.start_supervised("x", 1, &[("TACHI_ORPHAN_GRACE_MS", "300")]);
    wait_until("ready", || team.is_ready("x", 1));
    drop(supervisor);
    ring(&store.dir().doorbell(&name("x")), Ring::Control);
    assert_eq!(team.wait(worker).code(), Some(0));
    let record = store.instance(&name("x")).exit_record().unwrap().unwrap();
    assert_eq!(record.reason, "orphaned");
    assert_eq!(team.registry().row(&name("x")).unwrap().status, Status::Stopped);
}

#[test]
fn a_worker_told_to_stop_with_its_supervisor_does() {
    let mut team = Team::new(1);
    let store = team.store();
    let worker = team.start_supervised("x", 1, &[("TACHI_ON_SUPERVISOR_LOSS", "stop")]);
    assert_eq!(team.wait(worker).code(), Some(0));
    assert_eq!(store.instance(&name("x")).exit_record().unwrap().unwrap().reason, "orphaned");
}

#[test]
fn an_idle_worker_under_a_supervisor_has_one_thread_and_sleeps() {
    let mut team = Team::new(1);
    let store = team.store();
    let _supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    let worker = team.start_supervised("x", 1, &[]);
    wait_until("rest", || team.survey_is_done() && team.is_waiting("x"));
    let proc = PathBuf::from(format!("/proc/{}", team.workers[worker].id()));
    wait_until("one thread", || fs::read_dir(proc.join("task")).unwrap().count() == 1);
    let switches = || {
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let line =
            status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    // The last commit of the work may still be due: begin to count after a quiet second.
    let mut before = switches();
    wait_until("quiet", || {
        // Silence is a matter of time.
        std::thread::sleep(Duration::from_millis(1_000));
        let now = switches();
        std::mem::replace(&mut before, now) == now
    });
    // So is sleeping through it.
    std::thread::sleep(Duration::from_secs(2));
    assert!(switches() - before <= 1, "{} wake-ups in 2 s", switches() - before);
}

#[test]
fn s20_s23_5_s23_17_without_a_supervisor_and_without_a_ring_a_message_is_answered_all_the_same() {
    let mut team = Team::new(1);
    let store = team.store();
    let supervisor = AliveLock::take(&store.dir().supervisor_alive()).unwrap();
    team.start_supervised("x", 1, &[]);
    wait_until("rest", || team.survey_is_done() && team.is_waiting("x"));
    // The supervisor is killed, and with it whoever would ring again; the bell itself is gone too.
    drop(supervisor);
    ring(&store.dir().doorbell(&name("x")), Ring::Control);
    wait_until("it knows", || {
        team.state_of("x")
            .is_some_and(|state| state.logs.iter().any(|line| line.contains("no supervisor any more")))
    });
    fs::remove_file(store.dir().doorbell(&name("x"))).unwrap();
    team.send("x", MessageKind::Human, "operator.1.1");
    wait_until("the answer", || team.replies_to("operator.1.1") == 1);
}
