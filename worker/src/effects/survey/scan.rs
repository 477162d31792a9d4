//! One pass over a file: bytes, newlines, markers, tests.
//!
//! Files are read once, in blocks that stay in the processor's cache, and every block is looked at by two vectorised
//! searches (newlines; all words together). Memory is bounded whatever the length of files and lines. Binary = a NUL in the
//! first 8 KiB; such files are not read further.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, MatchKind};

use super::listing::reason;
use super::{Beat, Halt};
use crate::backend::builtin::fact::{FileFact, Listed, Mark, MarkKind, Skipped};
use crate::backend::builtin::language;
use crate::backend::builtin::path::unescape;

/// Bytes looked at for a NUL.
const HEAD: usize = 8 * 1024;
/// Bytes read at a time.
const BLOCK: usize = 256 * 1024;
/// Bytes kept back at a block's end within a line, so that no word is cut: longer than any word and its neighbour.
const OVERLAP: usize = 16;
/// Longest text kept of a marked line, in characters.
const TEXT: usize = 200;
/// Markers kept per file; a file with more is a list, not a program.
const MARKS: usize = 20_000;

/// What is searched: the markers in the order of [`MarkKind::ALL`], then what Rust tests carry.
const TESTS: [&str; 2] = ["#[test]", "#[cfg(test)]"];

/// Reads files; keeps its buffer and its search table.
pub(crate) struct Scanner {
    root: PathBuf,
    words: AhoCorasick,
    buffer: Vec<u8>,
}

impl Scanner {
    /// A scanner for the files below `root`.
    ///
    /// # Errors
    /// [`Halt::Damaged`] never in practice: the words are fixed.
    pub(crate) fn new(root: &Path) -> Result<Self, Halt> {
        let words = MarkKind::ALL.map(MarkKind::word).into_iter().chain(TESTS);
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(words)
            .map_err(|_| Halt::Damaged(root.to_owned()))?;
        Ok(Self { root: root.to_owned(), words, buffer: vec![0; BLOCK] })
    }

