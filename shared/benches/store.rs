//! The store beside its limits: durable sends, growth, looking without news, replay, and waking readers.
//!
//! Ratios inside one run; `send.rs` has the plain sends. Contenders: the bare system calls, SQLite in WAL mode (built with
//! `--features bench-peers`), and the original way of rewriting one JSON array per message.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark times the real system against bare system calls")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::time::{ClockId, clock_gettime};
use tachi_shared::clock;
use tachi_shared::id::{InstanceId, Recipient, Role};
use tachi_shared::log::{Cursor, Durability};
use tachi_shared::os::doorbell::Doorbell;
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::store::Store;

const WAIT: Duration = Duration::from_secs(30);
const LINE: usize = 200;

fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

fn id(text: &str) -> InstanceId {
    InstanceId::new(text).expect("a name")
}

fn role() -> Role {
    Role::new("bench").expect("a name")
}

fn draft(to: Recipient, k: usize) -> Draft {
    let id = format!("instance_1.1.{k}");
    Draft::new(to, "instance_1", MessageKind::Finding, id, clock::now().wall, &"x".repeat(40))
}

fn to_one(k: usize) -> Draft {
    draft(Recipient::Instance(id("instance_2")), k)
}

fn median(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    values[values.len() / 2] as f64
}

/// Median cost of `work`, in nanoseconds.
fn cost<T>(rounds: usize, mut work: impl FnMut(usize) -> T) -> f64 {
    let mut costs = Vec::with_capacity(rounds);
    for k in 0..rounds {
        let before = nanoseconds();
        std::hint::black_box(work(k));
        costs.push(nanoseconds() - before);
    }
    median(costs)
}

fn row(name: &str, value: f64, limit: f64) {
    println!("  {name:<34} {:>12.2} us   x{:.2}", value / 1e3, value / limit);
}

#[cfg(feature = "bench-peers")]
fn sqlite(path: &Path, synchronous: &str) -> rusqlite::Connection {
    let base = rusqlite::Connection::open(path).expect("opened");
    base.busy_timeout(WAIT).expect("a timeout");
    base.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
         CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);"
    ))
    .expect("a table");
    base
}

fn durable(dir: &Path) {
    println!("durable send, 1 writer (x = ratio to flock, append, unlock, fdatasync)");
    let open = |name: &str| File::options().create(true).append(true).open(dir.join(name)).expect("opened");
    let (lock, mut log) = (open("lock"), open("log"));
    let line = [b"x".repeat(LINE - 1), b"\n".to_vec()].concat();
    let limit = cost(400, |_| {
        flock(&lock, FlockOperation::LockExclusive).expect("locked");
        log.write_all(&line).expect("appended");
        flock(&lock, FlockOperation::Unlock).expect("unlocked");
        log.sync_data().expect("synced");
    });
    row("bare", limit, limit);
    let store = Store::create(&dir.join("durable")).expect("a store");
    let mut queue = store.queue().with_durability(Durability::Durable);
    let ours = cost(400, |k| queue.send(&[to_one(k)], WAIT).expect("sent"));
    row("tachi", ours, limit);
    #[cfg(feature = "bench-peers")]
    {
        let base = sqlite(&dir.join("full.sqlite"), "FULL");
        let mut insert = base.prepare("INSERT INTO messages (line) VALUES (?1)").expect("a statement");
        let text = "x".repeat(LINE);
        row("sqlite, synchronous FULL", cost(400, |_| insert.execute([&text]).expect("in")), limit);
    }
}

/// The original way: read the array, add, write it whole.
fn rewrite(path: &Path, stored: usize) -> f64 {
    let message = serde_json::to_value(to_one(0)).expect("a value");
    let all = serde_json::json!({"messages": vec![message.clone(); stored]});
    fs::write(path, all.to_string()).expect("written");
    cost(5, |_| {
        let text = fs::read_to_string(path).expect("read");
        let mut all: serde_json::Value = serde_json::from_str(&text).expect("parsed");
        all["messages"].as_array_mut().expect("a list").push(message.clone());
        fs::write(path, all.to_string()).expect("written");
    })
}

fn growth(dir: &Path) -> Store {
    println!("one send by how much is stored (x = ratio to 1,000 stored)");
    let store = Store::create(&dir.join("growth")).expect("a store");
    let mut queue = store.queue();
    let mut fill = |from: usize, to: usize| {
        for start in (from..to).step_by(1_000) {
            let drafts: Vec<Draft> = (start..start + 1_000).map(to_one).collect();
            queue.send(&drafts, WAIT).expect("sent");
        }
    };
    fill(0, 1_000);
    let mut small_queue = store.queue();
    let small = cost(3_000, |k| small_queue.send(&[to_one(k)], WAIT).expect("sent"));
    fill(4_000, 1_000_000);
    let mut large_queue = store.queue();
    let large = cost(3_000, |k| large_queue.send(&[to_one(k)], WAIT).expect("sent"));
    row("tachi, 1,000 stored", small, small);
    row("tachi, 1,000,000 stored", large, small);
    let original = rewrite(&dir.join("array.json"), 1_000);
    row("rewriting an array, 1,000 stored", original, original);
    row("rewriting an array, 100,000 stored", rewrite(&dir.join("array.json"), 100_000), original);
    println!("  tachi is {:.0} times as fast as the original at 1,000 stored", original / small);
    store
}

