//! A power loss: ext4 on a loop device, shut down in the middle of work without writing its journal, and mounted again.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tachi_shared::id::Seq;
use tachi_shared::layout::Topic;
use tachi_shared::log::{Cursor, Durability, EPOCH_STEP, Entry, Gap, Log};
use tachi_shared::os::Disk;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::skip::{Mount, run, skip};

const ROOT: &str = "TACHI_TEST_POWER";
const LEDGER: &str = "TACHI_TEST_POWER_LEDGER";
const DURABLE: &str = "TACHI_TEST_POWER_DURABLE";
const AFTER: &str = "TACHI_TEST_POWER_ACKED";
const WAIT: Duration = Duration::from_secs(10);
/// `FS_IOC_SHUTDOWN` with "do not write the journal": what was not synced is lost, as when the plug is pulled.
const SHUTDOWN: &str = "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

fn log(store: &Store) -> Log {
    Log::new(Disk, store.dir(), Topic::Messages).with_boot("before")
}

/// Not a test of its own: appends and remembers until the power goes; what was acknowledged is noted on another disk.
#[test]
fn process_without_power() {
    let (Some(root), Some(ledger)) = (std::env::var_os(ROOT), std::env::var_os(LEDGER)) else { return };
    if let Ok(acked) = std::env::var(AFTER) {
        let came = after(Path::new(&root), acked.parse().unwrap());
        return fs::write(ledger, came.to_string()).unwrap();
    }
    let store = Store::create(Path::new(&root)).unwrap();
    let durable = std::env::var_os(DURABLE).is_some();
    let durability = if durable { Durability::Durable } else { Durability::Interval };
    let mut log = log(&store).with_durability(durability).with_segment_bytes(64 * 1024);
    let mut memory = store.memory();
    let mut ledger = OpenOptions::new().create(true).append(true).open(ledger).unwrap();
    for n in 1_u64.. {
        let text = "x".repeat(usize::try_from(n * 37 % 900).unwrap());
        let Ok(done) = log.append(&[json!({"n": n, "text": text}).to_string()], WAIT) else { return };
        ledger.write_all(format!("{}\n", done.last.0).as_bytes()).unwrap();
        if n.is_multiple_of(5) && memory.set_fact("n", json!(n)).is_err() {
            return;
        }
    }
}

fn process(root: &Path, ledger: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["power_loss::process_without_power", "--exact", "--test-threads=1"]);
    command.env(ROOT, root).env(LEDGER, ledger);
    command
}

fn start(root: &Path, ledger: &Path, durable: bool) -> Child {
    let mut command = process(root, ledger);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if durable {
        command.env(DURABLE, "1");
    }
    command.spawn().unwrap()
}

/// One round; tells how many records were acknowledged and how many of them came back.
fn round(image: &Path, at: &Path, ledger: &Path, durable: bool, sends: usize) -> Result<(u64, u64), String> {
    run(&["mkfs.ext4", "-q", "-F", image.to_str().unwrap()])?;
    run(&["mount", "-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()])?;
    let mount = Mount { at: at.to_owned() };
    let root = at.join("state");
    fs::write(ledger, "").unwrap();
    let mut child = start(&root, ledger, durable);
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(ledger).unwrap().lines().count() < sends {
        assert!(Instant::now() < deadline, "the writer does not get on");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    // A sync that is under way when the power goes may be told either result: only what was acknowledged before counts.
    let acked = fs::read_to_string(ledger).unwrap().lines().count() as u64;
    let cut = run(&["python3", "-c", SHUTDOWN, at.to_str().unwrap()]);
    let _ = child.kill();
    child.wait().unwrap();
    cut?;
    drop(mount);
    run(&["mount", "-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()])?;
    let _mount = Mount { at: at.to_owned() };
    let seen = fs::read_to_string(ledger).unwrap().lines().count();
    // In a process of its own, so that nothing stays open on the disk that is taken away again.
    let said = process(&root, ledger).env(AFTER, seen.to_string()).output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok((acked, fs::read_to_string(ledger).unwrap().parse().unwrap()))
}

/// What must hold when the machine is back; tells how many records came back.
fn after(root: &Path, acked: u64) -> u64 {
    let store = Store::create(root).unwrap();
    let mut log = log(&store).with_boot("after");
    let next = log.append(&[json!({"after": 1}).to_string()], WAIT).unwrap().last;
    assert!(next.0 > acked, "number {next} may have been seen before the power went");
    let mut came = 0;
    for entry in log.reader(Cursor::default()).read(usize::MAX).unwrap() {
        match entry {
            Entry::Record { seq, line } if seq == next => assert!(line.contains("after")),
            Entry::Record { seq, line } => {
                let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                assert_eq!((seq, value["n"].as_u64()), (Seq(came + 1), Some(came + 1)));
                came += 1;
            }
            Entry::Gap(Gap::Epoch { .. } | Gap::Lagged { .. }) => assert!(next.0 > came + EPOCH_STEP / 2),
            // Pages of a segment that was being written; told, and behind everything that was synced.
            Entry::Gap(Gap::Poison { .. }) => {}
            Entry::Gap(gap @ Gap::Unnumbered { .. }) => panic!("{gap:?}"),
        }
    }
    match store.memory().load() {
        Ok(Loaded::Missing | Loaded::Good(_)) => {}
        other => panic!("{other:?}"),
    }
    store.memory().set_fact("after", json!(1)).unwrap();
    came
}

fn lose_power(name: &str, durable: bool, check: impl Fn(u64, u64)) {
    let temp = tempfile::tempdir().unwrap();
    let (image, at) = (temp.path().join("disk"), temp.path().join("mounted"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&image).unwrap().set_len(24 * 1024 * 1024).unwrap();
    let rounds = if std::env::var_os("TACHI_LONG").is_some() { 40 } else { 3 };
    for number in 0..rounds {
        let ledger = temp.path().join("ledger");
        match round(&image, &at, &ledger, durable, 20 + 60 * number) {
            Ok((acked, came)) => {
                println!("{acked} acknowledged, {came} came back");
                check(acked, came);
            }
            Err(why) => return skip(name, &why),
        }
    }
}

#[test]
fn s31_after_a_power_loss_a_durable_store_has_everything_it_acknowledged() {
    lose_power("power-loss", true, |acked, came| {
        assert!(came >= acked, "{acked} were acknowledged, {came} came back");
    });
}

#[test]
fn s31_after_a_power_loss_an_ordinary_store_opens_whole_and_gives_no_number_again() {
    // What may be missing is the last second; here that is everything. What holds is checked in every round.
    lose_power("power-loss", false, |_, _| ());
}
