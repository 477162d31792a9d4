//! M6, M7, M9, P15, P23: a team of real workers, killed and ended under the worst circumstances.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::stage::{Stage, lives, signal};

#[test]
fn m06_a_worker_killed_twice_within_moments_is_back_and_nobody_else_noticed() {
    let mut stage = Stage::workers(4);
    stage.up_and_ready(4);
    let others = ["instance_1", "instance_3", "instance_4"].map(|id| stage.pid(id));
    let begin = Instant::now();
    let mut victim = stage.pid("instance_2");
    for _ in 0..2 {
        signal(victim, "KILL");
        victim = stage.wait("a successor runs", |stage| {
            let living = stage.living_workers().into_iter();
            living.filter(|(pid, id)| id == "instance_2" && *pid != victim).map(|(pid, _)| pid).next()
        });
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    stage.wait("it is ready", |stage| (stage.row("instance_2")["status"] == "ready").then_some(()));
    let row = stage.row("instance_2");
    assert_eq!((&row["restarts"], &row["incarnation"]), (&2.into(), &3.into()));
    assert_eq!(row["last_death"]["signal"], "SIGKILL");
    assert_eq!(others, ["instance_1", "instance_3", "instance_4"].map(|id| stage.pid(id)));
}

/// Holds all five locks and is stopped: nobody can write anything.
#[test]
fn m09_down_works_while_workers_and_the_holder_of_every_lock_are_stopped() {
    let mut stage = Stage::workers(4);
    stage.up_and_ready(4);
    stage.ask(&["memory", "set", "kept", "1"]);
    let locks = stage.state().join(".tachi/locks");
    let all = "cd \"$0\"; exec 3>>registry.lock 4>>events.lock 5>>messages.lock 6>>tasks.lock 7>>memory.lock; \
               flock 3 && flock 4 && flock 5 && flock 6 && flock 7 && : > held && exec sleep 60";
    let mut holder = Command::new("sh").arg("-c").arg(all).arg(&locks).spawn().unwrap();
    stage.wait("the locks are held", |_| locks.join("held").exists().then_some(()));
    signal(holder.id(), "STOP");
    for (n, (pid, _)) in stage.living_workers().into_iter().enumerate() {
        signal(pid, if n % 2 == 0 { "STOP" } else { "KILL" });
    }
    let begin = Instant::now();
    stage.ask(&["down"]);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert!(stage.ended().is_some());
    for _ in 0..2 {
        assert_eq!(stage.survivors(), [""; 0], "left or respawned");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    stage.up_and_ready(4);
    let mut ids: Vec<_> = stage.rows().iter().map(|row| row["instance_id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!(stage.tachi(&["memory", "get", "kept"]).stdout, b"1\n");
}

/// A file system of two megabytes, as long as this lives.
struct Small(PathBuf);

impl Small {
    fn mount() -> Option<Self> {
        let path = std::env::temp_dir().join(format!("tachi-small-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        fs::remove_dir(&path).unwrap();
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn m09_down_and_a_later_up_work_although_the_disk_was_full() {
    let Some(small) = Small::mount() else {
        let why = "full-disk: mounting a small file system needs root";
        println!("skipped: {why}");
        if let Some(skips) = std::env::var_os("TACHI_SKIPS") {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(skips).unwrap();
            std::io::Write::write_all(&mut file, format!("{why}\n").as_bytes()).unwrap();
        }
        return;
    };
    let mut stage = Stage::workers_at(3, Some(small.0.join("state")));
    stage.up_and_ready(3);
    stage.ask(&["memory", "set", "kept", "1"]);
    let fill = small.0.join("fill");
    let mut file = fs::File::create(&fill).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let victim = stage.pid("instance_2");
    signal(victim, "KILL");
    stage.wait("it is replaced on a full disk", |stage| {
        stage.living_workers().into_iter().find(|(pid, id)| id == "instance_2" && *pid != victim)
    });
    let shown = stage.tachi(&["status"]).stdout;
    assert!(String::from_utf8_lossy(&shown).contains("no space left on the file system of"));
    stage.ask(&["down"]);
    assert!(stage.ended().is_some());
    assert_eq!(stage.survivors(), [""; 0]);
    let before = Instant::now();
    let detached = stage.up_command().arg("--detach").output().unwrap();
    assert!(before.elapsed() < Duration::from_secs(30), "it waited for what cannot come");
    let said = String::from_utf8_lossy(&detached.stderr).into_owned();
    assert!(detached.status.code() == Some(1) && said.contains("no space left"), "{said}");
    assert_eq!(stage.survivors(), [""; 0]);
    drop(file);
    fs::remove_file(&fill).unwrap();
    stage.up_and_ready(3);
    assert_eq!(stage.tachi(&["memory", "get", "kept"]).stdout, b"1\n");
    stage.ask(&["down"]);
    assert!(stage.ended().is_some());
    drop(stage);
}

#[test]
fn p15_workers_survive_their_supervisor_and_are_adopted_once() {
    let mut stage = Stage::workers(4);
    let first = stage.up_and_ready(4);
    let before = stage.living_workers();
    signal(first, "KILL");
    stage.ended();
    let dead = stage.pid("instance_3");
    signal(dead, "KILL");
    stage.wait("it is gone", |_| (!lives(dead)).then_some(()));
    fs::remove_file(stage.state().join("registry.json")).unwrap();
    stage.up_and_ready(4);
    let after = stage.living_workers();
    assert_eq!(after.len(), 4, "{after:?}");
    let kept = before.iter().filter(|worker| after.contains(worker)).count();
    assert_eq!(kept, 3, "{before:?} {after:?}");
    assert_eq!(stage.row("instance_3")["incarnation"], 2);
}

/// Soft and hard limit of open files of a process.
fn open_files(pid: u32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    (words[3].to_owned(), words[4].to_owned())
}

#[test]
fn p65b_the_supervisor_raises_its_open_files_and_workers_give_them_back() {
    let mut stage = Stage::workers(1);
    let supervisor = stage.up_and_ready(1);
    let (soft, hard) = open_files(std::process::id());
    assert_eq!(open_files(supervisor), (hard.clone(), hard.clone()));
    assert_eq!(open_files(stage.pid("instance_1")), (soft, hard));
    stage.ask(&["down"]);
}
