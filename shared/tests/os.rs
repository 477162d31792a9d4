//! The system room on the real system: locks, doorbells, watches, placed files.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test touches files, processes and time itself and fails by panicking"
)]

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tachi_shared::Error;
use tachi_shared::clock::Timestamp;
use tachi_shared::os::doorbell::{Doorbell, Ring, ring};
use tachi_shared::os::place::{Sync, place, set_aside, sweep};
use tachi_shared::os::process;
use tachi_shared::os::watch::{Hint, Watch};
use tachi_shared::os::{AliveLock, Disk, FileLock, OpenMode, Storage as _};

const LONG: Duration = Duration::from_secs(10);

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Another process that holds a lock; `None` in the environment means we are the test itself.
const HOLD: &str = "TACHI_TEST_HOLD";

/// Starts this test binary again as a process that takes `lock` (`.alive` for life) and then says so.
fn holder(lock: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_process_that_holds_a_lock", "--nocapture"])
        .env(HOLD, lock)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the holder has the lock", || {
        assert!(child.try_wait().unwrap().is_none(), "the holder ended");
        AliveLock::holder(lock) == Some(child.id())
    });
    child
}

#[test]
fn helper_process_that_holds_a_lock() {
    let Some(lock) = std::env::var_os(HOLD) else { return };
    let lock = Path::new(&lock);
    let _guard: Box<dyn std::any::Any> = match lock.extension() {
        Some(kind) if kind == "alive" => Box::new(AliveLock::take(lock).unwrap()),
        _ => Box::new(FileLock::take(lock, "helper", LONG).unwrap()),
    };
    // Ends when the test closes our standard input, or kills us.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn s_two_threads_of_one_process_never_hold_one_lock_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let inside = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (path, inside) = (path.clone(), Arc::clone(&inside));
            std::thread::spawn(move || {
                for _ in 0..200 {
                    let _guard = FileLock::take(&path, "test", LONG).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_second_take_in_one_process_times_out_instead_of_waiting_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let held = FileLock::take(&path, "first", Duration::ZERO).unwrap();
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        let error = FileLock::take(&path, "second", wait).unwrap_err();
        assert!(
            matches!(&error, Error::LockTimeout { holder, .. } if holder.contains("this process")),
            "{error}"
        );
    }
    drop(held);
    assert!(FileLock::take(&path, "third", Duration::ZERO).is_ok());
}

#[test]
fn s12_a_lock_given_back_is_free_for_others_although_its_file_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    drop(FileLock::take(&path, "test", LONG).unwrap());
    let other = std::fs::File::open(&path).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[test]
fn s_23_4_a_frozen_holder_is_named_in_the_timeout_and_heals_on_cont() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let mut child = holder(&path);
    let signal = |number| {
        let target = process::find(child.id()).unwrap();
        let fd = process::open_pidfd(&target).unwrap().unwrap();
        assert!(process::signal(std::os::fd::AsFd::as_fd(&fd), number).unwrap());
    };
    signal(19);
    wait_until("it is stopped", || process::stat(child.id()).is_some_and(|stat| stat.is_stopped()));
    let began = Instant::now();
    let error = FileLock::take(&path, "test", Duration::from_millis(50)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(50) && began.elapsed() < Duration::from_secs(5));
    let Error::LockTimeout { holder, .. } = &error else { panic!("{error}") };
    assert!(holder.contains(&format!("pid {}", child.id())), "{holder}");
    assert!(holder.contains("stopped"), "{holder}");
    assert!(holder.contains("\"op\":\"helper\""), "{holder}");
    signal(18);
    drop(child.stdin.take());
    assert!(FileLock::take(&path, "test", LONG).is_ok());
    child.wait().unwrap();
}

#[test]
fn s_23_3_a_waiter_gets_the_lock_of_a_killed_holder_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let mut child = holder(&path);
    let waiter = {
        let path = path.clone();
        std::thread::spawn(move || FileLock::take(&path, "test", LONG).map(|_| Instant::now()))
    };
    // Long enough to be past the naps and in the kernel's queue.
    wait_until("the waiter queues", || {
        std::fs::read_to_string("/proc/locks").unwrap().lines().any(|line| {
            line.contains("-> FLOCK")
                && line.contains(&format!(":{} ", std::fs::metadata(&path).unwrap().ino()))
        })
    });
    child.kill().unwrap();
    let killed = Instant::now();
    let got = waiter.join().unwrap().unwrap();
    assert!(got.saturating_duration_since(killed) < Duration::from_secs(1));
    child.wait().unwrap();
}

