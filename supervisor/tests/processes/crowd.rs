//! Many at once: started together, and killed together in the middle of their work.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use tachi_shared::clock;
use tachi_shared::log::Cursor;
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::store::Store;

use super::stage::{Stage, signal};

/// How long a thousand may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

fn is_long() -> bool {
    std::env::var_os("TACHI_LONG").is_some()
}

/// How many descriptors of a process are inotify instances.
fn watchers(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("inotify")).count()
}

#[test]
fn s23_37_a_crowd_that_starts_at_once_is_registered_completely_and_needs_no_watcher_each() {
    let count = if is_long() { 1_000 } else { 100 };
    let mut stage = Stage::workers(count);
    let begin = Instant::now();
    let supervisor = stage.up();
    // A slow machine takes its time; to read a registry of a thousand rows again and again would make it slower.
    let ready = |stage: &Stage| stage.rows().iter().filter(|row| row["status"] == "ready").count();
    while ready(&stage) < count {
        assert!(begin.elapsed() < PATIENCE, "{} of {count} are ready", ready(&stage));
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{count} ready after {:.1} s", begin.elapsed().as_secs_f64());
    let ids: BTreeSet<String> = stage.rows().iter().map(|row| row["instance_id"].to_string()).collect();
    assert_eq!(ids.len(), count);
    let workers = stage.living_workers();
    assert_eq!(workers.len(), count);
    assert_eq!(workers.iter().map(|(pid, _)| watchers(*pid)).sum::<usize>(), 0, "a worker has a watcher");
    assert!(watchers(supervisor) <= 1);
    stage.ask(&["down", "--timeout", "120s"]);
    assert!(stage.ended().is_some());
    assert_eq!(stage.survivors(), [""; 0]);
}

/// Asks every one of `count` workers something; returns the ids.
fn ask_all(store: &Store, count: usize, round: usize) -> Vec<String> {
    let drafts: Vec<Draft> = (1..=count)
        .map(|n| {
            let to = format!("instance_{n}").parse().unwrap();
            let id = format!("operator.{round}.{n}");
            Draft::new(to, "operator", MessageKind::Human, id, clock::now().wall, "how many files are there?")
        })
        .collect();
    store.queue().post(&drafts, Duration::from_secs(10)).unwrap();
    drafts.into_iter().map(|draft| draft.id).collect()
}

#[test]
fn s06_s23_6_a_fleet_that_is_killed_all_at_once_goes_on_where_it_was() {
    let count = if is_long() { 100 } else { 8 };
    let mut stage = Stage::workers(count);
    let mut asked = Vec::new();
    for round in 0..3 {
        let supervisor = stage.up_and_ready(count);
        asked.extend(ask_all(&Store::open(&stage.state()).unwrap(), count, round));
        // In the middle of the answers: nobody gets to say goodbye.
        let victims: Vec<u32> = stage.living_workers().into_iter().map(|(pid, _)| pid).collect();
        signal(supervisor, "KILL");
        victims.into_iter().for_each(|pid| signal(pid, "KILL"));
        stage.ended();
        stage.wait("all are gone", |stage| stage.living_workers().is_empty().then_some(()));
    }
    stage.up_and_ready(count);
    let store = Store::open(&stage.state()).unwrap();
    let answers = || {
        let (messages, _) = store.queue().messages(Cursor::default(), usize::MAX).unwrap();
        let mut answers: BTreeMap<String, usize> = BTreeMap::new();
        for reply in messages.into_iter().filter_map(|message| message.draft.reply_to) {
            *answers.entry(reply).or_default() += 1;
        }
        answers
    };
    stage.wait("everything is answered", |_| {
        let answers = answers();
        asked.iter().all(|id| answers.contains_key(id)).then_some(())
    });
    assert!(answers().values().all(|times| *times == 1), "{:?}", answers());
    stage.ask(&["doctor"]);
}

#[test]
fn s20_s23_16_after_more_changes_than_the_watcher_can_hold_nothing_is_missed() {
    let mut stage = Stage::sleepers(&["a"]);
    let supervisor = stage.up_and_ready(1);
    let spool = stage.state().join("spool");
    let limit: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    signal(supervisor, "STOP");
    // Alternating, so that equal events are not merged by the kernel; more than its queue holds.
    let files = ["x.part", "y.part"].map(|name| spool.join(name));
    for n in 0..(limit + 2_000).min(40_000) {
        fs::write(&files[n % 2], "").unwrap();
    }
    files.iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(stage.file("m"), r#"{"to":"a","from":"hand","content":"in the flood"}"#).unwrap();
    fs::rename(stage.file("m"), spool.join("m.json")).unwrap();
    signal(supervisor, "CONT");
    stage.wait("it is taken in", |stage| {
        let store = Store::open(&stage.state()).unwrap();
        let (messages, _) = store.queue().messages(Cursor::default(), 1_000).unwrap();
        messages.iter().any(|message| message.draft.text() == "in the flood").then_some(())
    });
    // And the watcher goes on.
    stage.ask(&["restart", "a"]);
}

/// How often the main thread of a process went to sleep.
fn sleeps(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn s30_a_hundred_writes_in_a_moment_wake_the_supervisor_a_few_times_and_others_see_the_last_at_once() {
    let mut stage = Stage::sleepers(&["a"]);
    let supervisor = stage.up_and_ready(1);
    stage.wait_for_quiet();
    let mut memory = Store::open(&stage.state()).unwrap().memory();
    let before = sleeps(supervisor);
    let begin = Instant::now();
    for n in 0..100 {
        memory.set_fact("n", serde_json::json!(n)).unwrap();
    }
    let took = begin.elapsed();
    let written = Instant::now();
    assert_eq!(stage.tachi(&["memory", "get", "n"]).stdout, b"99\n");
    println!("100 writes in {took:?}, seen after {:?}", written.elapsed());
    assert!(written.elapsed() < Duration::from_millis(500), "{:?}", written.elapsed());
    // The last look is over some seconds after the last hint; nothing of it may have caused another.
    stage.wait("quiet again", |_| (written.elapsed() > Duration::from_secs(2)).then_some(()));
    let woken = sleeps(supervisor) - before;
    println!("woken {woken} times");
    assert!(woken < 20, "woken {woken} times");
}
