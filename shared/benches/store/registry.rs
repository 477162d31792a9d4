//! One change of the registry by its size, beside a plain locked replace of the same file.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use tachi_shared::registry::{Registry, Row};
use tachi_shared::store::Store;

use crate::crew::{Crew, ready, tell};
use crate::figures::{aimed, cost, nanoseconds, row};
use crate::message::WAIT;

/// Writers at once, and changes each of them makes.
const WRITERS: usize = 4;
const CHANGES: usize = 100;

fn instance(number: usize) -> Row {
    let row = json!({
        "instance_id": format!("instance_{number}"), "role": "explorer", "pid": 1000 + number, "pid_start": 5,
        "incarnation": 2, "status": "ready", "desired": "running", "started_at": "2026-01-10T02:00:00Z",
        "last_heartbeat": null, "restarts": 1, "next_restart_at": null, "backend": "builtin", "doing": "looking around",
        "last_death": null,
    });
    serde_json::from_value(row).expect("a row")
}

fn filled(store: &Store, rows: usize) {
    let fill = |registry: &mut Registry| {
        registry.instances = (0..rows).map(instance).collect();
        Ok(())
    };
    store.registry().update(WAIT, fill).expect("written");
}

fn change(registry: &mut Registry, k: usize) {
    let place = k % registry.instances.len();
    registry.instances[place].restarts += 1;
}

/// Lock, read, change, write beside, rename, unlock: nothing else.
fn plain(dir: &Path, k: usize) {
    let lock = File::options().create(true).append(true).open(dir.join("plain.lock")).expect("opened");
    flock(&lock, FlockOperation::LockExclusive).expect("locked");
    let path = dir.join("plain.json");
    let mut registry: Registry = serde_json::from_slice(&fs::read(&path).expect("read")).expect("parsed");
    change(&mut registry, k);
    fs::write(dir.join("plain.tmp"), serde_json::to_vec_pretty(&registry).expect("rendered"))
        .expect("written");
    fs::rename(dir.join("plain.tmp"), path).expect("replaced");
    flock(&lock, FlockOperation::Unlock).expect("unlocked");
}

#[cfg(feature = "bench-peers")]
fn sqlite(dir: &Path, rows: usize, limit: f64) {
    let base = crate::message::sqlite(&dir.join("registry.sqlite"), "NORMAL");
    base.execute_batch("CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, line TEXT NOT NULL)")
        .expect("a table");
    let mut upsert =
        base.prepare("INSERT OR REPLACE INTO rows (id, line) VALUES (?1, ?2)").expect("a statement");
    let line = serde_json::to_string(&instance(1)).expect("a line");
    let mut one = |k: usize| upsert.execute([&format!("instance_{}", k % rows), &line]).expect("in");
    for k in 0..rows {
        one(k);
    }
    row("sqlite, upsert of the row", cost(300, one), limit);
}

/// In a child, `--registry KIND DIR`: changes at once with others; tells when it began and ended.
pub(crate) fn writer(arguments: &[String]) {
    let dir = Path::new(&arguments[1]);
    let mut registry = Store::create(&dir.join("registry")).expect("a store").registry();
    ready();
    let begun = nanoseconds();
    for k in 0..CHANGES {
        match arguments[0].as_str() {
            "plain" => plain(dir, k),
            _ => registry
                .update(WAIT, |registry| {
                    change(registry, k);
                    Ok(())
                })
                .expect("written"),
        }
    }
    tell(&[begun, nanoseconds()]);
}

/// Time of one change when several writers want to at once.
fn contended(kind: &str, dir: &Path) -> f64 {
    let words = ["--registry", kind, &dir.display().to_string()].map(str::to_owned).to_vec();
    let mut crew = Crew::start((0..WRITERS).map(|_| words.clone()));
    crew.go();
    let told = crew.finish();
    let begun = told.iter().map(|times| times[0]).min().expect("a first");
    let ended = told.iter().map(|times| times[1]).max().expect("a last");
    (ended - begun) as f64 / (WRITERS * CHANGES) as f64
}

pub(crate) fn all(dir: &Path) {
    println!("one change of the registry (x = ratio to a plain locked replace)");
    for rows in [4, 100, 1_000] {
        let store = Store::create(&dir.join("registry")).expect("a store");
        filled(&store, rows);
        fs::copy(store.dir().registry(), dir.join("plain.json")).expect("copied");
        let rounds = if rows > 500 { 100 } else { 300 };
        let limit = cost(rounds, |k| plain(dir, k));
        let mut registry = store.registry();
        let ours = cost(rounds, |k| {
            let one = |registry: &mut Registry| {
                change(registry, k);
                Ok(())
            };
            registry.update(WAIT, one).expect("written");
        });
        row(&format!("{rows} rows, plain"), limit, limit);
        aimed(&format!("{rows} rows, tachi"), ours, limit, 1.3);
        #[cfg(feature = "bench-peers")]
        sqlite(dir, rows, limit);
        if rows == 100 {
            let limit = contended("plain", dir);
            row(&format!("{rows} rows, {WRITERS} writers, plain"), limit, limit);
            aimed(&format!("{rows} rows, {WRITERS} writers, tachi"), contended("tachi", dir), limit, 1.3);
        }
    }
}
