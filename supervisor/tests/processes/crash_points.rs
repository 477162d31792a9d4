//! Demand 6: the supervisor is killed before its n-th call that writes, renames, starts or signals; the next one adopts
//! what lives, starts what is missing, keeps what was asked and answered, and nobody is there twice.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::stage::{Stage, signal};

/// Boundaries at which a death could leave something half done.
const CALLS: &str = "write,pwrite64,rename,renameat2,unlink,fdatasync,fsync,ftruncate,mkdir,clone3,clone,vfork,\
    pidfd_open,pidfd_send_signal,waitid,flock,epoll_ctl";
/// Deaths in a default run; a long one tries every call.
const DEATHS: usize = 6;

fn is_permitted() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if tried.is_ok_and(|status| status.success()) {
        return true;
    }
    if let Some(path) = std::env::var_os("TACHI_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "strace: programs cannot be traced here").unwrap();
    }
    false
}

/// The supervisor alone under `strace`, not what it starts.
fn traced(stage: &Stage, death: Option<&(String, usize)>) -> Command {
    let up = stage.up_command();
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "signal=none", "-o"]).arg(stage.file("trace"));
    command.args(["-e", &format!("trace={CALLS}")]);
    if let Some((call, n)) = death {
        command.args(["-e", &format!("inject={call}:signal=SIGKILL:when={n}")]);
    }
    command.arg(up.get_program()).args(up.get_args()).current_dir(up.get_current_dir().unwrap());
    command.stdin(Stdio::null());
    command
}

/// The calls of a trace in their order, each as its name and the how many-th of that name it is.
fn calls(stage: &Stage) -> Vec<(String, usize)> {
    let text = std::fs::read_to_string(stage.file("trace")).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.trim().to_owned());
    let mut seen = BTreeMap::new();
    let count = |name: String| {
        let count: &mut usize = seen.entry(name.clone()).or_default();
        *count += 1;
        (name, *count)
    };
    names.filter(|name| CALLS.split(',').any(|call| call.trim() == name)).map(count).collect()
}

/// A start, a death, a stop. Whoever supervises may be gone at any moment; says whether the stop was answered.
fn play(stage: &mut Stage) -> bool {
    let until = |stage: &mut Stage, what: &str, is: &dyn Fn(&Stage) -> bool| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !is(stage) && !stage.has_ended() {
            assert!(std::time::Instant::now() < end, "in vain: {what}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let ready = |stage: &Stage, id: &str, incarnation: u32| {
        let row = stage.row(id);
        row["status"] == "ready" && row["incarnation"].as_u64() >= Some(u64::from(incarnation))
    };
    until(stage, "both are ready", &|stage| ready(stage, "a", 1) && ready(stage, "b", 1));
    if let Some(pid) = stage.row("a")["pid"].as_u64() {
        signal(u32::try_from(pid).unwrap(), "KILL");
        until(stage, "a is back", &|stage| ready(stage, "a", 2));
    }
    !stage.has_ended() && stage.tachi(&["stop", "b"]).status.success()
}

/// How many processes each of the two has: its holder and its command.
fn crowd(stage: &Stage) -> BTreeMap<String, usize> {
    let mut crowd = BTreeMap::new();
    for pid in stage.processes_with(&stage.token) {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let id = environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"TACHI_INSTANCE_ID="));
        if let Some(id) = id {
            *crowd.entry(String::from_utf8_lossy(id).into_owned()).or_default() += 1;
        }
    }
    crowd
}

#[test]
fn p57_killed_at_any_boundary_a_supervisor_is_followed_by_one_that_puts_everything_right() {
    if !is_permitted() {
        return;
    }
    let mut stage = Stage::sleepers(&["a", "b"]);
    let mut command = traced(&stage, None);
    stage.begin_told(&mut command);
    assert!(play(&mut stage));
    stage.ask(&["down"]);
    stage.ended();
    let all = calls(&stage);
    assert!(all.len() > 60, "the trace shows nothing: {all:?}");
    let tries = if std::env::var_os("TACHI_LONG").is_some() { all.len() } else { DEATHS };
    let mut killed = 0;
    for death in (1..=tries).map(|k| &all[k * all.len() / tries - 1]) {
        println!("killed before {} {}", death.0, death.1);
        let mut stage = Stage::sleepers(&["a", "b"]);
        let mut command = traced(&stage, Some(death));
        stage.begin_told(&mut command);
        let stopped = play(&mut stage);
        killed += usize::from(stage.has_ended());
        if !stage.has_ended() {
            // It needed fewer calls this time.
            stage.tachi(&["down"]);
        }
        stage.ended();
        let next = stage.up();
        let wanted: &[(&str, &str)] =
            if stopped { &[("a", "ready"), ("b", "stopped")] } else { &[("a", "ready")] };
        stage.wait("the next one puts everything right", |stage| {
            let registry = stage.registry();
            let row = |id: &str| stage.row(id)["status"].as_str().unwrap_or_default().to_owned();
            let settled = ["ready", "stopped"].contains(&&*row("b"));
            let right = wanted.iter().all(|(id, status)| row(id) == *status);
            (registry["supervisor"]["pid"] == next && right && settled).then_some(())
        });
        let mut expected = BTreeMap::from([("a".to_owned(), 2)]);
        if stage.row("b")["status"] == "ready" {
            expected.insert("b".to_owned(), 2);
        }
        stage.wait("everybody is there once", |stage| (crowd(stage) == expected).then_some(()));
        stage.ask(&["doctor"]);
        stage.ask(&["down"]);
        assert_eq!(stage.ended(), Some(0));
        assert_eq!(stage.survivors(), [""; 0]);
    }
    assert!(killed * 2 > tries, "only {killed} of {tries} were killed");
}
