//! The account at the end: ledgers, log and reader states must agree.
//!
//! The log is read twice: byte by byte without the engine, and through it. Nothing here believes what it can count.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tachi_shared::clock::{Now, now};
use tachi_shared::id::{InstanceId, Seq};
use tachi_shared::layout::Topic;
use tachi_shared::log::Cursor;
use tachi_shared::queue::Message;
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::actors;
use crate::ledger;
use crate::readers::{Fold, Reader};
use crate::words::{Scene, WAIT, message, role};

type Starts = BTreeMap<&'static str, u32>;
type Checked<T> = Result<T, String>;

/// What the account came to.
#[derive(Default)]
pub(crate) struct Totals {
    acknowledged: usize,
    stored: usize,
    delivered: u64,
    tasks: usize,
    counted: u64,
    by_hand: usize,
    repaired: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged, {} stored, 0 lost, 0 repeated; {} received; {} tasks done once; {} compare-and-sets; \
             {} hand-written taken in once; {} torn ends repaired",
            self.acknowledged,
            self.stored,
            self.delivered,
            self.tasks,
            self.counted,
            self.by_hand,
            self.repaired,
        )
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Lets a last start of everybody finish what the killed ones left, then counts.
pub(crate) fn check(store: &Store, ledgers: &Path, starts: &Starts) -> Checked<Totals> {
    let last = |slot: &str| Scene::last(store, ledgers, slot, starts[slot] + 1);
    let of = |letter: &'static str| starts.keys().copied().filter(move |slot| slot.starts_with(letter));
    // The first writer after the last kill repairs; with nothing to send, nobody would.
    let draft = message("z0", 1, 0);
    store.queue().send(&[draft], WAIT).map_err(|error| error.to_string())?;
    of("w").for_each(|slot| drop(actors::finish_predecessor(&last(slot))));
    of("c").for_each(|slot| actors::do_all(&last(slot)));
    of("m").for_each(|slot| drop(actors::account(&last(slot))));
    take_in_by_hand(store)?;

    let mut totals = Totals::default();
    let lines = whole_lines(store, Topic::Messages)?;
    let log = store.queue().messages(Cursor::default(), usize::MAX).map_err(|error| error.to_string())?.0;
    ensure(lines.len() == log.len(), || format!("{} lines, {} messages", lines.len(), log.len()))?;
    totals.stored = log.len();
    check_sends(&log, ledgers, of("w"), &mut totals)?;
    check_hands(&log, ledgers, of("h"), &mut totals)?;
    for slot in of("r") {
        totals.delivered += check_reader(store, &log, slot, &last(slot))?;
    }
    totals.tasks = check_tasks(store, ledgers, of("c"))?;
    totals.counted = check_memory(store, ledgers, of("m"))?;
    totals.repaired = check_rejected(store)?;
    Ok(totals)
}

/// What still lies in the boxes is taken in, with the patience for half-written files behind us.
fn take_in_by_hand(store: &Store) -> Checked<()> {
    let now = now();
    let ahead = Duration::from_secs(10);
    let later = Now { wall: now.wall.after(ahead), mono: now.mono.after(ahead) };
    let mut view = store.view();
    for _ in 0..2 {
        let done = view.refresh(None, later).map_err(|error| error.to_string())?;
        ensure(done.rejected.is_empty(), || format!("set aside: {:?}", done.rejected))?;
    }
    Ok(())
}

/// Every line of a topic, without the engine: each whole, each JSON, numbered 1, 2, 3 …, each file named by its first.
fn whole_lines(store: &Store, topic: Topic) -> Checked<Vec<Value>> {
    let mut paths: Vec<_> =
        fs::read_dir(store.dir().segments(topic)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all: Vec<Value> = Vec::new();
    for path in paths {
        let name: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        ensure(name == all.len() as u64 + 1, || format!("{} follows {}", path.display(), all.len()))?;
        let bytes = fs::read(&path).unwrap();
        ensure(bytes.is_empty() || bytes.ends_with(b"\n"), || {
            format!("{} ends in half a line", path.display())
        })?;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: Value =
                serde_json::from_slice(line).map_err(|error| format!("{}: {error}", path.display()))?;
            ensure(value["seq"] == all.len() as u64 + 1, || {
                format!("{} follows {}", value["seq"], all.len())
            })?;
            all.push(value);
        }
    }
    Ok(all)
}

/// Acknowledged = stored once, where it was said to be, whole; the rest at most once; every sender in its order.
fn check_sends<'a>(
    log: &[Message],
    ledgers: &Path,
    writers: impl Iterator<Item = &'a str>,
    totals: &mut Totals,
) -> Checked<()> {
    let mut places: BTreeMap<&str, Seq> = BTreeMap::new();
    for message in log {
        let twice = places.insert(&message.draft.id, message.seq);
        ensure(twice.is_none(), || format!("message {} is stored twice", message.draft.id))?;
    }
    for slot in writers {
        for line in ledger::lines(ledgers, slot).iter().filter_map(|line| line.strip_prefix("ack ")) {
            let (id, seq) = line.split_once(' ').unwrap();
            let place = places.get(id).ok_or_else(|| format!("message {id} was acknowledged and is lost"))?;
            let seq: u64 = seq.parse().unwrap();
            ensure(seq == 0 || seq == place.0, || format!("message {id} was stored at {place}, not {seq}"))?;
            totals.acknowledged += 1;
        }
        let mut before = (0, 0);
        for stored in log.iter().filter(|message| message.draft.from == slot) {
            let mut words = stored.draft.id.split('.').skip(1).map(|word| word.parse::<u64>().unwrap());
            let this = (words.next().unwrap(), words.next().unwrap() + 1);
            ensure(before < this, || format!("message {} came after a later one", stored.draft.id))?;
            before = this;
            let sent = message(slot, u32::try_from(this.0).unwrap(), this.1 - 1);
            ensure(stored.draft == sent, || format!("message {} is not what was sent", stored.draft.id))?;
        }
    }
    Ok(())
}

