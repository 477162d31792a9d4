//! Backoff and limits of one instance — pure.
//!
//! The first automatic restart is immediate, then delays double from a base to a cap, each jittered by ±25 % from id and
//! incarnation so that a fleet does not move in step. A level is paid back per healthy period of max(60 s, twice the
//! delay), not all at once. Deaths by an outside signal have their own, wider limit and cost no delay: that is a person
//! or script at work. Obstacles on our side (machine full, id held) cost delay but never count as the instance's fault.

use std::time::Duration;

use tachi_shared::clock::Mono;
use tachi_shared::id::{Incarnation, InstanceId};

use crate::settings::{BackoffPolicy, Limit, Spec};

/// Signals from outside survived at once, and in which time.
pub const OUTSIDE: Limit = Limit { burst: 30, period: Duration::from_secs(60) };
/// Shortest healthy time that pays back one level.
pub const HEALTHY: Duration = Duration::from_secs(60);
/// Readiness shorter than this makes a death by an outside signal count as a crash.
pub const SETTLED: Duration = Duration::from_secs(1);
/// Doublings beyond which nothing changes any more (2^24 × 1 ms is above every sensible cap).
const LEVEL_MAX: u32 = 24;

/// What restarts have cost one instance so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Doublings in force.
    pub level: u32,
    /// Automatic restarts after crashes, inside the limit's period.
    pub crashes: Vec<Mono>,
    /// Automatic restarts after signals from outside, inside their period.
    pub outside: Vec<Mono>,
}

/// What the rules allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Start after this long.
    After(Duration),
    /// No more: the limit that is used up.
    Spent(Limit),
}

impl History {
    /// A crash after `healthy` time of readiness.
    pub fn crash(&mut self, spec: &Spec, incarnation: Incarnation, healthy: Duration, now: Mono) -> Verdict {
        self.pay_back(spec.backoff, healthy);
        if let Some(limit) = spec.limit {
            keep_recent(&mut self.crashes, limit.period, now);
            if self.crashes.len() >= count(limit.burst) {
                return Verdict::Spent(limit);
            }
            self.crashes.push(now);
        }
        let wait = jittered(delay(spec.backoff, self.level), spec.backoff.max, &spec.id, incarnation);
        self.raise();
        Verdict::After(wait)
    }

    /// Something in our own way: wait, growing, without blame and never immediately.
    pub fn obstacle(&mut self, spec: &Spec, incarnation: Incarnation) -> Duration {
        self.level = self.level.max(1);
        let wait = jittered(delay(spec.backoff, self.level), spec.backoff.max, &spec.id, incarnation);
        self.raise();
        wait
    }

    /// A signal from outside, survived at once. A spec without a limit has none here either.
    pub fn outside(&mut self, limit: Option<Limit>, now: Mono) -> Verdict {
        keep_recent(&mut self.outside, OUTSIDE.period, now);
        if limit.is_some() && self.outside.len() >= count(OUTSIDE.burst) {
            return Verdict::Spent(OUTSIDE);
        }
        if limit.is_some() {
            self.outside.push(now);
        }
        Verdict::After(Duration::ZERO)
    }

    /// A person starts it: everything is forgiven.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn raise(&mut self) {
        self.level = self.level.saturating_add(1).min(LEVEL_MAX);
    }

    fn pay_back(&mut self, policy: BackoffPolicy, healthy: Duration) {
        let mut left = healthy;
        while self.level > 0 {
            let price = HEALTHY.max(delay(policy, self.level).saturating_mul(2));
            let Some(rest) = left.checked_sub(price) else { return };
            left = rest;
            self.level -= 1;
        }
    }
}

/// The delay of a level, before jitter.
#[must_use]
pub fn delay(policy: BackoffPolicy, level: u32) -> Duration {
    let Some(doublings) = level.checked_sub(1) else { return policy.first.min(policy.max) };
    policy.base.saturating_mul(1_u32 << doublings.min(LEVEL_MAX)).min(policy.max)
}

/// `wait` ±25 %, the same for the same start of the same instance, never above `max`.
fn jittered(wait: Duration, max: Duration, id: &InstanceId, incarnation: Incarnation) -> Duration {
    let percent = 75 + spread(id, incarnation) % 51;
    (wait.saturating_mul(percent) / 100).min(max)
}

/// FNV-1a: small, stable over versions and machines, unlike the standard hasher.
fn spread(id: &InstanceId, incarnation: Incarnation) -> u32 {
    let bytes = id.as_str().bytes().chain(incarnation.0.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash ^ (hash >> 15)
}

fn keep_recent(stamps: &mut Vec<Mono>, period: Duration, now: Mono) {
    stamps.retain(|stamp| now.since(*stamp) < period && *stamp <= now);
}

fn count(burst: u32) -> usize {
    usize::try_from(burst).unwrap_or(usize::MAX)
}
