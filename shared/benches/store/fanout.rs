//! Fan-out: sixteen processes send and read everything that all of them send. Readers nap while they are fed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use tachi_shared::clock;
use tachi_shared::id::Recipient;
use tachi_shared::os::doorbell::Doorbell;
use tachi_shared::queue::Arrival;
use tachi_shared::store::Store;

use crate::crew::{Crew, ready, tell};
use crate::figures::{nanoseconds, rate};
use crate::message::{LINE, WAIT, draft, id, role};
use crate::redis::{Client, Server, is_installed};

const MEMBERS: usize = 16;
/// Messages each of them sends.
const EACH: usize = 1_000;
/// What everybody waits for: its own are no news to a member of a fleet.
const OTHERS: usize = (MEMBERS - 1) * EACH;
/// Between two looks without news.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };
const TAKE: usize = 1_024;

/// In a child, `--fanout KIND DIR NUMBER`: sends and reads all; tells when it began and ended.
pub(crate) fn member(arguments: &[String]) {
    let (dir, number) = (Path::new(&arguments[1]), &arguments[2]);
    match arguments[0].as_str() {
        "bare" => bare(dir),
        "tachi" => tachi(dir, number),
        "redis" => redis(dir),
        _ => sqlite(dir),
    }
}

/// Sends one and looks, until all is sent; then looks and naps, until all is read.
fn work(wanted: usize, mut send: impl FnMut(usize), mut look: impl FnMut() -> usize, mut nap: impl FnMut()) {
    ready();
    let (begun, mut got) = (nanoseconds(), 0);
    for k in 0..EACH {
        send(k);
        if k % 16 == 0 {
            got += look();
        }
    }
    while got < wanted {
        let news = look();
        got += news;
        if news == 0 {
            nap();
        }
    }
    tell(&[begun, nanoseconds()]);
}

fn nap() {
    poll(&mut [], Some(&NAP)).expect("napped");
}

fn bare(dir: &Path) {
    let open = |name: &str| File::options().create(true).append(true).open(dir.join(name)).expect("opened");
    let (lock, mut log) = (open("lock"), open("log"));
    let mut tail = File::open(dir.join("log")).expect("opened");
    let line = [b"x".repeat(LINE - 1), b"\n".to_vec()].concat();
    let mut buffer = vec![0; 256 * 1024];
    let send = |_| {
        flock(&lock, FlockOperation::LockExclusive).expect("locked");
        log.write_all(&line).expect("appended");
        flock(&lock, FlockOperation::Unlock).expect("unlocked");
    };
    let look = || {
        let read = tail.read(&mut buffer).expect("read");
        buffer[..read].iter().filter(|byte| **byte == b'\n').count()
    };
    work(MEMBERS * EACH, send, look, nap);
}

fn tachi(dir: &Path, number: &str) {
    let store = Store::create(&dir.join("state")).expect("a store");
    let me = id(&format!("member_{number}"));
    let bell = Doorbell::open(&store.dir().doorbell(&me)).expect("a bell");
    let (mut queue, reader) = (store.queue(), store.queue());
    let mut inbox = reader.inbox(&me, &role(), reader.end().expect("an end"));
    let send = |k| {
        queue.post(&[draft(Recipient::Broadcast, me.as_str(), k)], WAIT).expect("sent");
    };
    let look = || {
        let arrivals = inbox.take(TAKE, clock::now().wall).expect("taken");
        arrivals.iter().filter(|arrival| matches!(arrival, Arrival::Message(_))).count()
    };
    let nap = || {
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&NAP)).expect("polled");
        bell.drain().expect("drained");
        nap();
    };
    work(OTHERS, send, look, nap);
}

fn redis(dir: &Path) {
    let port = std::fs::read_to_string(dir.join("port")).expect("a port").parse().expect("a number");
    let (mut sender, mut reader) = (Client::connect(port), Client::connect(port));
    let line = vec![b'x'; LINE];
    let mut last = b"0-0".to_vec();
    let send = |_| drop(sender.call(&[b"XADD", b"queue", b"*", b"line", &line]));
    let look = || {
        let found = reader.call(&[b"XREAD", b"COUNT", b"1024", b"STREAMS", b"queue", &last]);
        let entries = found.get(1..).unwrap_or_default().chunks(3);
        if let Some(entry) = entries.clone().last() {
            last.clone_from(&entry[0]);
        }
        entries.len()
    };
    work(MEMBERS * EACH, send, look, nap);
}

#[cfg(feature = "bench-peers")]
fn sqlite(dir: &Path) {
    let base = crate::message::sqlite(&dir.join("queue.sqlite"), "NORMAL");
    let reader = crate::message::sqlite(&dir.join("queue.sqlite"), "NORMAL");
    let mut insert = base.prepare("INSERT INTO messages (line) VALUES (?1)").expect("a statement");
    let mut find =
        reader.prepare("SELECT seq, line FROM messages WHERE seq > ?1 ORDER BY seq").expect("a statement");
    let (line, mut last) = ("x".repeat(LINE), 0_i64);
    let send = |_| {
        insert.execute([&line]).expect("in");
    };
    let look = || {
        let mut rows = find.query([last]).expect("a query");
        let mut got = 0;
        while let Some(row) = rows.next().expect("a row") {
            last = row.get(0).expect("a number");
            std::hint::black_box(row.get::<_, String>(1).expect("a text"));
            got += 1;
        }
        got
    };
    work(MEMBERS * EACH, send, look, nap);
}

#[cfg(not(feature = "bench-peers"))]
fn sqlite(_: &Path) {}

/// Deliveries per second, the middle one of three rounds.
fn round(kind: &str, base: &Path) -> f64 {
    let mut rates: Vec<f64> = (0..3)
        .map(|_| {
            let dir = tempfile::tempdir_in(base).expect("a folder");
            let _server = (kind == "redis").then(|| {
                let server = Server::start(dir.path(), "everysec");
                std::fs::write(dir.path().join("port"), server.port.to_string()).expect("written");
                server
            });
            let words = |number: usize| {
                ["--fanout", kind, &dir.path().display().to_string(), &number.to_string()]
                    .map(str::to_owned)
                    .to_vec()
            };
            let mut crew = Crew::start((0..MEMBERS).map(words));
            crew.go();
            let told = crew.finish();
            let begun = told.iter().map(|times| times[0]).min().expect("a first");
            let ended = told.iter().map(|times| times[1]).max().expect("a last");
            let each = if kind == "tachi" { OTHERS } else { MEMBERS * EACH };
            (each * MEMBERS) as f64 * 1e9 / (ended - begun) as f64
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[1]
}

pub(crate) fn all(dir: &Path) {
    println!(
        "fan-out: {MEMBERS} send {EACH} each and read all, deliveries per second (x = ratio to append and a napping tail)"
    );
    let limit = round("bare", dir);
    rate("bare", limit, limit, None);
    rate("tachi", round("tachi", dir), limit, Some(1e6));
    if cfg!(feature = "bench-peers") {
        rate("sqlite, polled", round("sqlite", dir), limit, None);
    }
    if is_installed() {
        rate("redis, a stream polled", round("redis", dir), limit, None);
    }
}