#[test]
fn waiters_that_gave_up_leave_one_thread_behind_at_most_and_nothing_locked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let mut child = holder(&path);
    for _ in 0..10 {
        assert!(FileLock::take(&path, "test", Duration::from_millis(5)).is_err());
    }
    let queued = || {
        let inode = format!(":{} ", std::fs::metadata(&path).unwrap().ino());
        let list = std::fs::read_to_string("/proc/locks").unwrap();
        list.lines().filter(|line| line.contains("-> FLOCK") && line.contains(&inode)).count()
    };
    assert_eq!(queued(), 1, "abandoned helpers pile up");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the abandoned helper lets go", || !AliveLock::is_held(&path));
    assert!(FileLock::take(&path, "test", Duration::ZERO).is_ok());
}

#[test]
fn s_23_20_a_lock_file_that_was_deleted_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    drop(FileLock::take(&path, "warm", Duration::ZERO).unwrap());
    std::fs::remove_file(&path).unwrap();
    let guard = FileLock::take(&path, "test", Duration::ZERO).unwrap();
    assert!(path.exists(), "the guard holds a file nobody else can find");
    assert_eq!(AliveLock::holder(&path), Some(std::process::id()));
    drop(guard);
}

#[test]
fn a_lock_file_that_was_moved_away_is_noticed_soon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    drop(FileLock::take(&path, "warm", Duration::ZERO).unwrap());
    std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    let noticed = (1..=64).any(|_| {
        drop(FileLock::take(&path, "test", Duration::ZERO).unwrap());
        path.exists()
    });
    assert!(noticed);
}

#[test]
fn lock_files_are_private_to_the_owner_and_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    drop(FileLock::take(&path, "test", Duration::ZERO).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn s_23_43_no_lock_descriptor_is_inherited_by_a_child() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let _lock = FileLock::take(&path, "test", Duration::ZERO).unwrap();
    let alive = dir.path().join("x.alive");
    let _alive = AliveLock::take(&alive).unwrap();
    let _bell = Doorbell::open(&dir.path().join("bell")).unwrap();
    let output = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains(&*dir.path().to_string_lossy()), "{text}");
}

#[test]
fn s_17_an_alive_lock_is_free_exactly_when_its_process_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("instance_1.alive");
    assert!(!AliveLock::is_held(&path), "never started");
    assert!(!path.exists(), "a probe must not make the file");
    let mut child = holder(&path);
    assert!(AliveLock::is_held(&path));
    let error = AliveLock::take(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Held { holder, .. } if holder.contains(&format!("pid {}", child.id()))),
        "{error}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!AliveLock::is_held(&path));
    assert_eq!(AliveLock::holder(&path), None);
    assert!(AliveLock::take(&path).is_ok());
}

#[test]
fn a_start_that_meets_a_probe_tries_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("instance_1.alive");
    drop(AliveLock::take(&path).unwrap());
    let probe = std::fs::File::open(&path).unwrap();
    probe.lock_shared().unwrap();
    assert!(!AliveLock::is_held(&path), "two probes must not take each other for a holder");
    let began = Instant::now();
    let start = std::thread::spawn(move || AliveLock::take(&path).map(drop));
    while began.elapsed() < Duration::from_millis(50) {
        assert!(!start.is_finished(), "it gave up at once");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(probe);
    start.join().unwrap().unwrap();
}

#[test]
fn rings_are_told_once_each_and_nobody_listening_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("instance_1");
    ring(&path, Ring::Messages);
    assert!(!path.exists(), "ringing must not make a file");
    let bell = Doorbell::open(&path).unwrap();
    assert_eq!(bell.drain().unwrap(), []);
    for _ in 0..1000 {
        ring(&path, Ring::Messages);
    }
    ring(&path, Ring::Control);
    assert_eq!(bell.drain().unwrap(), [Ring::Messages, Ring::Control]);
    // A full pipe is the reader's problem, not the sender's.
    for _ in 0..100_000 {
        ring(&path, Ring::Tasks);
    }
    assert_eq!(bell.drain().unwrap(), [Ring::Tasks]);
    drop(bell);
    ring(&path, Ring::Tasks);
}

