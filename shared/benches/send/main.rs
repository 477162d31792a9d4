//! send: one message of 200 bytes into the queue, beside the bare limit (flock, append, unlock; durable: then fdatasync),
//! SQLite in WAL mode, and Redis.
//!
//! Every contender runs in processes of its own, all writers of a row start together, rounds of the contenders alternate,
//! and the median round counts. What to look at are the ratios: the machine's mood is in all of them. SQLite takes part
//! when built with `--features bench-peers`, Redis where `redis-server` is installed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark times the real system against bare system calls")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark stops at the first failure"
)]

mod redis;

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};
use tachi_shared::clock;
use tachi_shared::id::{InstanceId, Recipient};
use tachi_shared::log::Durability;
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::store::Store;

/// Length of a stored line, newline included.
const LINE: usize = 200;
const ROUNDS: usize = 5;
const WAIT: Duration = Duration::from_secs(30);
const BARE: &str = "flock+append";

/// One row of the table.
struct Case {
    title: &'static str,
    writers: usize,
    batch: usize,
    /// Messages per writer.
    messages: usize,
    durable: bool,
    target: Target,
}

/// What is wanted, as ratios inside the run.
struct Target {
    /// At most so many times the time of one call of the limit.
    p50: Option<f64>,
    /// At least this part of the limit's rate.
    rate: f64,
    /// At least so many times the rate of SQLite.
    sqlite: f64,
    /// At least so many times the rate of Redis.
    redis: f64,
}

const SINGLE: Target = Target { p50: Some(3.0), rate: 0.33, sqlite: 2.0, redis: 2.0 };
const SEVERAL: Target = Target { p50: None, rate: 0.3, sqlite: 2.0, redis: 2.0 };
const DURABLE: Target = Target { p50: None, rate: 0.9, sqlite: 1.0, redis: 1.0 };

const CASES: [Case; 6] = [
    Case { title: "1 writer", writers: 1, batch: 1, messages: 20_000, durable: false, target: SINGLE },
    Case { title: "4 writers", writers: 4, batch: 1, messages: 5_000, durable: false, target: SEVERAL },
    Case { title: "16 writers", writers: 16, batch: 1, messages: 1_250, durable: false, target: SEVERAL },
    Case {
        title: "1 writer, batches of 64",
        writers: 1,
        batch: 64,
        messages: 64 * 1_000,
        durable: false,
        target: SEVERAL,
    },
    Case { title: "durable, 1 writer", writers: 1, batch: 1, messages: 400, durable: true, target: DURABLE },
    Case {
        title: "durable, 16 writers",
        writers: 16,
        batch: 1,
        messages: 100,
        durable: true,
        target: DURABLE,
    },
];

fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

fn draft(writer: &str, k: usize) -> Draft {
    let to = Recipient::Instance(InstanceId::new("instance_2").expect("a name"));
    let id = format!("{writer}.1.{k}");
    let mut draft = Draft::new(to, writer, MessageKind::Finding, id, clock::now().wall, "");
    let bare = serde_json::to_string(&draft).expect("a line").len() + r#""seq":00000,"#.len() + 1;
    draft.content = serde_json::Value::String("x".repeat(LINE.saturating_sub(bare)));
    draft
}

/// Runs one writer: `messages` in batches, all made beforehand; calls `send` with the drafts of each batch.
fn write(writer: &str, case: &Case, mut send: impl FnMut(&[Draft])) -> (u64, u64, Vec<u64>) {
    let drafts: Vec<Draft> = (0..case.messages).map(|k| draft(writer, k)).collect();
    let mut latencies = Vec::with_capacity(case.messages / case.batch);
    println!("READY");
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).expect("the start signal");
    let first = nanoseconds();
    for batch in drafts.chunks(case.batch) {
        let before = nanoseconds();
        send(batch);
        latencies.push(nanoseconds() - before);
    }
    (first, nanoseconds(), latencies)
}

