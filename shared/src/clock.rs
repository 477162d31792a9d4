//! The one place that reads time.
//!
//! Pure code receives [`Now`]; only run loops call [`now`]. [`Mono`] is `CLOCK_BOOTTIME`: it is the same for every process
//! of one boot, never steps, and counts suspend, so deadlines may be written into files next to the boot id. [`Timestamp`]
//! is for people and never decides anything.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall time, RFC 3339 in UTC, always with six decimals so that columns align. For display only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        match self.write(&mut text).then(|| std::str::from_utf8(&text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z, for tests and placeholders.
    pub const EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// From whole seconds since 1970, as git and the kernel give them; out of range becomes the epoch.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.as_second()
    }

    /// Writes the text of [`fmt::Display`] over `text` without going through formatting, which costs more than the rest of a
    /// message; `false` for years that do not have four digits.
    fn write(self, text: &mut [u8; 27]) -> bool {
        let (seconds, nanoseconds) = (self.0.as_second(), self.0.subsec_nanosecond());
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        if !(0..=9999).contains(&year) || nanoseconds < 0 {
            return false;
        }
        let micros = i64::from(nanoseconds) / 1000;
        let fields = [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, second / 3600),
            (14, 2, second / 60 % 60),
            (17, 2, second % 60),
            (20, 6, micros),
        ];
        for (start, width, mut number) in fields {
            for place in text.iter_mut().skip(start).take(width).rev() {
                *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
        true
    }

    /// From RFC 3339, or from the same without an offset (as Python's `isoformat()` writes it), which is taken as UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().or_else(|_| format!("{text}Z").parse()).ok().map(Self)
    }

    /// The moment `wait` after this one; at the end of time, the end of time.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.checked_add(wait).unwrap_or(jiff::Timestamp::MAX))
    }

    /// The moment `age` before this one; at the beginning of time, the beginning of time.
    #[must_use]
    pub fn before(self, age: Duration) -> Self {
        Self(self.0.checked_sub(age).unwrap_or(jiff::Timestamp::MIN))
    }

    /// How long ago this was as seen from `now`; zero if it lies ahead.
    #[must_use]
    pub fn age(self, now: Self) -> Duration {
        Duration::try_from(now.0.duration_since(self.0)).unwrap_or_default()
    }

    /// `HH:MM:SS` in UTC.
    #[must_use]
    pub fn time_of_day(self) -> String {
        self.0.strftime("%H:%M:%S").to_string()
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years begin in March here, so that the
/// leap day comes last; an era is the 400 years after which everything repeats.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (year + era * 400 + i64::from(month <= 2), month, date)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

/// Time since boot (`CLOCK_BOOTTIME`), in whole milliseconds when written to a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Mono(Duration);

impl Mono {
    /// The moment of boot.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// From milliseconds since boot.
    #[must_use]
    pub fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Milliseconds since boot.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Time since boot as a duration.
    #[must_use]
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// `self - earlier`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `wait` after this one.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

impl From<u64> for Mono {
    fn from(ms: u64) -> Self {
        Self::from_millis(ms)
    }
}

impl From<Mono> for u64 {
    fn from(mono: Mono) -> Self {
        mono.as_millis()
    }
}

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For people.
    pub wall: Timestamp,
    /// For deadlines and ages.
    pub mono: Mono,
}

/// Reads both clocks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads time")]
pub fn now() -> Now {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(boot.tv_nsec).unwrap_or_default();
    let wall = jiff::Timestamp::now();
    // Whole microseconds, so that a stamp read back from a file is the one that was written.
    let wall = jiff::Timestamp::from_microsecond(wall.as_microsecond()).unwrap_or(wall);
    Now { wall: Timestamp(wall), mono: Mono(Duration::new(seconds, nanos)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc3339_with_microseconds() {
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_unix(1_700_000_000).unix(), 1_700_000_000);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_to_files_is_what_people_are_shown(
            seconds in -70_000_000_000_i64..260_000_000_000, micros in 0_u64..1_000_000,
        ) {
            let stamp = Timestamp::from_unix(seconds).after(Duration::from_micros(micros));
            proptest::prop_assert_eq!(serde_json::to_string(&stamp).unwrap(), format!("\"{stamp}\""));
        }
    }

    #[test]
    fn stamps_without_an_offset_are_taken_as_utc() {
        let utc = Timestamp::parse("2025-12-10T02:00:00.5Z");
        assert_eq!(utc, Timestamp::parse("2025-12-10T02:00:00.500000"));
        assert_eq!(utc, Timestamp::parse("2025-12-10T03:00:00.5+01:00"));
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::EPOCH.after(Duration::from_secs(3)).unix(), 3);
    }

    #[test]
    fn ages_never_go_negative() {
        assert_eq!(Timestamp::from_unix(5).age(Timestamp::EPOCH), Duration::ZERO);
        assert_eq!(Mono::ZERO.since(Mono::from_millis(3)), Duration::ZERO);
    }
}
