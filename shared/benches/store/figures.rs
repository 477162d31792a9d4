//! What is measured, and how it is told: a row is a time or a rate, its ratio to the limit of the same run, and the target.

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

pub(crate) fn median(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    values[values.len() / 2] as f64
}

/// Median cost of `work`, in nanoseconds.
pub(crate) fn cost<T>(rounds: usize, mut work: impl FnMut(usize) -> T) -> f64 {
    let mut costs = Vec::with_capacity(rounds);
    for k in 0..rounds {
        let before = nanoseconds();
        std::hint::black_box(work(k));
        costs.push(nanoseconds() - before);
    }
    median(costs)
}

/// A time in nanoseconds beside the limit's.
pub(crate) fn row(name: &str, value: f64, limit: f64) {
    println!("  {name:<40} {:>12.2} us   x{:.2}", value / 1e3, value / limit);
}

/// The same with the ratio that was aimed at.
pub(crate) fn aimed(name: &str, value: f64, limit: f64, at_most: f64) {
    let word = if value <= at_most * limit { "met" } else { "missed" };
    println!(
        "  {name:<40} {:>12.2} us   x{:.2}   target x{at_most} or less: {word}",
        value / 1e3,
        value / limit
    );
}

/// A time that is compared with nothing.
pub(crate) fn alone(name: &str, value: f64) {
    println!("  {name:<40} {:>12.2} us", value / 1e3);
}

/// A target that is a time of its own, in microseconds.
pub(crate) fn within(name: &str, value: f64, at_most_us: f64) {
    let word = if value <= at_most_us * 1e3 { "met" } else { "missed" };
    println!("  {name:<40} {:>12.2} us          target {at_most_us} us or less: {word}", value / 1e3);
}

/// Events per second, with a rate that was aimed at.
pub(crate) fn rate(name: &str, per_second: f64, limit: f64, at_least: Option<f64>) {
    let target = at_least.map_or_else(String::new, |least| {
        let word = if per_second >= least { "met" } else { "missed" };
        format!("   target {:.1} M/s or more: {word}", least / 1e6)
    });
    println!("  {name:<40} {:>12.3} M/s  x{:.2}{target}", per_second / 1e6, per_second / limit);
}
