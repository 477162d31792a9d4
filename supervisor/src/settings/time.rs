//! Lengths of time as people write them: `10s`, `500ms`, `1m 30s` — pure.

use std::time::Duration;

/// Longest accepted time: a year; anything above is a slip.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads `10s`, `500ms`, `1m 30s`, `0s`.
///
/// # Errors
/// One sentence for people.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a length of time such as \"10s\", \"500ms\" or \"1m 30s\"");
    let signed: jiff::SignedDuration = text.trim().parse().map_err(|_| wrong())?;
    let length = Duration::try_from(signed).map_err(|_| format!("{text:?} is negative"))?;
    if length > LONGEST {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(length)
}

/// Writes a length of time the way [`parse`] reads it: `500ms`, `10s`, `1m30s`.
#[must_use]
pub fn show(length: Duration) -> String {
    let (seconds, millis) = (length.as_secs(), length.subsec_millis());
    match (seconds, millis) {
        (0, 0) => "0s".to_owned(),
        (0, ms) => format!("{ms}ms"),
        (s, 0) if s >= 60 && s % 60 == 0 => format!("{}m", s / 60),
        (s, 0) if s >= 60 => format!("{}m{}s", s / 60, s % 60),
        (s, 0) => format!("{s}s"),
        (s, ms) => format!("{s}.{ms:03}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("1m 30s", 90_000),
            ("1m30s", 90_000),
            ("0s", 0),
            ("2h", 7_200_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in ["", "10", "ten", "10 parsecs", "-5s", "400d"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
        assert!(parse("10").unwrap_err().contains("\"10s\""));
    }

    #[test]
    fn shown_times_can_be_read_back() {
        for ms in [0, 1, 500, 1_000, 1_500, 60_000, 90_000, 3_600_000] {
            let length = Duration::from_millis(ms);
            assert_eq!(parse(&show(length)), Ok(length), "{ms}");
        }
    }
}
