//! Segments: their names, and finding a position inside one.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::{self, Line};
use crate::error::{Context as _, Result};
use crate::os::{Handle, Storage};

/// Positions closer together than this are found by reading line after line.
const SCAN: u64 = 64 * 1024;
/// A hinted place further from the one found by number is not looked into.
const MAX_APART: u64 = 4 * 1024 * 1024;

/// Path of the segment whose first record has number `base`.
pub(super) fn path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.jsonl"))
}

/// First number of the segment with this name; `None` for names we would not give.
fn base_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if plain { digits.parse().ok() } else { None };
    number.filter(|base| *base <= frame::SEQ_MAX)
}

/// First numbers of all segments, ascending. A missing directory has none.
pub(super) fn list<S: Storage>(storage: &S, dir: &Path) -> Result<Vec<u64>> {
    let names = match storage.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context("list", dir)?,
    };
    let mut bases: Vec<u64> = names.iter().filter_map(|name| base_of(name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Fills `buffer` with up to `length` bytes from `offset`; fewer only at the end of the file.
pub(super) fn read_into<F: Handle>(
    file: &F,
    buffer: &mut Vec<u8>,
    offset: u64,
    length: u64,
) -> io::Result<()> {
    buffer.resize(usize::try_from(length).unwrap_or_default(), 0);
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64)? {
            0 => break,
            taken => filled += taken,
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Complete lines of `bytes`, each with its start and without its newline.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(start..)?;
        let length = memchr::memchr(b'\n', rest)?;
        let line = (start, rest.get(..length)?);
        start += length + 1;
        Some(line)
    })
}

/// Offset behind the last record with a number up to `seq`: what follows there is new, also if it has no number.
pub(super) fn seek<F: Handle>(file: &F, size: u64, seq: u64) -> io::Result<u64> {
    let mut buffer = Vec::new();
    // Everything before `low` (a line start) is at or below `seq`.
    let (mut low, mut high) = (0, size);
    while high - low > SCAN {
        let middle = low + (high - low) / 2;
        match first_numbered(file, &mut buffer, middle, high)? {
            Some((start, found)) if found <= seq => low = start,
            Some(_) => high = middle,
            // One enormous line, or a desert of unreadable ones: line after line is slower but always right.
            None => break,
        }
    }
    scan(file, &mut buffer, low, size, seq)
}

/// The first record that starts after `from` and ends before `until`: its offset and number.
fn first_numbered<F: Handle>(
    file: &F,
    buffer: &mut Vec<u8>,
    from: u64,
    until: u64,
) -> io::Result<Option<(u64, u64)>> {
    read_into(file, buffer, from, SCAN.min(until - from))?;
    let found = lines(buffer).skip(1).find_map(|(start, line)| match frame::classify(line) {
        Line::Numbered(number) => Some((from + start as u64, number)),
        _ => None,
    });
    Ok(found)
}

/// Reads line after line from the line start `from`.
fn scan<F: Handle>(file: &F, buffer: &mut Vec<u8>, from: u64, size: u64, seq: u64) -> io::Result<u64> {
    let (mut offset, mut window, mut position) = (from, SCAN, from);
    while offset < size {
        read_into(file, buffer, offset, window.min(size - offset))?;
        let mut consumed = 0;
        for (start, line) in lines(buffer) {
            consumed = start + line.len() + 1;
            match frame::classify(line) {
                Line::Numbered(number) if number > seq => return Ok(position),
                Line::Numbered(_) => position = offset + consumed as u64,
                Line::Unnumbered | Line::Blank | Line::Poison(_) => {}
            }
        }
        if consumed == 0 {
            if (buffer.len() as u64) < window {
                break;
            }
            window *= 4;
        }
        offset += consumed as u64;
    }
    Ok(position)
}

/// Whether the offset `hint` is as good a place behind number `seq` as `by_number`, which [`seek`] found: a line begins
/// there, and between the two is nothing that would be skipped or told again. Lines without numbers and copies of old ones
/// make the two differ.
pub(super) fn same_place<F: Handle>(file: &F, hint: u64, by_number: u64, seq: u64) -> io::Result<bool> {
    let (from, to) = (hint.min(by_number), hint.max(by_number));
    let behind = u64::from(from > 0);
    if to - from > MAX_APART {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    read_into(file, &mut bytes, from - behind, to - from + behind)?;
    let starts_lines = behind == 0 || bytes.first() == Some(&b'\n');
    if !starts_lines || (to > 0 && bytes.last() != Some(&b'\n')) {
        return Ok(false);
    }
    let between = bytes.get(usize::from(behind == 1)..).unwrap_or_default();
    Ok(!lines(between).any(|(_, line)| match frame::classify(line) {
        Line::Numbered(number) if hint > by_number => number > seq,
        Line::Numbered(number) => number == seq,
        _ => false,
    }))
}

/// Whether the line that ends at `offset` is empty: what follows is in the next segment.
pub(super) fn is_sealed_at<F: Handle>(file: &F, offset: u64) -> io::Result<bool> {
    let from = offset.saturating_sub(2);
    let mut bytes = Vec::new();
    read_into(file, &mut bytes, from, offset - from)?;
    Ok(!bytes.is_empty() && bytes.iter().all(|byte| *byte == b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_segments() {
        assert_eq!(base_of("00000000000000000001.jsonl"), Some(1));
        assert_eq!(base_of("00009007199254740991.jsonl"), Some(frame::SEQ_MAX));
        let foreign = [
            "1.jsonl",
            "00000000000000000001.json",
            "+0000000000000000001.jsonl",
            "00009007199254740992.jsonl",
            "18446744073709551615.jsonl",
            "99999999999999999999.jsonl",
            "",
        ];
        for name in foreign {
            assert_eq!(base_of(name), None, "{name}");
        }
    }

    #[test]
    fn lines_end_at_the_last_newline() {
        let found: Vec<_> = lines(b"a\n\nbc\nrest").collect();
        assert_eq!(found, [(0, &b"a"[..]), (2, b""), (3, b"bc")]);
    }
}
