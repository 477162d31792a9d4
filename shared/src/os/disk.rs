//! stub
use super::storage::{Handle, OpenMode, Stat, Storage};
use crate::error::Result;
use std::io;
use std::path::Path;
use std::time::Duration;
/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;
/// An open file on the real disk.
#[derive(Debug)]
pub struct DiskFile;
impl Handle for DiskFile {
    fn stat(&self) -> io::Result<Stat> {
        todo!()
    }
    fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        todo!()
    }
    fn append(&self, _bytes: &[u8]) -> io::Result<usize> {
        todo!()
    }
    fn truncate(&self, _size: u64) -> io::Result<()> {
        todo!()
    }
    fn sync(&self) -> io::Result<()> {
        todo!()
    }
}
impl Storage for Disk {
    type File = DiskFile;
    type Lock = super::FileLock;
    fn open(&self, _path: &Path, _mode: OpenMode) -> io::Result<DiskFile> {
        todo!()
    }
    fn stat(&self, _path: &Path) -> io::Result<Stat> {
        todo!()
    }
    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        todo!()
    }
    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        todo!()
    }
    fn remove(&self, _path: &Path) -> io::Result<()> {
        todo!()
    }
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        todo!()
    }
    fn lock(&self, _path: &Path, _purpose: &str, _wait: Duration) -> Result<super::FileLock> {
        todo!()
    }
}
