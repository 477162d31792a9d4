//! One growing log file: its newest lines, and what comes after, over rotation and truncation.
//!
//! The open file is read to its end before a new file of the same name is taken, so a rotation loses nothing. A line
//! without its end is kept back until the rest comes, at most [`PARTIAL_MAX`] bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Longest line kept back while its end is missing.
const PARTIAL_MAX: usize = 64 * 1024;
/// Furthest back that is looked for the newest lines, in bytes.
const BACK_MAX: u64 = 4 * 1024 * 1024;
/// Bytes read in one go.
const CHUNK: usize = 64 * 1024;

/// One followed file.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    open: Option<File>,
    offset: u64,
    partial: Vec<u8>,
}

impl Tail {
    /// Starts behind everything that is there, giving out the newest `count` lines; of the rotated predecessor if needed.
    pub(super) fn newest(path: &Path, count: usize) -> (Self, Vec<String>) {
        let mut tail = Self { path: path.to_owned(), open: None, offset: 0, partial: Vec::new() };
        let Ok(file) = File::open(path) else { return (tail, Vec::new()) };
        let end = file.metadata().map(|meta| meta.len()).unwrap_or_default();
        let mut bytes = back(&file, end);
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        tail.partial = bytes.split_off(complete);
        let mut lines = split(&bytes);
        if lines.len() < count && end <= BACK_MAX {
            let mut older = path.as_os_str().to_owned();
            older.push(".1");
            let mut before = older_lines(Path::new(&older));
            before.append(&mut lines);
            lines = before;
        }
        lines.drain(..lines.len().saturating_sub(count));
        tail.offset = end;
        tail.open = Some(file);
        (tail, lines)
    }

    /// Starts at the first line of a file that has just appeared.
    pub(super) fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, offset: 0, partial: Vec::new() }
    }

    /// Complete lines that came since, also over a rotation or truncation.
    ///
    /// # Errors
    /// As `read(2)`.
    pub(super) fn read(&mut self) -> io::Result<Vec<String>> {
        let mut bytes = std::mem::take(&mut self.partial);
        self.drain(&mut bytes)?;
        if self.was_replaced() {
            if !bytes.is_empty() && !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            self.open = File::open(&self.path).ok();
            self.offset = 0;
            self.drain(&mut bytes)?;
        }
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.partial = bytes.split_off(complete);
        let mut lines = split(&bytes);
        if self.partial.len() > PARTIAL_MAX {
            lines.append(&mut split(&std::mem::take(&mut self.partial)));
        }
        Ok(lines)
    }

    /// Reads the open file to its end.
    fn drain(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(file) = &mut self.open else { return Ok(()) };
        if file.metadata()?.len() < self.offset {
            self.offset = 0;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            bytes.extend(chunk.iter().take(count));
            self.offset += count as u64;
        }
    }

    /// Whether the path names another file than the open one.
    fn was_replaced(&self) -> bool {
        let Ok(now) = std::fs::metadata(&self.path) else { return false };
        let open = self.open.as_ref().and_then(|file| file.metadata().ok());
        open.is_none_or(|open| (open.dev(), open.ino()) != (now.dev(), now.ino()))
    }
}

/// The last bytes before `end`, from a line's beginning on.
fn back(file: &File, end: u64) -> Vec<u8> {
    let start = end.saturating_sub(BACK_MAX);
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or_default()];
    if file.read_exact_at(&mut bytes, start).is_err() {
        return Vec::new();
    }
    if start > 0 {
        let first = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..first);
    }
    bytes
}

fn older_lines(path: &Path) -> Vec<String> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let end = file.metadata().map(|meta| meta.len()).unwrap_or_default();
    split(&back(&file, end))
}

fn split(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split_terminator('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        (dir, path)
    }

    #[test]
    fn the_newest_lines_reach_back_into_the_rotated_file() {
        let (dir, path) = file();
        fs::write(dir.path().join("a.log.1"), "one\ntwo\n").unwrap();
        fs::write(&path, "three\n").unwrap();
        assert_eq!(Tail::newest(&path, 2).1, ["two", "three"]);
        assert_eq!(Tail::newest(&path, 1).1, ["three"]);
    }

    #[test]
    fn a_rotation_loses_nothing_and_a_truncation_starts_over() {
        let (dir, path) = file();
        fs::write(&path, "one\n").unwrap();
        let (mut tail, _) = Tail::newest(&path, 0);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"two\nthr").unwrap();
        assert_eq!(tail.read().unwrap(), ["two"]);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"ee\n").unwrap();
        fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        fs::write(&path, "four\n").unwrap();
        assert_eq!(tail.read().unwrap(), ["three", "four"]);
        File::create(&path).unwrap();
        assert!(tail.read().unwrap().is_empty());
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"5\n").unwrap();
        assert_eq!(tail.read().unwrap(), ["5"]);
    }

    #[test]
    fn a_file_that_appears_later_is_read_from_its_beginning() {
        let (_dir, path) = file();
        let mut tail = Tail::whole(&path);
        assert!(tail.read().unwrap().is_empty());
        fs::write(&path, "first\n").unwrap();
        assert_eq!(tail.read().unwrap(), ["first"]);
    }
}
