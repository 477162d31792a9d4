//! The bytes of a record — pure.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Error, Result, bare};

/// Highest number there is: the largest that every JSON reader takes for what it is. A line with a higher one was made by
/// hand or by a failing disk, and numbers must not go on from there.
pub(super) const SEQ_MAX: u64 = (1 << 53) - 1;

/// Refuses a number that nobody could read back.
pub(super) fn check_number(number: u64) -> Result<()> {
    if number <= SEQ_MAX {
        return Ok(());
    }
    let why = "the numbers of this log are used up: a line with a very high seq was put into it by hand";
    Err(Error::Refused(why.to_owned()))
}

/// How every line we write begins.
const PREFIX: &[u8] = b"{\"seq\":";

/// What one complete line (without its newline) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A record with its position.
    Numbered(u64),
    /// A JSON object without a position: appended by hand.
    Unnumbered,
    /// White space only: a seal, or nothing.
    Blank,
    /// Not a JSON object.
    Poison(String),
}

/// Appends the record as line number `seq` to `into`. `record` is a JSON object on one line, without `seq`; `false` and
/// nothing appended if it plainly is not.
pub(super) fn write(into: &mut Vec<u8>, seq: u64, record: &[u8]) -> bool {
    let Some(rest) = record.strip_prefix(b"{") else { return false };
    if !rest.ends_with(b"}") || memchr::memchr2(b'\n', 0, record).is_some() {
        return false;
    }
    into.extend_from_slice(PREFIX);
    let mut digits = [0_u8; 20];
    into.extend_from_slice(decimal(seq, &mut digits));
    if rest.trim_ascii_start() != b"}" {
        into.push(b',');
    }
    into.extend_from_slice(rest);
    into.push(b'\n');
    true
}

/// `number` in decimal, without the detour through formatting.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        start = index;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// Tells what a line is. A line in our own form is believed by its first and last bytes; its content is judged by whoever
/// parses it. Anything else is parsed here.
pub(super) fn classify(line: &[u8]) -> Line {
    if let Some(seq) = own_form(line) {
        return Line::Numbered(seq);
    }
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Blank;
    }
    parse(line)
}

/// As [`classify`], but nothing is believed that was not parsed to the end.
pub(super) fn classify_strictly(line: &[u8]) -> Line {
    if line.iter().all(u8::is_ascii_whitespace) { Line::Blank } else { parse(line) }
}

/// The position of a line that has the form we write.
fn own_form(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(PREFIX)?;
    let mut seq = 0_u64;
    let mut after = rest;
    while let Some((digit @ b'0'..=b'9', tail)) = after.split_first() {
        seq = seq.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        after = tail;
    }
    let whole = matches!(after.first(), Some(b',' | b'}')) && after.len() < rest.len();
    // Control characters are never written raw: they are a sign of torn or overwritten bytes. Looked for without stopping at
    // the first, which is many bytes at once.
    let clean = line.last() == Some(&b'}') && !line.iter().fold(false, |any, byte| any | (*byte < 0x20));
    (whole && clean && seq <= SEQ_MAX).then_some(seq)
}

/// The one field the engine knows. A map would accept arrays; a struct with a flattened rest would copy everything.
#[derive(Deserialize)]
struct Head {
    #[serde(default, deserialize_with = "present")]
    seq: Option<serde_json::Value>,
}

/// Tells `"seq":null` from no `seq`.
fn present<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(from).map(Some)
}

fn parse(line: &[u8]) -> Line {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(line) {
        return Line::Poison(reason(&error));
    }
    if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Line::Poison("it is not a JSON object".to_owned());
    }
    match serde_json::from_slice::<Head>(line) {
        Err(error) => Line::Poison(reason(&error)),
        Ok(Head { seq: None }) => Line::Unnumbered,
        Ok(Head { seq: Some(value) }) => match value.as_u64() {
            Some(seq) if seq <= SEQ_MAX => Line::Numbered(seq),
            _ => Line::Poison(format!("seq is {value}, not a whole number from 0 to {SEQ_MAX}")),
        },
    }
}

/// The reason without serde's line number, which is always 1 here.
fn reason(error: &serde_json::Error) -> String {
    format!("{} (column {})", bare(error), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_written_with_its_number_in_front() {
        let mut bytes = Vec::new();
        assert!(write(&mut bytes, 1, br#"{"a":1}"#));
        assert!(write(&mut bytes, u64::MAX, b"{}"));
        assert!(write(&mut bytes, 10, b"{ }"));
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, "{\"seq\":1,\"a\":1}\n{\"seq\":18446744073709551615}\n{\"seq\":10 }\n");
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn what_is_no_object_on_one_line_is_not_written() {
        for bad in ["", "[]", "{", "{\"a\":\n1}", "null", "{\"a\":1", "{\"a\":\"\0\"}"] {
            let mut bytes = Vec::new();
            assert!(!write(&mut bytes, 1, bad.as_bytes()), "{bad:?}");
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn lines_are_told_apart() {
        let numbered = [r#"{"seq":7,"a":1}"#, r#"{"a":1,"seq":7}"#, r#" { "seq" : 7 }"#, r#"{"seq":7}"#];
        for line in numbered {
            assert_eq!(classify(line.as_bytes()), Line::Numbered(7), "{line}");
        }
        assert_eq!(classify(br#"{"to":"x"}"#), Line::Unnumbered);
        for line in ["", " ", "\r"] {
            assert_eq!(classify(line.as_bytes()), Line::Blank);
        }
        let poison = [
            r#"{"seq":7,"a":1"#,
            r#"{"seq":-1}"#,
            r#"{"seq":1.0}"#,
            r#"{"seq":null}"#,
            r#"{"seq":"7"}"#,
            r#"{"seq":,}"#,
            r#"{"seq":99999999999999999999}"#,
            r#"{"seq":9007199254740992}"#,
            r#"{"seq":18446744073709551615,"a":1}"#,
            "[1]",
            "7",
            "// note",
            "\0\0\0",
            "{\"seq\":7,\"a\":\"\0\"}",
            r#"{"seq":1,"seq":2} x"#,
        ];
        for line in poison {
            assert!(matches!(classify(line.as_bytes()), Line::Poison(_)), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_telling_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = classify(&bytes);
            let _ = classify_strictly(&bytes);
        }

        #[test]
        fn what_was_written_is_read_back(seq in 0..=SEQ_MAX, text in "\\PC{0,40}") {
            let record = serde_json::json!({"content": text}).to_string();
            let mut bytes = Vec::new();
            prop_assert!(write(&mut bytes, seq, record.as_bytes()));
            prop_assert_eq!(bytes.pop(), Some(b'\n'));
            prop_assert_eq!(classify(&bytes), Line::Numbered(seq));
            prop_assert_eq!(classify_strictly(&bytes), Line::Numbered(seq));
        }
    }
}
