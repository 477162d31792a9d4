//! fleet: what keeping N processes alive costs, beside a bare loop and the peers, in one run.
//!
//! Time: boot, one killed, all killed at once, one killed again 20 ms after its start; the adoption of a fleet whose
//! supervisor was killed, and `status --json`. Rest: memory of the keepers and of real workers, and what they do in half a
//! minute in which nothing happens (all contenders rest at the same time).
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark starts, kills and times real processes")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

mod contest;

use std::thread;
use std::time::Duration;

use contest::fleet::{self, Cast, Fleet};
use contest::{Kept, Stamps, bare, median, memory, nanoseconds, peers, play_a_part, work};

/// How long everybody rests.
const REST: Duration = Duration::from_secs(30);
/// Enough for everybody to have settled before.
const SETTLE: Duration = Duration::from_secs(12);
/// Between two kills of contenders that start again at once.
const BRISK: Duration = Duration::from_millis(30);
/// And of peers that call a start successful only after a second.
const SLOW: Duration = Duration::from_millis(1500);

/// A kept fleet, its pipe, and the folder of the pipe.
struct Entry {
    name: String,
    kept: Kept,
    stamps: Stamps,
    _dir: tempfile::TempDir,
}

type Start<'a> = &'a dyn Fn(usize, &Stamps) -> Option<Kept>;

fn enter(name: &str, count: usize, start: Start<'_>) -> Option<Entry> {
    let dir = tempfile::tempdir().expect("a folder");
    let stamps = Stamps::new(dir.path());
    let Some(kept) = start(count, &stamps) else {
        println!("  {name:<30} not installed");
        return None;
    };
    Some(Entry { name: format!("{name}, {count}"), kept, stamps, _dir: dir })
}

/// One row of times; the entry is returned for its rest.
fn times(mut entry: Entry, kills: usize, pause: Duration, limits: &mut Vec<u64>) -> Entry {
    let Entry { name, kept, stamps, .. } = &mut entry;
    thread::sleep(pause);
    let one = median(kept.storm(stamps, kills, pause));
    thread::sleep(pause);
    let all = kept.replace_all(stamps);
    thread::sleep(pause);
    kept.replace(stamps, 0);
    thread::sleep(Duration::from_millis(20));
    let again = kept.replace(stamps, 0);
    let row = [kept.boot, one, all, again];
    if limits.is_empty() {
        limits.extend(row);
    }
    let cells = row.iter().zip(limits.iter()).map(|(took, limit)| {
        format!("{:>9.1} ms x{:<6.2}", *took as f64 / 1e6, *took as f64 / *limit as f64)
    });
    println!("  {name:<30}{}", cells.collect::<Vec<_>>().join(" "));
    entry
}