fn bare(dir: &Path, writer: &str, case: &Case) -> (u64, u64, Vec<u64>) {
    let open = |name: &str| File::options().create(true).append(true).open(dir.join(name)).expect("opened");
    let (lock, mut log) = (open("lock"), open("log"));
    let line = [b"x".repeat(LINE - 1), b"\n".to_vec()].concat();
    write(writer, case, |drafts| {
        let bytes = line.repeat(drafts.len());
        flock(&lock, FlockOperation::LockExclusive).expect("locked");
        log.write_all(&bytes).expect("appended");
        flock(&lock, FlockOperation::Unlock).expect("unlocked");
        if case.durable {
            log.sync_data().expect("synced");
        }
    })
}

fn tachi(dir: &Path, writer: &str, case: &Case) -> (u64, u64, Vec<u64>) {
    let store = Store::create(&dir.join("state")).expect("a store");
    let durability = if case.durable { Durability::Durable } else { Durability::default() };
    let mut queue = store.queue().with_durability(durability);
    write(writer, case, |drafts| {
        queue.send(drafts, WAIT).expect("sent");
    })
}

#[cfg(feature = "bench-peers")]
fn sqlite(dir: &Path, writer: &str, case: &Case) -> (u64, u64, Vec<u64>) {
    let base = rusqlite::Connection::open(dir.join("queue.sqlite")).expect("opened");
    base.busy_timeout(WAIT).expect("a timeout");
    base.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {};
         CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);",
        if case.durable { "FULL" } else { "NORMAL" }
    ))
    .expect("a table");
    let line = "x".repeat(LINE);
    let mut insert = base.prepare("INSERT INTO messages (line) VALUES (?1)").expect("a statement");
    write(writer, case, |drafts| {
        if drafts.len() > 1 {
            base.execute_batch("BEGIN IMMEDIATE").expect("begun");
        }
        for _ in drafts {
            insert.execute([&line]).expect("inserted");
        }
        if drafts.len() > 1 {
            base.execute_batch("COMMIT").expect("committed");
        }
    })
}

#[cfg(not(feature = "bench-peers"))]
fn sqlite(_: &Path, _: &str, _: &Case) -> (u64, u64, Vec<u64>) {
    panic!("built without the feature bench-peers")
}

fn redis(dir: &Path, writer: &str, case: &Case) -> (u64, u64, Vec<u64>) {
    let port = std::fs::read_to_string(dir.join("port")).expect("a port").parse().expect("a number");
    let mut client = redis::Client::connect(port);
    let line = "x".repeat(LINE);
    let words: [&[u8]; 5] = [b"XADD", b"queue", b"*", b"line", line.as_bytes()];
    write(writer, case, |drafts| match drafts.len() {
        1 => drop(client.call(&words)),
        count => drop(client.pipeline(&words, count)),
    })
}

/// The program as one writer: `--child CONTENDER DIR CASE WRITER`.
fn child(arguments: &[String]) {
    let dir = Path::new(&arguments[1]);
    let case = &CASES[arguments[2].parse::<usize>().expect("a case")];
    let writer = &arguments[3];
    let (first, last, mut latencies) = match arguments[0].as_str() {
        BARE => bare(dir, writer, case),
        "tachi" => tachi(dir, writer, case),
        "redis" => redis(dir, writer, case),
        _ => sqlite(dir, writer, case),
    };
    latencies.sort_unstable();
    let p50 = latencies[latencies.len() / 2];
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("{first} {last} {p50} {p99}");
}

/// What one round of one contender came to.
#[derive(Clone, Copy)]
struct Round {
    /// Median time of one call, nanoseconds.
    p50: u64,
    p99: u64,
    /// Messages per second, all writers.
    rate: f64,
}

