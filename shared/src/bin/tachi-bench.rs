//! `tachi-bench`: one sender or one receiver of the queue, timed from outside. Not installed.
//!
//! `tachi-bench send|recv --state DIR --id ID --n N [--batch B] [--interval-us U] [--durable]`
//!
//! Prints `READY`, waits for one line on standard input, then works and prints one JSON line
//! `{"n":…,"t0":…,"t1":…,"cpu":…,"lats":[…]}`: count, first and last time, CPU time, and per call (sender) or from send to
//! receipt (receiver) the latencies, all in nanoseconds of `CLOCK_MONOTONIC`. A sender broadcasts N messages of 200 bytes
//! that begin with their send time; a receiver takes N messages that come after READY. The calls are those of a worker,
//! without a short cut; the receiver sleeps on its doorbell.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};
use tachi_shared::clock;
use tachi_shared::id::{InstanceId, Recipient, Role};
use tachi_shared::log::Durability;
use tachi_shared::os::doorbell::Doorbell;
use tachi_shared::queue::{Arrival, Draft, MessageKind};
use tachi_shared::store::Store;

/// Bytes of a stored line, newline included.
const LINE: usize = 200;
/// How long a sender waits for the lock.
const WAIT: Duration = Duration::from_secs(30);
/// A receiver that hears no bell looks all the same, as a worker does.
const SAFETY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Messages taken in one go.
const TAKE: usize = 256;

/// What was asked.
struct Task {
    receive: bool,
    state: PathBuf,
    id: InstanceId,
    n: usize,
    batch: usize,
    interval: Duration,
    durability: Durability,
}

/// What came out.
#[derive(Default)]
struct Figures {
    first: u64,
    last: u64,
    latencies: Vec<u64>,
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or_default())
}

fn parse(arguments: &[String]) -> Result<Task, String> {
    let receive = match arguments.first().map(String::as_str) {
        Some("send") => false,
        Some("recv") => true,
        _ => return Err("send or recv is needed".to_owned()),
    };
    let value = |flag: &str| {
        let place = arguments.iter().position(|word| word == flag);
        place.and_then(|place| arguments.get(place.saturating_add(1))).map(String::as_str)
    };
    let number = |flag: &str, default: Option<u64>| match (value(flag), default) {
        (Some(text), _) => text.parse::<u64>().map_err(|error| format!("{flag} {text}: {error}")),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(format!("{flag} is needed")),
    };
    let durable = arguments.iter().any(|word| word == "--durable");
    Ok(Task {
        receive,
        state: PathBuf::from(value("--state").ok_or("--state is needed")?),
        id: InstanceId::new(value("--id").ok_or("--id is needed")?).map_err(|error| error.to_string())?,
        n: usize::try_from(number("--n", None)?).map_err(|error| error.to_string())?,
        batch: usize::try_from(number("--batch", Some(1))?.max(1)).map_err(|error| error.to_string())?,
        interval: Duration::from_micros(number("--interval-us", Some(0))?),
        durability: if durable { Durability::Durable } else { Durability::default() },
    })
}

/// Says READY and waits for the start signal.
fn wait_for_start() -> std::io::Result<()> {
    say("READY")?;
    std::io::stdin().read_line(&mut String::new()).map(drop)
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The k-th message, a line of [`LINE`] bytes if it gets `seq`. Senders at once get each other's numbers: around a power of
/// ten their lines may be a byte longer or shorter.
fn draft(task: &Task, k: usize, seq: u64) -> Draft {
    let id = format!("{}.1.{k}", task.id);
    let mut draft = Draft::new(
        Recipient::Broadcast,
        task.id.as_str(),
        MessageKind::Finding,
        id,
        clock::now().wall,
        &nanoseconds(ClockId::Monotonic).to_string(),
    );
    let number = format!("\"seq\":{seq},");
    let line = serde_json::to_string(&draft).map_or(LINE, |line| line.len().saturating_add(number.len()));
    // A space before the filling, a line end behind.
    let filled = format!("{} {}", draft.text(), "x".repeat(LINE.saturating_sub(line.saturating_add(2))));
    draft.content = serde_json::Value::String(filled);
    draft
}

fn send(task: &Task) -> Result<Figures, Box<dyn std::error::Error>> {
    let store = Store::create(&task.state)?;
    let mut queue = store.queue().with_durability(task.durability);
    wait_for_start()?;
    let mut figures = Figures { first: nanoseconds(ClockId::Monotonic), ..Figures::default() };
    let (mut sent, mut next) = (0, queue.end()?.seq.0.saturating_add(1));
    while sent < task.n {
        let count = task.batch.min(task.n.saturating_sub(sent));
        let numbers = (sent..sent.saturating_add(count)).zip(next..);
        let drafts: Vec<Draft> = numbers.map(|(k, seq)| draft(task, k, seq)).collect();
        let before = nanoseconds(ClockId::Monotonic);
        next = queue.post(&drafts, WAIT)?.0.saturating_add(1);
        figures.last = nanoseconds(ClockId::Monotonic);
        figures.latencies.push(figures.last.saturating_sub(before));
        sent = sent.saturating_add(count);
        if !task.interval.is_zero() {
            poll(&mut [], Some(&Timespec::try_from(task.interval)?))?;
        }
    }
    Ok(figures)
}

fn receive(task: &Task) -> Result<Figures, Box<dyn std::error::Error>> {
    let store = Store::create(&task.state)?;
    let queue = store.queue();
    let bell = Doorbell::open(&store.dir().doorbell(&task.id))?;
    let mut inbox = queue.inbox(&task.id, &Role::new("bench")?, queue.end()?);
    wait_for_start()?;
    let mut figures = Figures::default();
    while figures.latencies.len() < task.n {
        let arrivals = inbox.take(TAKE, clock::now().wall)?;
        let now = nanoseconds(ClockId::Monotonic);
        if arrivals.is_empty() {
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&SAFETY))?;
            bell.drain()?;
            continue;
        }
        if figures.first == 0 {
            figures.first = now;
        }
        figures.last = now;
        for arrival in arrivals {
            let Arrival::Message(message) = arrival else { return Err(format!("{arrival:?}").into()) };
            let text = message.draft.text();
            let at: u64 = text.split(' ').next().unwrap_or_default().parse()?;
            figures.latencies.push(now.saturating_sub(at));
        }
    }
    Ok(figures)
}

fn complain(error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tachi-bench: {error}");
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = match parse(&arguments) {
        Ok(task) => task,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "tachi-bench: {why}");
            return ExitCode::from(2);
        }
    };
    let done = if task.receive { receive(&task) } else { send(&task) };
    match done {
        Ok(figures) => {
            let line = serde_json::json!({
                "n": task.n,
                "t0": figures.first,
                "t1": figures.last,
                "cpu": nanoseconds(ClockId::ProcessCPUTime),
                "lats": figures.latencies,
            });
            match say(&line.to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain(&error),
            }
        }
        Err(error) => complain(error.as_ref()),
    }
}