fn race(count: usize, resting: &mut Vec<Entry>) {
    println!(
        "\n{:<32}{:>12} {:>20} {:>20} {:>20}",
        format!("N = {count}"),
        "boot",
        "one killed",
        "all killed",
        "20 ms after start"
    );
    let mut limits = Vec::new();
    let kills = if count > 10 { 15 } else { 30 };
    let contenders: [(&str, Start<'_>, usize, Duration); 6] = [
        ("bare pidfd + spawn loop", &|n, stamps| Some(bare::start(n, stamps)), kills, BRISK),
        ("tachi, workers", &|n, stamps| Some(fleet::start(Cast::Workers, n, stamps)), kills, BRISK),
        (
            "tachi, workers, its defaults",
            &|n, stamps| Some(fleet::start(Cast::WorkersByDefault, n, stamps)),
            1,
            BRISK,
        ),
        (
            "tachi, commands under holders",
            &|n, stamps| Some(fleet::start(Cast::Commands, n, stamps)),
            kills,
            BRISK,
        ),
        ("runit, its defaults", &peers::runit, 4, SLOW),
        ("supervisord, its defaults", &peers::supervisord, 3, SLOW),
    ];
    for (name, start, kills, pause) in contenders {
        let Some(entry) = enter(name, count, start) else { continue };
        let entry = times(entry, kills, pause, &mut limits);
        if name.contains("defaults") && name.contains("tachi") || name.contains("holders") {
            (entry.kept.end)();
        } else {
            resting.push(entry);
        }
    }
}

/// Real workers: until all are ready, adoption, status; they rest with the others.
fn real(count: usize) -> (Fleet, std::process::Child, Vec<i32>) {
    let fleet = Fleet::new(Cast::Real, count);
    let begin = nanoseconds();
    let mut up = fleet.up(None);
    fleet.ready(&up);
    let ready = nanoseconds() - begin;
    thread::sleep(Duration::from_secs(1));
    let adopted = fleet.adopt(&mut up);
    let status = median(
        (0..15)
            .map(|_| {
                let begin = nanoseconds();
                assert!(fleet.tachi(&["status", "--json"]).status().expect("tachi").success());
                nanoseconds() - begin
            })
            .collect(),
    );
    let ms = |took: u64| took as f64 / 1e6;
    println!(
        "  {count:>4} real workers: ready {:.1} ms after the start, adopted in {:.1} ms, status --json {:.1} ms",
        ms(ready),
        ms(adopted),
        ms(status)
    );
    let workers = fleet.ready(&up);
    (fleet, up, workers)
}

fn rest(name: &str, keepers: &[i32], before: (u64, u64), per: usize) {
    let after = work(keepers);
    let wakes = (after.0 - before.0) as f64 / REST.as_secs_f64() / per as f64;
    let size = memory(keepers) as f64 / f64::from(1 << 20) / per as f64;
    println!("  {name:<36} {size:>7.2} MiB {wakes:>9.2} /s {:>7} ticks", after.1 - before.1);
}

fn main() {
    play_a_part();
    println!("fleet: what keeping N processes alive costs (x = ratio to the bare loop)");
    let mut resting = Vec::new();
    for count in [4, 100] {
        race(count, &mut resting);
    }
    println!("\nboot of 1000");
    for (name, start) in [
        ("bare pidfd + spawn loop", &(|n, stamps: &Stamps| Some(bare::start(n, stamps))) as Start<'_>),
        ("tachi, workers", &|n, stamps: &Stamps| Some(fleet::start(Cast::Workers, n, stamps))),
    ] {
        if let Some(entry) = enter(name, 1000, start) {
            println!("  {:<30}{:>9.1} ms", entry.name, entry.kept.boot as f64 / 1e6);
            (entry.kept.end)();
        }
    }
    println!("\nreal workers");
    let real = [real(4), real(100)];
    println!(
        "\n{:<38} {:>11} {:>12} {:>13}",
        format!("at rest for {} s", REST.as_secs()),
        "PSS",
        "woken",
        "CPU"
    );
    thread::sleep(SETTLE);
    let before: Vec<_> = resting.iter().map(|entry| work(&entry.kept.keepers)).collect();
    let led: Vec<_> = real
        .iter()
        .map(|(_, up, workers)| {
            let keeper = vec![i32::try_from(up.id()).expect("a pid")];
            let counts = (work(&keeper), work(workers));
            (keeper, counts)
        })
        .collect();
    thread::sleep(REST);
    for (entry, before) in resting.iter().zip(before) {
        rest(&entry.name, &entry.kept.keepers, before, 1);
    }
    for ((_, _, workers), (keeper, (before, theirs))) in real.iter().zip(led) {
        let count = workers.len();
        rest(&format!("tachi, supervisor of {count} real workers"), &keeper, before, 1);
        rest(&format!("tachi, each of {count} real workers"), workers, theirs, count);
    }
    resting.into_iter().for_each(|entry| (entry.kept.end)());
    real.into_iter().for_each(|(fleet, up, _)| fleet.down(up));
}