fn round(contender: &str, index: usize, base: &Path) -> Round {
    let case = &CASES[index];
    let dir = tempfile::tempdir_in(base).expect("a folder");
    let _server = (contender == "redis").then(|| {
        let server = redis::Server::start(dir.path(), if case.durable { "always" } else { "everysec" });
        std::fs::write(dir.path().join("port"), server.port.to_string()).expect("written");
        server
    });
    let mut writers: Vec<(Child, BufReader<std::process::ChildStdout>)> = (0..case.writers)
        .map(|n| {
            let mut child = Command::new(env::current_exe().expect("this program"))
                .args(["--child", contender, &dir.path().display().to_string()])
                .args([index.to_string(), format!("instance_{}", n + 10)])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a writer");
            let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
            let mut line = String::new();
            said.read_line(&mut line).expect("READY");
            assert_eq!(line, "READY\n", "{contender} did not start");
            (child, said)
        })
        .collect();
    for (child, _) in &mut writers {
        child.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("started");
    }
    let mut told = Vec::new();
    for (child, said) in &mut writers {
        let mut line = String::new();
        said.read_line(&mut line).expect("a result");
        assert!(child.wait().expect("ended").success(), "{contender} failed");
        told.push(line.split_whitespace().map(|n| n.parse::<u64>().expect("a number")).collect::<Vec<_>>());
    }
    let column = |n: usize| told.iter().map(move |line| line[n]);
    let span = column(1).max().expect("a last") - column(0).min().expect("a first");
    let middle = |values: Vec<u64>| {
        let mut values = values;
        values.sort_unstable();
        values[values.len() / 2]
    };
    Round {
        p50: middle(column(2).collect()),
        p99: column(3).max().expect("a p99"),
        rate: (case.messages * case.writers) as f64 * 1e9 / span as f64,
    }
}

fn compare(index: usize, contenders: &[&str], base: &Path) {
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for (n, contender) in contenders.iter().enumerate() {
            rounds[n].push(round(contender, index, base));
        }
    }
    println!("{}", CASES[index].title);
    let middle: Vec<Round> = rounds
        .iter_mut()
        .map(|rounds| {
            rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
            rounds[rounds.len() / 2]
        })
        .collect();
    for (contender, this) in contenders.iter().zip(&middle) {
        println!(
            "  {contender:<14} p50 {:>8.2} us   p99 {:>9.2} us   {:>10.0}/s   p50 x{:<6.2} rate x{:.2}",
            this.p50 as f64 / 1e3,
            this.p99 as f64 / 1e3,
            this.rate,
            this.p50 as f64 / middle[0].p50 as f64,
            this.rate / middle[0].rate,
        );
    }
    verdict(&CASES[index].target, contenders, &middle);
}

/// The ratios that were aimed at, and whether they were met.
fn verdict(target: &Target, contenders: &[&str], rounds: &[Round]) {
    let of = |name: &str| contenders.iter().position(|contender| *contender == name).map(|at| rounds[at]);
    let (Some(bare), Some(ours)) = (of(BARE), of("tachi")) else { return };
    let word = |is_met: bool| if is_met { "met" } else { "missed" };
    let mut told =
        vec![format!("rate x{} or more: {}", target.rate, word(ours.rate >= target.rate * bare.rate))];
    if let Some(p50) = target.p50 {
        told.push(format!("p50 x{p50} or less: {}", word(ours.p50 as f64 <= p50 * bare.p50 as f64)));
    }
    for (name, factor) in [("sqlite", target.sqlite), ("redis", target.redis)] {
        if let Some(peer) = of(name) {
            let ratio = ours.rate / peer.rate;
            told.push(format!("{factor} times {name} or more: {} ({ratio:.2})", word(ratio >= factor)));
        }
    }
    println!("  target: {}", told.join("; "));
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "--child"
    {
        return child(rest);
    }
    let base = env::var_os("TACHI_BENCH_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let mut contenders = vec![BARE, "tachi"];
    println!("send: {LINE}-byte messages, median of {ROUNDS} rounds, in {}", base.display());
    println!(
        "(x = ratio to the bare limit; SQLite: WAL, synchronous NORMAL or FULL; Redis: a stream, everysec or always)"
    );
    if cfg!(feature = "bench-peers") {
        contenders.push("sqlite");
    } else {
        println!("(SQLite left out: built without the feature bench-peers)");
    }
    if redis::is_installed() {
        contenders.push("redis");
    } else {
        println!("(Redis left out: redis-server is not installed)");
    }
    for index in 0..CASES.len() {
        compare(index, &contenders, &base);
    }
}
