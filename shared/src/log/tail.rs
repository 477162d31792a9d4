//! The end of a segment: what is there, and how a torn one is made good.
//!
//! Nothing is thrown away: torn bytes are copied to `rejected/` before they are cut off. Only a writer that holds the lock
//! repairs; readers stop at the last newline.

use std::io;
use std::path::Path;

use super::frame::{self, Line};
use super::segment;
use crate::error::{Context as _, Error, Result};
use crate::os::place;
use crate::os::{Handle, Storage};

/// First look at the end of a segment, in bytes; grows fourfold until a numbered line is in it.
const WINDOW: u64 = 4096;

/// The end of a segment as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Size up to and with the last newline.
    pub(super) complete: u64,
    /// Highest number of the complete lines near the end.
    pub(super) last: Option<u64>,
    /// Whether the last complete line is empty: no more records belong here.
    pub(super) sealed: bool,
    /// Bytes behind the last newline.
    pub(super) rest: Vec<u8>,
}

impl End {
    /// The highest number that is here to stay: a line that lacks only its newline gets it from the next writer. Not simply
    /// that one: a copy of an old line must not make numbers come back.
    pub(super) fn highest(&self) -> Option<u64> {
        match (judge(&self.rest), frame::classify_strictly(&self.rest)) {
            (Repair::AddNewline, Line::Numbered(seq)) => self.last.max(Some(seq)),
            _ => self.last,
        }
    }
}

/// What to do about the bytes behind the last newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// There are none.
    Nothing,
    /// A whole object that only lacks its newline.
    AddNewline,
    /// A torn one.
    Cut,
}

/// Decides about the bytes behind the last newline.
pub(super) fn judge(rest: &[u8]) -> Repair {
    if rest.is_empty() {
        return Repair::Nothing;
    }
    match frame::classify_strictly(rest) {
        Line::Numbered(_) | Line::Unnumbered => Repair::AddNewline,
        Line::Blank | Line::Poison(_) => Repair::Cut,
    }
}

/// Looks at the end of a segment of `size` bytes.
pub(super) fn inspect<F: Handle>(file: &F, size: u64) -> io::Result<End> {
    let mut window = WINDOW;
    let mut bytes = Vec::new();
    loop {
        let start = size.saturating_sub(window);
        segment::read_into(file, &mut bytes, start, size - start)?;
        let end = inspect_window(&bytes, start);
        if start == 0 || end.as_ref().is_some_and(|end| end.last.is_some()) {
            let nothing = End { complete: 0, last: None, sealed: false, rest: Vec::new() };
            return Ok(end.unwrap_or(nothing));
        }
        window *= 4;
    }
}

/// The end, as far as `bytes` (from `start` to the end of the file) show it; `None` if they hold no whole line.
fn inspect_window(bytes: &[u8], start: u64) -> Option<End> {
    // A window that does not start at the file's start begins somewhere in a line.
    let first = if start == 0 { 0 } else { bytes.iter().position(|byte| *byte == b'\n')? + 1 };
    let whole = bytes.get(first..)?;
    let complete = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // The highest, not the last: a line copied by hand must not make numbers come back.
    let numbers = segment::lines(whole).filter_map(|(_, line)| match frame::classify(line) {
        Line::Numbered(seq) => Some(seq),
        _ => None,
    });
    let last = numbers.max();
    let body = whole.get(..complete)?;
    let sealed = body.ends_with(b"\n\n") || body == b"\n";
    let end = start + (first + complete) as u64;
    Some(End { complete: end, last, sealed, rest: whole.get(complete..)?.to_vec() })
}

/// Makes the end of a segment good; afterwards it ends in a newline or is empty.
pub(super) fn repair<S: Storage>(
    storage: &S,
    file: &S::File,
    path: &Path,
    rejected: &Path,
    end: &mut End,
) -> Result<()> {
    match judge(&end.rest) {
        Repair::Nothing => return Ok(()),
        Repair::AddNewline => match file.append(b"\n").context("repair", path)? {
            0 => return Err(Error::DiskFull { operation: "repair", path: path.to_owned() }),
            _ => {
                end.last = end.highest();
                end.complete += end.rest.len() as u64 + 1;
                end.sealed = false;
            }
        },
        Repair::Cut => {
            cut(storage, file, path, rejected, end.complete, &end.rest, "the line was torn by a crash")?;
        }
    }
    end.rest.clear();
    Ok(())
}

/// Cuts `bytes`, which lie from `offset` to the end, off and keeps them if the disk has room.
pub(super) fn cut<S: Storage>(
    storage: &S,
    file: &S::File,
    path: &Path,
    rejected: &Path,
    offset: u64,
    bytes: &[u8],
    reason: &str,
) -> Result<()> {
    // On a full disk the copy may fail; writing must become possible again all the same.
    let _ = place::keep_refused(storage, path, bytes, rejected, reason, &offset.to_string());
    file.truncate(offset).context("repair", path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_whole_objects_get_their_newline_back() {
        for (rest, expected) in [
            ("", Repair::Nothing),
            (r#"{"seq":3,"a":1}"#, Repair::AddNewline),
            (r#"{"to":"x"}"#, Repair::AddNewline),
            (r#"{"seq":3,"a":1"#, Repair::Cut),
            (r#"{"seq":3,"a":"}"#, Repair::Cut),
            ("\0\0\0\0", Repair::Cut),
            ("[1]", Repair::Cut),
            (" ", Repair::Cut),
        ] {
            assert_eq!(judge(rest.as_bytes()), expected, "{rest:?}");
        }
    }

    #[test]
    fn a_seal_is_an_empty_last_line() {
        let end = inspect_window(b"{\"seq\":1}\n\n", 0).unwrap();
        assert_eq!((end.complete, end.last, end.sealed), (11, Some(1), true));
        assert!(!inspect_window(b"{\"seq\":1}\n", 0).unwrap().sealed);
        assert!(inspect_window(b"\n", 0).unwrap().sealed);
        assert!(!inspect_window(b"", 0).unwrap().sealed);
    }

    proptest! {
        #[test]
        fn complete_lines_are_never_part_of_the_rest(
            lines in proptest::collection::vec("[a-z{}\":0-9]{0,20}", 0..8),
            rest in proptest::collection::vec(any::<u8>().prop_filter("no newline", |b| *b != b'\n'), 0..40),
        ) {
            let mut bytes: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
            let complete = bytes.len() as u64;
            bytes.extend_from_slice(&rest);
            let end = inspect_window(&bytes, 0).unwrap();
            prop_assert_eq!(end.complete, complete);
            prop_assert_eq!(end.rest, rest);
        }
    }
}