    /// Reads one file. A file that cannot be read counts with the size it was listed with and is named as skipped; one that
    /// is gone, or no regular file any more, is only named.
    ///
    /// # Errors
    /// [`Halt::Interrupted`].
    pub(crate) fn scan(
        &mut self,
        listed: &Listed,
        beat: &mut Beat<'_>,
        doing: &dyn Fn() -> String,
    ) -> Result<(Option<FileFact>, Option<Skipped>), Halt> {
        let skip = |reason: &str| Some(Skipped { path: listed.path.clone(), reason: reason.to_owned() });
        let path = self.root.join(OsStr::from_bytes(&unescape(&listed.path)));
        let unread = |reason: &str| match reason {
            "vanished" | "symbolic link" => (None, skip(reason)),
            reason => (Some(FileFact::unread(listed)), skip(reason)),
        };
        let (mut file, size) = match open(&path) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok((None, skip("not a regular file any more"))),
            Err(error) => return Ok(unread(reason(&error))),
        };
        match self.read(&mut file, size, listed, beat, doing) {
            Ok(fact) => {
                let full = fact.marks.len() >= MARKS;
                Ok((
                    Some(fact),
                    if full { skip("markers beyond the first 20000 are left out") } else { None },
                ))
            }
            Err(Trouble::Halt(halt)) => Err(halt),
            Err(Trouble::Read(error)) => Ok(unread(reason(&error))),
        }
    }

    fn read(
        &mut self,
        file: &mut File,
        size: u64,
        listed: &Listed,
        beat: &mut Beat<'_>,
        doing: &dyn Fn() -> String,
    ) -> Result<FileFact, Trouble> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.pass(file, &mut buffer, beat, doing);
        self.buffer = buffer;
        let pass = result?;
        let (bytes, lines, language) = match pass.binary {
            true => (size, None, language::BINARY),
            false => (pass.bytes, Some(pass.lines), pass.language(listed)),
        };
        let test = pass.test && language == "Rust" || language::is_test_path(&listed.path);
        let (path, marks) = (listed.path.clone(), pass.marks);
        Ok(FileFact { path, bytes, lines, language: language.to_owned(), test, marks })
    }

    fn pass(
        &self,
        file: &mut File,
        buffer: &mut [u8],
        beat: &mut Beat<'_>,
        doing: &dyn Fn() -> String,
    ) -> Result<Pass, Trouble> {
        let mut pass = Pass::default();
        let mut kept = 0;
        loop {
            beat.tick(doing).map_err(Trouble::Halt)?;
            let fresh = fill(file, buffer.get_mut(kept..).unwrap_or_default()).map_err(Trouble::Read)?;
            let data = buffer.get(..kept + fresh).unwrap_or_default();
            let last = data.len() < buffer.len();
            if pass.bytes == 0 {
                pass.head = data.get(..data.len().min(128)).unwrap_or_default().to_vec();
                if memchr::memchr(0, data.get(..data.len().min(HEAD)).unwrap_or_default()).is_some() {
                    return Ok(Pass { binary: true, ..Pass::default() });
                }
            }
            let end = if last { data.len() } else { boundary(data) };
            self.block(data, end, &mut pass);
            if last {
                return Ok(pass);
            }
            let length = data.len();
            buffer.copy_within(end..length, 0);
            kept = length - end;
        }
    }

    /// Takes in `data[..end]`; what lies behind is looked at as a word's neighbour only.
    fn block(&self, data: &[u8], end: usize, pass: &mut Pass) {
        let mut counted = 0;
        for found in self.words.find_iter(data) {
            if found.start() >= end {
                break;
            }
            let Some(kind) = MarkKind::ALL.get(found.pattern().as_usize()) else {
                pass.test = true;
                continue;
            };
            let before = match found.start().checked_sub(1) {
                Some(at) => data.get(at).copied(),
                None => pass.previous,
            };
            if before.is_some_and(is_word) || data.get(found.end()).copied().is_some_and(is_word) {
                continue;
            }
            pass.lines += newlines(data.get(counted..found.start()).unwrap_or_default());
            counted = found.start();
            let line = pass.lines + 1;
            let known = |mark: &&Mark| mark.line == line;
            let twice = pass.marks.iter().rev().take_while(known).any(|mark| mark.kind == *kind);
            if !twice && pass.marks.len() < MARKS {
                pass.marks.push(Mark { line, kind: *kind, text: line_text(data, found.start()) });
            }
        }
        pass.lines += newlines(data.get(counted..end).unwrap_or_default());
        pass.bytes = pass.bytes.saturating_add(u64::try_from(end).unwrap_or(u64::MAX));
        pass.previous = end.checked_sub(1).and_then(|at| data.get(at).copied()).or(pass.previous);
    }
}

/// Why a file's content did not come.
enum Trouble {
    Halt(Halt),
    Read(std::io::Error),
}

#[derive(Default)]
struct Pass {
    head: Vec<u8>,
    binary: bool,
    bytes: u64,
    lines: u64,
    /// The byte before the block.
    previous: Option<u8>,
    test: bool,
    marks: Vec<Mark>,
}

impl Pass {
    fn language(&self, listed: &Listed) -> &'static str {
        language::of(&listed.path, &self.head)
    }
}

/// Opens a regular file and tells its size; `None` if it is something else. Never waits for a pipe, never follows a link.
fn open(path: &Path) -> std::io::Result<Option<(File, u64)>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    Ok(found.is_file().then_some((file, found.len())))
}

/// Reads until the buffer is full or the file ends, so that blocks do not depend on how reads come in.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    loop {
        match file.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => return Ok(filled),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where a full block ends: behind its last line, or shortly before its end if it has none.
fn boundary(data: &[u8]) -> usize {
    memchr::memrchr(b'\n', data).map_or(data.len().saturating_sub(OVERLAP), |at| at + 1)
}

fn newlines(data: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', data).count()).unwrap_or(u64::MAX)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The line around `at`, or the part of it from `at` on if the marker lies far behind its start.
fn line_text(data: &[u8], at: usize) -> String {
    let (before, after) = data.split_at_checked(at).unwrap_or((data, b""));
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let start = if at - start > TEXT / 2 { at } else { start };
    let end = memchr::memchr(b'\n', after).map_or(data.len(), |newline| at + newline);
    // Four bytes make the longest character.
    let line = data.get(start..end.min(start + TEXT * 4)).unwrap_or_default();
    String::from_utf8_lossy(line).trim().chars().take(TEXT).collect()
}