/// What hands wrote is stored once, if they lived to see their file in its place; otherwise at most once.
fn check_hands<'a>(
    log: &[Message],
    ledgers: &Path,
    hands: impl Iterator<Item = &'a str>,
    totals: &mut Totals,
) -> Checked<()> {
    let mut places: BTreeMap<String, Seq> = BTreeMap::new();
    for message in log.iter().filter(|message| message.draft.from == "hand") {
        let (text, seq) = (message.draft.text().into_owned(), message.seq);
        if let Some(before) = places.insert(text.clone(), seq) {
            return Err(format!("{text} was taken in as {before} and as {seq}"));
        }
    }
    for line in hands.flat_map(|slot| ledger::lines(ledgers, slot)) {
        let (kind, name) = line.split_once(' ').unwrap();
        if matches!(kind, "box" | "spool") {
            totals.by_hand += 1;
            ensure(places.contains_key(name), || format!("{name}, written by hand to the {kind}, is lost"))?;
        }
    }
    Ok(())
}

/// What a reader committed is the fold of the log up to its cursor, and its end is the fold of all: same order for all.
fn check_reader(store: &Store, log: &[Message], slot: &str, last: &Scene) -> Checked<u64> {
    let id = InstanceId::new(slot).unwrap();
    let fold = |end: Seq| {
        let mut fold = Fold::default();
        let mine = log.iter().filter(|message| message.seq <= end && message.draft.is_for(&id, &role()));
        mine.for_each(|message| fold.add(message));
        fold
    };
    if let Loaded::Good(state) = store.instance(&id).load().map_err(|error| error.to_string())? {
        let (held, expected) = (Fold::of(&state), fold(state.inbox.clone().unwrap_or_default().seq));
        ensure(held == expected, || format!("{slot} committed {held:?}, the log says {expected:?}"))?;
    }
    let mut reader = Reader::resume(last);
    while reader.take(1_000) > 0 {}
    let (held, expected) = (Fold::of(&reader.state), fold(Seq(u64::MAX)));
    ensure(held == expected, || format!("{slot} ended with {held:?}, the log says {expected:?}"))?;
    Ok(held.count)
}

/// Every task is done once, by who held its newest claim, and whoever was told so is right.
fn check_tasks<'a>(store: &Store, ledgers: &Path, claimers: impl Iterator<Item = &'a str>) -> Checked<usize> {
    let mut added: BTreeSet<String> = BTreeSet::new();
    let mut claims: BTreeMap<String, u64> = BTreeMap::new();
    let mut done: BTreeMap<String, u64> = BTreeMap::new();
    for event in whole_lines(store, Topic::Tasks)? {
        let task = event["task"].as_str().unwrap_or_default().to_owned();
        match event["kind"].as_str().unwrap() {
            "added" => ensure(added.insert(task.clone()), || format!("task {task} was added twice"))?,
            "claimed" => drop(claims.insert(task, event["seq"].as_u64().unwrap())),
            "done" => {
                let fence = event["fence"].as_u64().unwrap();
                ensure(claims[&task] == fence, || format!("task {task} was done under fence {fence}"))?;
                let before = done.insert(task.clone(), fence);
                ensure(before.is_none(), || format!("task {task} was done twice"))?;
            }
            other => return Err(format!("nobody asked for a {other} event")),
        }
    }
    ensure(done.len() == added.len(), || format!("{} tasks, {} done", added.len(), done.len()))?;
    for line in claimers.flat_map(|slot| ledger::lines(ledgers, slot)) {
        let mut words = line.split(' ').skip(1);
        let (task, fence) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        ensure(done.get(task) == Some(&fence), || {
            format!("task {task} was acknowledged as done at {fence}")
        })?;
    }
    Ok(done.len())
}

/// The counter is the number of compare-and-sets that were told to have worked.
fn check_memory<'a>(store: &Store, ledgers: &Path, counters: impl Iterator<Item = &'a str>) -> Checked<u64> {
    let Loaded::Good(memory) = store.memory().load().map_err(|error| error.to_string())? else {
        return Err("the memory is damaged or missing".to_owned());
    };
    let told: usize = counters.map(|slot| ledger::lines(ledgers, slot).len()).sum();
    let counter = actors::number(&memory, "counter");
    ensure(counter == told as u64, || format!("{told} compare-and-sets worked, the counter is {counter}"))?;
    Ok(counter)
}

/// Nothing was set aside but torn ends of the log.
fn check_rejected(store: &Store) -> Checked<usize> {
    let mut torn = 0;
    for entry in fs::read_dir(store.dir().rejected()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "why") {
            let why = fs::read_to_string(&path).unwrap();
            // A repairer that was killed over its explanation left it empty; the next one repaired again.
            ensure(why.is_empty() || why.contains("torn"), || format!("{}: {why}", path.display()))?;
            torn += 1;
        }
    }
    Ok(torn)
}
