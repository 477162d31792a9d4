//! Numbers of bytes as people write them: `64MiB`, `1GiB`, `500000` — pure.

/// Units, longest first.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads `64MiB`, `1 GiB`, `500000`.
///
/// # Errors
/// One sentence for people.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a number of bytes such as \"64MiB\" or \"1GiB\"");
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (digits, bytes) = unit.unwrap_or((text, 1));
    let digits = digits.trim_end();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("2kB", 2000), ("500000", 500_000), ("0", 0), ("7B", 7)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "64 parsecs", "99999999999GiB", "+3"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
}
