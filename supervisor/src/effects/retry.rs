//! When to try again what could not be written: 10 ms after the first failure, doubling up to a second — pure.

use std::time::Duration;

use tachi_shared::clock::Mono;

/// Delay after the first failure.
const FIRST: Duration = Duration::from_millis(10);
/// Longest delay: a lock's holder is gone or thawed within seconds, and the row should not lag behind longer.
const LONGEST: Duration = Duration::from_secs(1);

/// Failures in a row of one thing.
#[derive(Debug, Default)]
pub(super) struct Retry {
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    since: Mono,
    due: Mono,
    delay: Duration,
}

impl Retry {
    /// Whether it may be tried now.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.trouble.as_ref().is_none_or(|trouble| trouble.due <= now)
    }

    /// When it is to be tried next, if it has failed.
    pub(super) fn due(&self) -> Option<Mono> {
        self.trouble.as_ref().map(|trouble| trouble.due)
    }

    /// How long it has been failing.
    pub(super) fn failing_for(&self, now: Mono) -> Duration {
        self.trouble.as_ref().map_or(Duration::ZERO, |trouble| now.since(trouble.since))
    }

    /// It failed now.
    pub(super) fn failed(&mut self, now: Mono) {
        let (since, delay) = match &self.trouble {
            Some(trouble) => (trouble.since, (trouble.delay * 2).min(LONGEST)),
            None => (now, FIRST),
        };
        self.trouble = Some(Trouble { since, due: now.after(delay), delay });
    }

    /// It worked.
    pub(super) fn worked(&mut self) {
        self.trouble = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_second_and_are_forgotten_after_success() {
        let mut retry = Retry::default();
        let mut now = Mono::ZERO;
        let mut delays = Vec::new();
        for _ in 0..9 {
            assert!(retry.is_due(now));
            retry.failed(now);
            let due = retry.due().unwrap();
            delays.push(due.since(now).as_millis());
            now = due;
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(retry.failing_for(now).as_millis(), 3270);
        retry.worked();
        assert_eq!((retry.due(), retry.failing_for(now)), (None, Duration::ZERO));
    }
}
