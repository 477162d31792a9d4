//! Names of files as text, without loss — pure.
//!
//! JSON holds text, Linux file names are bytes. A path is written as it is, except that a byte which is not part of valid
//! UTF-8, and the backslash itself, become `\xNN`. So [`unescape`] gives back exactly the bytes, and two files never share
//! a name in a report.

use std::borrow::Cow;

/// The text of a path.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for (at, piece) in chunk.valid().split('\\').enumerate() {
            if at > 0 {
                text.push_str("\\x5c");
            }
            text.push_str(piece);
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The bytes of a path; anything that [`escape`] would not have written stays as it is.
pub(crate) fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('\\') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let code = piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (code, piece.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => {
                bytes.extend_from_slice(b"\\x");
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    Cow::Owned(bytes)
}

/// The part of the tree a path belongs to: its first directory, or `.` for files at the top.
pub(crate) fn area(path: &str) -> &str {
    path.split_once('/').map_or(".", |(area, _)| area)
}

/// The last component.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A path fit for a table cell or a terminal: control characters become `\xNN`, table and code marks cannot break out.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '`' => {
                shown.push('\\');
                shown.push(c);
            }
            c if c.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            // Marks that reorder or hide text around them.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_survives_the_way_through_text() {
        let names: [&[u8]; 8] = [
            b"plain.rs",
            b"with space/and\nnewline",
            b"\xff\xfe latin \xe9",
            b"back\\slash",
            b"looks\\x41like",
            "emoji 🦀".as_bytes(),
            b"-rf",
            b"\\",
        ];
        for name in names {
            assert_eq!(unescape(&escape(name)).as_ref(), name, "{name:?}");
        }
        assert_eq!(escape(b"a\xffb\\c"), "a\\xffb\\x5cc");
        assert_ne!(escape(b"\xff"), escape(b"\\xff"));
    }

    #[test]
    fn a_printed_path_cannot_break_a_table_or_a_terminal() {
        assert_eq!(printable("a|b`c\n\u{1b}[31m"), "a\\|b\\`c\\x0a\\x1b[31m");
        assert_eq!(printable("txt.\u{202e}exe"), "txt.\\u{202e}exe");
    }

    #[test]
    fn the_area_is_the_first_directory() {
        assert_eq!((area("src/a/b.rs"), area("README.md"), file_name("src/a/b.rs")), ("src", ".", "b.rs"));
    }
}