#[test]
fn a_plain_file_in_the_place_of_a_doorbell_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("instance_1");
    std::fs::write(&path, "m").unwrap();
    let bell = Doorbell::open(&path).unwrap();
    let mut shell = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    shell.write_all(b"m\n").unwrap();
    assert_eq!(bell.drain().unwrap(), [Ring::Messages]);
}

#[test]
fn a_watch_hints_at_changes_but_never_at_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("old");
    std::fs::write(&file, "x").unwrap();
    let (tell, told) = mpsc::channel();
    let _watch = Watch::start(&[dir.path().to_owned()], move |hint| drop(tell.send(hint))).unwrap();
    std::fs::read(&file).unwrap();
    let new = dir.path().join("new");
    std::fs::write(&new, "x").unwrap();
    // Everything told up to the change is about the change: the read before it told nothing.
    let first = told.recv_timeout(LONG).unwrap();
    assert_eq!(first, Hint::Changed(new));
    let missing = Watch::start(&[dir.path().join("missing")], |_| {}).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
}

#[test]
fn a_placed_file_keeps_the_mode_of_the_one_it_replaces_and_leaves_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let (tmp, target) = (dir.path().join("tmp"), dir.path().join("x.json"));
    Disk.make_dir(&tmp).unwrap();
    place(&Disk, &tmp, &target, b"one", Sync::Skip).unwrap();
    assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o664)).unwrap();
    place(&Disk, &tmp, &target, b"two", Sync::DataAndName).unwrap();
    assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o664);
    assert_eq!(std::fs::read(&target).unwrap(), b"two");
    let in_the_way = dir.path().join("directory");
    Disk.make_dir(&in_the_way).unwrap();
    std::fs::write(in_the_way.join("full"), "x").unwrap();
    assert!(place(&Disk, &tmp, &in_the_way, b"three", Sync::Data).is_err());
    assert_eq!(Disk.list(&tmp).unwrap(), Vec::<String>::new());
}

#[test]
fn refused_files_are_kept_with_the_reason_beside_them_under_a_name_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let rejected = dir.path().join("rejected");
    Disk.make_dir(&rejected).unwrap();
    for text in ["first", "second"] {
        let path = dir.path().join("x.json");
        std::fs::write(&path, text).unwrap();
        let kept = set_aside(&Disk, &path, &rejected, "it is bad", Timestamp::EPOCH).unwrap();
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), text);
        assert_eq!(std::fs::read_to_string(kept.with_extension("why")).unwrap(), "it is bad\n");
    }
    assert_eq!(Disk.list(&rejected).unwrap().len(), 4);
}

#[test]
fn only_old_temporary_files_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.1.1.tmp"), "x").unwrap();
    std::fs::write(dir.path().join("keep"), "x").unwrap();
    let now = tachi_shared::clock::now().wall;
    assert_eq!(sweep(&Disk, dir.path(), now).unwrap(), 0);
    let later = Timestamp::from_unix(now.unix() + 2 * 3600);
    assert_eq!(sweep(&Disk, dir.path(), later).unwrap(), 1);
    assert_eq!(Disk.list(dir.path()).unwrap(), ["keep"]);
}

#[test]
fn a_fifo_in_the_place_of_a_file_does_not_hang_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trap.json");
    let _bell = Doorbell::open(&path).unwrap();
    assert!(Disk.read(&path, 100).map(|bytes| bytes.is_empty()).unwrap_or(true));
}

#[test]
fn children_are_known_until_they_are_reaped_and_carry_their_environment() {
    let mut child = Command::new("cat").env("TACHI_TEST_MARK", "yes").stdin(Stdio::piped()).spawn().unwrap();
    assert!(process::children().contains(&child.id()));
    // The kernel shows the new name before the new environment.
    wait_until("exec is done", || process::environ(child.id(), "TACHI_TEST_MARK").as_deref() == Some("yes"));
    assert_eq!(process::environ(child.id(), "TACHI_TEST"), None);
    let found = process::find(child.id()).unwrap();
    child.kill().unwrap();
    wait_until("it is a zombie", || process::find(child.id()).is_none());
    assert!(process::children().contains(&child.id()), "a zombie is still ours to reap");
    child.wait().unwrap();
    assert!(!process::children().contains(&child.id()));
    assert!(!process::is_alive(&found));
}

#[test]
fn a_new_file_is_never_one_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    drop(Disk.open(&path, OpenMode::Create).unwrap());
    let again = Disk.open(&path, OpenMode::Create).err().unwrap();
    assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
}
