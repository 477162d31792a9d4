//! Waking: from the send to the last reader awake and served, and what the sender pays for it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::process::{Resource, getrlimit, setrlimit};
use tachi_shared::clock;
use tachi_shared::id::Recipient;
use tachi_shared::os::doorbell::Doorbell;
use tachi_shared::store::Store;

use crate::crew::{Crew, ready, tell};
use crate::figures::{aimed, alone, median, nanoseconds, row, within};
use crate::message::{LINE, WAIT, draft, id, role};
use crate::redis::{Client, Server, is_installed};

/// Readers of the largest row.
const CROWD: usize = 1_000;

/// In a child, `--wake KIND DIR NUMBER COUNT`: tells the time at which each of COUNT messages reached it. Who is to get nothing
/// but one last message tells how often it woke before.
pub(crate) fn reader(arguments: &[String]) {
    let (dir, number) = (Path::new(&arguments[1]), &arguments[2]);
    let count: usize = arguments[3].parse().expect("a number");
    match arguments[0].as_str() {
        "fifo" => read_fifo(dir, number, count),
        "redis" => read_redis(dir, count),
        "idle" => stay_idle(dir, number),
        _ => read_inbox(dir, number, count),
    }
}

fn read_fifo(dir: &Path, number: &str, count: usize) {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let path = dir.join(format!("fifo-{number}"));
    let mut fifo = File::options().read(true).write(true).custom_flags(flags).open(path).expect("opened");
    let mut times = Vec::with_capacity(count);
    ready();
    let mut byte = [0; 64];
    while times.len() < count {
        poll(&mut [PollFd::new(&fifo, PollFlags::IN)], None).expect("polled");
        let read = fifo.read(&mut byte).expect("read");
        times.extend(std::iter::repeat_n(nanoseconds(), read));
    }
    tell(&times);
}

fn read_inbox(dir: &Path, number: &str, count: usize) {
    let store = Store::create(&dir.join("wake")).expect("a store");
    let me = id(&format!("reader_{number}"));
    let bell = Doorbell::open(&store.dir().doorbell(&me)).expect("a bell");
    let queue = store.queue();
    let mut inbox = queue.inbox(&me, &role(), queue.end().expect("an end"));
    let mut times = Vec::with_capacity(count);
    ready();
    while times.len() < count {
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).expect("polled");
        bell.drain().expect("drained");
        let got = inbox.take(64, clock::now().wall).expect("taken").len();
        times.extend(std::iter::repeat_n(nanoseconds(), got));
    }
    tell(&times);
}

fn read_redis(dir: &Path, count: usize) {
    let port = std::fs::read_to_string(dir.join("port")).expect("a port").parse().expect("a number");
    let mut client = Client::connect(port);
    let mut last = b"0-0".to_vec();
    let mut times = Vec::with_capacity(count);
    ready();
    while times.len() < count {
        let found = client.call(&[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"queue", &last]);
        // The name of the stream, then of each entry its id, the field, the value.
        let entries = found.get(1..).unwrap_or_default().chunks(3);
        last = entries.clone().last().expect("an entry")[0].clone();
        times.extend(std::iter::repeat_n(nanoseconds(), entries.len()));
    }
    tell(&times);
}

fn stay_idle(dir: &Path, number: &str) {
    let store = Store::create(&dir.join("wake")).expect("a store");
    let me = id(&format!("reader_{number}"));
    let bell = Doorbell::open(&store.dir().doorbell(&me)).expect("a bell");
    let queue = store.queue();
    let mut inbox = queue.inbox(&me, &role(), queue.end().expect("an end"));
    let mut wakes = 0;
    ready();
    loop {
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).expect("polled");
        bell.drain().expect("drained");
        if inbox
            .take(64, clock::now().wall)
            .expect("taken")
            .iter()
            .any(|arrival| format!("{arrival:?}").contains("judge"))
        {
            break;
        }
        wakes += 1;
    }
    tell(&[wakes]);
}

/// Descriptors for a FIFO and two pipes of everybody.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit");
}

fn crew(kind: &str, dir: &Path, readers: usize, count: usize) -> Crew {
    let words = |number: usize| {
        let words = ["--wake", kind, &dir.display().to_string(), &number.to_string(), &count.to_string()];
        words.map(str::to_owned).to_vec()
    };
    let mut crew = Crew::start((0..readers).map(words));
    crew.go();
    crew
}

