//! Log files that stay small: `<name>.log`, and `<name>.log.1` to `.4` behind it, 10 MiB each.
//!
//! One writer per file. Rotation renames and opens anew, so a reader that follows by name sees the new file and one that
//! holds the old descriptor reads it to its end. A file that was deleted under the writer is made anew. What the disk
//! cannot take is dropped and counted; the count is written as a line when there is room again. Nothing in here fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Size at which a file is put behind, in bytes.
pub(super) const SIZE: u64 = 10 * 1024 * 1024;
/// Files kept per instance, the current one included.
const FILES: u32 = 5;
/// Bytes between two checks whether the file still has its name.
const CHECK_EVERY: u64 = 64 * 1024;

/// Appends to a rotated log.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    limit: u64,
    file: Option<File>,
    size: u64,
    unchecked: u64,
    dropped: u64,
}

impl Rotated {
    /// Appends to `path` from its end, putting it behind at `limit` bytes.
    pub(super) fn open(path: &Path, limit: u64) -> Self {
        let mut log = Self { path: path.to_owned(), limit, file: None, size: 0, unchecked: 0, dropped: 0 };
        log.reopen();
        log
    }

    /// Appends, or drops and counts.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.unchecked += bytes.len() as u64;
        if self.file.is_none() || self.unchecked >= CHECK_EVERY && !self.has_its_name() {
            self.reopen();
        }
        if self.size > 0 && self.size + bytes.len() as u64 > self.limit {
            self.rotate();
        }
        if self.dropped > 0 {
            let note = format!("[tachi: {} bytes of output were dropped, the disk was full]\n", self.dropped);
            if self.append(note.as_bytes()).is_ok() {
                self.dropped = 0;
            }
        }
        if self.append(bytes).is_err() {
            self.dropped += bytes.len() as u64;
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn has_its_name(&mut self) -> bool {
        self.unchecked = 0;
        let ours = self.file.as_ref().and_then(|file| file.metadata().ok());
        let named = fs::metadata(&self.path).ok();
        matches!((ours, named), (Some(ours), Some(named)) if (ours.dev(), ours.ino()) == (named.dev(), named.ino()))
    }

    fn reopen(&mut self) {
        self.file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path).ok();
        self.size = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
    }

    fn rotate(&mut self) {
        for number in (1..FILES - 1).rev() {
            // A gap in the row of files is fine.
            let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        let _ = fs::rename(&self.path, self.numbered(1));
        self.reopen();
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p61_logs_rotate_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = Rotated::open(&path, 10);
        for n in 0..8 {
            log.write(format!("line{n}....\n").as_bytes());
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("a.log"), "line7....\n");
        assert_eq!(read("a.log.1"), "line6....\n");
        assert_eq!(read("a.log.4"), "line3....\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
    }

    #[test]
    fn a_log_deleted_under_the_writer_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = Rotated::open(&path, SIZE);
        log.write(b"before\n");
        fs::remove_file(&path).unwrap();
        log.write(&vec![b'x'; usize::try_from(CHECK_EVERY).unwrap()]);
        log.write(b"after\n");
        assert!(fs::read_to_string(&path).unwrap().ends_with("after\n"));
    }

    #[test]
    fn p61_what_cannot_be_written_is_dropped_counted_and_told_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later").join("a.log");
        let mut log = Rotated::open(&path, SIZE);
        log.write(b"12345");
        assert_eq!(log.dropped, 5);
        fs::create_dir(dir.path().join("later")).unwrap();
        log.write(b"now\n");
        assert_eq!(log.dropped, 0);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("5 bytes of output were dropped") && text.ends_with("now\n"), "{text}");
    }
}
