//! Times and numbers for people — pure.

use std::time::Duration;

use tachi_shared::clock::Timestamp;

/// `42s`, `3m07s`, `2h05m`, `3d04h`: two units, no more.
#[must_use]
pub fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `42s`, `3m`, `2h`, `3d`: one unit, where room is short.
#[must_use]
pub fn coarse(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Time of day, with the date in front when it is not from the last 20 hours (UTC).
#[must_use]
pub fn stamp(at: Timestamp, now: Timestamp) -> String {
    let full = at.to_string();
    match full.get(5..10) {
        Some(date) if at.age(now) > Duration::from_secs(20 * 3600) => format!("{date} {}", at.time_of_day()),
        _ => at.time_of_day(),
    }
}

/// `1,024`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        let shown =
            [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 1_000_000].map(|s| length(Duration::from_secs(s)));
        assert_eq!(shown, ["0s", "59s", "1m00s", "59m59s", "1h00m", "23h59m", "1d00h", "11d13h"]);
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_024, 1_234_567].map(grouped), ["0", "999", "1,024", "1,234,567"]);
    }

    #[test]
    fn old_moments_carry_their_date() {
        let at = Timestamp::from_unix(1_700_000_000);
        assert_eq!(stamp(at, at), "22:13:20");
        assert_eq!(stamp(at, Timestamp::from_unix(1_700_100_000)), "11-14 22:13:20");
    }
}