/// Median time from the send to the last of `readers` having it, and of the sender's own call.
fn wake(kind: &str, dir: &Path, readers: usize) -> (f64, f64) {
    let count = [(0, 200), (51, 60), (500, 15)]
        .into_iter()
        .rfind(|(from, _)| readers >= *from)
        .map_or(1, |(_, count)| count);
    let server = (kind == "redis").then(|| Server::start(dir, "everysec"));
    let mut client = server.as_ref().map(|server| {
        std::fs::write(dir.join("port"), server.port.to_string()).expect("written");
        Client::connect(server.port)
    });
    let fifos = if kind == "fifo" { fifos(dir, readers) } else { Vec::new() };
    let store = Store::create(&dir.join("wake")).expect("a store");
    let mut queue = store.queue();
    let mut log = File::options().create(true).append(true).open(dir.join("log")).expect("opened");
    let crew = crew(kind, dir, readers, count);
    let (mut sent, mut calls) = (Vec::new(), Vec::new());
    let line = [b'x'; LINE];
    for k in 0..count {
        // Readers must be asleep again before the next one.
        std::thread::sleep(Duration::from_millis(3 + readers as u64 / 5));
        let to = if readers == 1 { Recipient::Instance(id("reader_0")) } else { Recipient::Broadcast };
        let drafts = [draft(to, "instance_1", k)];
        sent.push(nanoseconds());
        match (&mut client, kind) {
            (Some(client), _) => drop(client.call(&[b"XADD", b"queue", b"*", b"line", &line])),
            (None, "fifo") => {
                log.write_all(&line).expect("appended");
                fifos.iter().for_each(|mut fifo| fifo.write_all(b"x").expect("rung"));
            }
            _ => {
                queue.post(&drafts, WAIT).expect("sent");
            }
        }
        calls.push(nanoseconds() - sent[k]);
    }
    let mut last = vec![0; count];
    for times in crew.finish() {
        last.iter_mut().zip(&times).for_each(|(last, time)| *last = (*last).max(*time));
    }
    (median(last.iter().zip(&sent).map(|(last, sent)| last - sent).collect()), median(calls))
}

fn fifos(dir: &Path, readers: usize) -> Vec<File> {
    let open = |number: usize| {
        let path = dir.join(format!("fifo-{number}"));
        if !path.exists() {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a fifo");
        }
        File::options().read(true).write(true).open(path).expect("opened")
    };
    (0..readers).map(open).collect()
}

/// A direct message among many idle readers wakes one, and costs the sender what it costs among few.
fn direct(dir: &Path) {
    let count = 50;
    println!("a direct message among {CROWD} idle readers");
    let store = Store::create(&dir.join("wake")).expect("a store");
    let mut queue = store.queue();
    let crew = crew("idle", dir, CROWD, 0);
    let mut calls = Vec::new();
    for k in 0..count {
        std::thread::sleep(Duration::from_millis(5));
        let drafts = [draft(Recipient::Instance(id("reader_500")), "instance_1", 10_000 + k)];
        let before = nanoseconds();
        queue.post(&drafts, WAIT).expect("sent");
        calls.push(nanoseconds() - before);
    }
    std::thread::sleep(Duration::from_millis(50));
    queue.post(&[draft(Recipient::Broadcast, "judge", 0)], WAIT).expect("sent");
    let wakes: Vec<u64> = crew.finish().into_iter().map(|told| told[0]).collect();
    let others = wakes.iter().sum::<u64>() - wakes[500];
    within("the sender's own call", median(calls), 50.0);
    let word = if others == 0 && wakes[500] <= count as u64 { "met" } else { "missed" };
    println!("  {count} messages woke their reader {} times, others {others} times: {word}", wakes[500]);
}

pub(crate) fn all(dir: &Path) {
    allow_many_files();
    println!("send to last reader awake and served (x = ratio to append and one FIFO each)");
    for readers in [1, 4, 16, 100, CROWD] {
        let (limit, _) = wake("fifo", dir, readers);
        let (ours, call) = wake("tachi", dir, readers);
        row(&format!("{readers} readers, bare"), limit, limit);
        if readers == 1 {
            within("1 reader, tachi", ours, 25.0);
        } else {
            aimed(&format!("{readers} readers, tachi"), ours, limit, 2.0);
        }
        match readers {
            4 => within("    the sender's own call", call, 50.0),
            100 => within("    the sender's own call", call, 1_500.0),
            _ => alone("    the sender's own call", call),
        }
        if is_installed() {
            let (peer, call) = wake("redis", dir, readers);
            row(&format!("{readers} readers, redis"), peer, limit);
            alone("    the sender's own call", call);
        }
    }
    direct(dir);
}
