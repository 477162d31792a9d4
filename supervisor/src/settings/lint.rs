//! Settings that are allowed but cannot do what they seem to — pure.

use std::time::Duration;

use super::{Spec, time};

/// One warning per role of workers and per command whose limit cannot trigger.
#[must_use]
pub fn unreachable_limits(specs: &[Spec]) -> Vec<String> {
    let mut seen = Vec::new();
    let mut warnings = Vec::new();
    for spec in specs {
        let key = (&spec.role, spec.limit, spec.backoff);
        if !seen.contains(&key) {
            seen.push(key);
            warnings.extend(unreachable_limit(spec));
        }
    }
    warnings
}

/// Warns when `limit.burst` restarts cannot happen inside `limit.period`, because the backoff alone takes longer.
#[must_use]
pub fn unreachable_limit(spec: &Spec) -> Option<String> {
    let limit = spec.limit?;
    let mut delay = spec.backoff.base;
    let mut total = spec.backoff.first;
    for _ in 1..limit.burst {
        total = total.saturating_add(delay.min(spec.backoff.max));
        delay = delay.saturating_mul(2);
        if total > Duration::from_secs(365 * 24 * 3600) {
            break;
        }
    }
    (total > limit.period).then(|| {
        format!(
            "{}: limit can never trigger: {} restarts take at least {} of backoff, the period is {}",
            spec.id,
            limit.burst,
            time::show(Duration::from_secs(total.as_secs())),
            time::show(limit.period)
        )
    })
}
