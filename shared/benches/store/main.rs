//! The store beside its limits: growth, looking without news, replay, fan-out, waking readers, and changes of the registry.
//!
//! Ratios inside one run; the bench `send` has the sends, durable ones too. Contenders: the bare system calls, SQLite in WAL mode
//! (built with `--features bench-peers`), Redis where `redis-server` is installed, and the original way of rewriting one JSON
//! array per message. Arguments name the parts to run: `stored`, `fanout`, `wake`, `registry`; without any, all.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::disallowed_methods, reason = "a benchmark times the real system against bare system calls")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark stops at the first failure"
)]

mod crew;
mod fanout;
mod figures;
mod message;
#[path = "../send/redis.rs"]
mod redis;
mod registry;
mod stored;
mod wake;

use std::env;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "--wake" => return wake::reader(rest),
        Some((first, rest)) if first == "--fanout" => return fanout::member(rest),
        Some((first, rest)) if first == "--registry" => return registry::writer(rest),
        _ => {}
    }
    let is_wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|word| word == part);
    let base = env::var_os("TACHI_BENCH_DIR").map_or_else(env::temp_dir, Into::into);
    let temp = tempfile::tempdir_in(&base).expect("a folder");
    let dir = temp.path();
    println!("store: medians, in {}", base.display());
    if !redis::is_installed() {
        println!("(Redis left out: redis-server is not installed)");
    }
    if is_wanted("stored") {
        let store = stored::growth(dir);
        stored::look(dir, &store);
        stored::replay(&store);
    }
    if is_wanted("fanout") {
        fanout::all(dir);
    }
    if is_wanted("registry") {
        registry::all(dir);
    }
    if is_wanted("wake") {
        wake::all(dir);
    }
}
