//! A command's output on its way to the log: read without waiting, cut at line ends.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

use super::rotate::Rotated;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Bytes taken from one pipe before signals are looked at again.
const TURN: usize = 1024 * 1024;
/// A line is cut here if it never ends.
const LINE_MAX: usize = 64 * 1024;
/// Longest last line kept, in characters.
const LAST_MAX: usize = 300;

/// One pipe.
#[derive(Debug)]
pub(super) struct Output<R> {
    reader: Option<R>,
    partial: Vec<u8>,
    needle: Option<Vec<u8>>,
    found: bool,
}

impl<R: Read + AsFd> Output<R> {
    /// Reads from `reader`, which is made non-blocking.
    pub(super) fn new(reader: Option<R>) -> Self {
        let set = |reader: &R| rustix::io::ioctl_fionbio(reader, true).is_ok();
        Self { reader: reader.filter(set), partial: Vec::new(), needle: None, found: false }
    }

    /// Looks for a line that holds this text, from now on and until it was seen.
    pub(super) fn look_for(&mut self, text: Option<&str>) {
        self.needle = text.map(|text| text.as_bytes().to_vec());
    }

    /// Whether it was seen.
    pub(super) fn found(&self) -> bool {
        self.found
    }

    /// What to wait on; nothing once it has ended.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// Copies what is there in whole lines; keeps the last line with words in `last`.
    pub(super) fn copy(&mut self, log: &mut Rotated, last: &mut Option<String>) {
        let mut buffer = vec![0; CHUNK];
        let mut taken = 0;
        while let Some(reader) = self.reader.as_mut().filter(|_| taken < TURN) {
            match reader.read(&mut buffer) {
                Ok(0) => self.end(log, last),
                Ok(count) => {
                    taken += count;
                    self.partial.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    self.pass_on(log, last);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.end(log, last),
            }
        }
    }

    /// Passes whole lines on, or a line that does not end.
    fn pass_on(&mut self, log: &mut Rotated, last: &mut Option<String>) {
        let whole = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let cut = if whole == 0 && self.partial.len() >= LINE_MAX { self.partial.len() } else { whole };
        if cut > 0 {
            let rest = self.partial.split_off(cut);
            remember(&self.partial, last);
            let holds = |needle: &Vec<u8>| self.partial.windows(needle.len()).any(|text| text == needle);
            self.found |= self.needle.take_if(|needle| holds(needle)).is_some();
            log.write(&self.partial);
            self.partial = rest;
        }
    }

    /// Nothing more comes: what is left is a line too.
    pub(super) fn end(&mut self, log: &mut Rotated, last: &mut Option<String>) {
        self.reader = None;
        if !self.partial.is_empty() {
            self.partial.push(b'\n');
            self.pass_on(log, last);
        }
    }
}

fn remember(bytes: &[u8], last: &mut Option<String>) {
    let start = bytes.len().saturating_sub(LAST_MAX * 8);
    let text = String::from_utf8_lossy(bytes.get(start..).unwrap_or_default());
    if let Some(line) = text.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        *last = Some(line.chars().take(LAST_MAX).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn lines_of_two_pipes_are_not_mixed_and_the_last_words_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = Rotated::open(&path, super::super::rotate::SIZE);
        let mut last = None;
        let (out_read, mut out) = std::io::pipe().unwrap();
        let (err_read, mut err) = std::io::pipe().unwrap();
        let (mut one, mut two) = (Output::new(Some(out_read)), Output::new(Some(err_read)));
        out.write_all(b"first half, ").unwrap();
        one.copy(&mut log, &mut last);
        err.write_all(b"error\n").unwrap();
        two.copy(&mut log, &mut last);
        out.write_all(b"second half\n\nlast words").unwrap();
        drop(out);
        one.copy(&mut log, &mut last);
        assert!(one.fd().is_none() && two.fd().is_some());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "error\nfirst half, second half\n\nlast words\n");
        assert_eq!(last.as_deref(), Some("last words"));
    }
}