fn look(dir: &Path, store: &Store) {
    println!("a look without news (x = ratio to fstat)");
    let file = File::open(dir.join("log")).expect("opened");
    // Many at once: one is shorter than reading the clock.
    let limit =
        cost(300, |_| (0..100).map(|_| rustix::fs::fstat(&file).expect("looked").st_size).max()) / 100.0;
    row("fstat", limit, limit);
    let queue = store.queue();
    let mut inbox = queue.inbox(&id("instance_2"), &role(), queue.end().expect("an end"));
    let now = clock::now().wall;
    inbox.take(1, now).expect("taken");
    let ours = cost(300, |_| (0..100).for_each(|_| drop(inbox.take(1, now).expect("taken")))) / 100.0;
    row("tachi inbox", ours, limit);
    #[cfg(feature = "bench-peers")]
    {
        let base = sqlite(&dir.join("full.sqlite"), "NORMAL");
        let mut find = base.prepare("SELECT line FROM messages WHERE seq > ?1").expect("a statement");
        let peer = cost(300, |_| {
            for _ in 0..100 {
                assert!(!find.exists([i64::MAX - 1]).expect("looked"));
            }
        });
        row("sqlite", peer / 100.0, limit);
    }
}

fn replay(store: &Store) {
    let begun = Instant::now();
    let (messages, _) = store.queue().messages(Cursor::default(), usize::MAX).expect("read");
    let rate = messages.len() as f64 / begun.elapsed().as_secs_f64();
    println!("replay of {} messages, typed: {:.2} M/s", messages.len(), rate / 1e6);
}

/// A reader: `--reader KIND DIR NUMBER COUNT`; prints the time at which each of COUNT messages reached it.
fn reader(arguments: &[String]) {
    let (dir, number) = (Path::new(&arguments[1]), &arguments[2]);
    let count: usize = arguments[3].parse().expect("a number");
    let mut times = Vec::with_capacity(count);
    if arguments[0] == "fifo" {
        let path = dir.join(format!("fifo-{number}"));
        let mut fifo = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .expect("opened");
        println!("READY");
        let mut byte = [0; 64];
        while times.len() < count {
            poll(&mut [PollFd::new(&fifo, PollFlags::IN)], None).expect("polled");
            let read = fifo.read(&mut byte).expect("read");
            times.extend(std::iter::repeat_n(nanoseconds(), read));
        }
    } else {
        let store = Store::create(&dir.join("wake")).expect("a store");
        let me = id(&format!("reader_{number}"));
        let bell = Doorbell::open(&store.dir().doorbell(&me)).expect("a bell");
        let queue = store.queue();
        let mut inbox = queue.inbox(&me, &role(), queue.end().expect("an end"));
        println!("READY");
        while times.len() < count {
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).expect("polled");
            bell.drain().expect("drained");
            let got = inbox.take(64, clock::now().wall).expect("taken").len();
            times.extend(std::iter::repeat_n(nanoseconds(), got));
        }
    }
    println!("{}", times.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
}

/// Median time from the send to the last of `readers` having it, and of the sender's own call.
fn wake(kind: &str, dir: &Path, readers: usize) -> (f64, f64) {
    let count = if readers > 50 { 60 } else { 200 };
    let fifos: Vec<File> = (0..readers)
        .map(|number| {
            let path = dir.join(format!("fifo-{number}"));
            if !path.exists() {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
                    .expect("a fifo");
            }
            File::options().read(true).write(true).open(path).expect("opened")
        })
        .collect();
    let store = Store::create(&dir.join("wake")).expect("a store");
    let mut queue = store.queue();
    let mut log = File::options().create(true).append(true).open(dir.join("log")).expect("opened");
    let mut children: Vec<(Child, BufReader<std::process::ChildStdout>)> = (0..readers)
        .map(|number| {
            let mut child = Command::new(env::current_exe().expect("this program"))
                .args(["--reader", kind, &dir.display().to_string(), &number.to_string(), &count.to_string()])
                .stdout(Stdio::piped())
                .spawn()
                .expect("a reader");
            let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
            let mut line = String::new();
            said.read_line(&mut line).expect("READY");
            (child, said)
        })
        .collect();
    let (mut sent, mut calls) = (Vec::new(), Vec::new());
    for k in 0..count {
        // Readers must be asleep again before the next one.
        std::thread::sleep(Duration::from_millis(3 + readers as u64 / 5));
        let to = if readers == 1 { Recipient::Instance(id("reader_0")) } else { Recipient::Broadcast };
        let drafts = [draft(to, k)];
        sent.push(nanoseconds());
        if kind == "fifo" {
            log.write_all(&[b'x'; LINE]).expect("appended");
            fifos.iter().for_each(|mut fifo| fifo.write_all(b"x").expect("rung"));
        } else {
            queue.post(&drafts, WAIT).expect("sent");
        }
        calls.push(nanoseconds() - sent[k]);
    }
    let mut last = vec![0; count];
    for (child, said) in &mut children {
        let mut line = String::new();
        said.read_line(&mut line).expect("times");
        for (k, time) in line.split_whitespace().enumerate() {
            last[k] = last[k].max(time.parse::<u64>().expect("a time"));
        }
        child.wait().expect("ended");
    }
    (median(last.iter().zip(&sent).map(|(last, sent)| last - sent).collect()), median(calls))
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "--reader"
    {
        return reader(rest);
    }
    let base = env::var_os("TACHI_BENCH_DIR").map_or_else(env::temp_dir, Into::into);
    let temp = tempfile::tempdir_in(&base).expect("a folder");
    let dir = temp.path();
    println!("store: medians, in {}", base.display());
    durable(dir);
    let store = growth(dir);
    look(dir, &store);
    replay(&store);
    println!("send to last reader awake and served (x = ratio to append and one FIFO each)");
    for readers in [1, 4, 16, 100] {
        let (limit, _) = wake("fifo", dir, readers);
        let (ours, call) = wake("tachi", dir, readers);
        row(&format!("{readers} readers, bare"), limit, limit);
        row(&format!("{readers} readers, tachi"), ours, limit);
        println!("    the sender's own call {:.1} us", call / 1e3);
    }
}
