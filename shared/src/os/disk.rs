//! The real disk: [`Storage`] on local files.
//!
//! Every descriptor is close-on-exec, every new file 0600 and every new directory 0700. As root, what we make belongs to
//! the owner of the directory it is made in, so that the person whose directory it is can read and clean it.
//! Deliberately absent: buffering, retries of failed syncs, memory maps (a truncation by anyone would be a SIGBUS).

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Gid, Mode, RenameFlags, StatxFlags, Timespec, Timestamps, Uid};

use super::lock::FileLock;
use super::storage::{Extent, Handle, OpenMode, Stat, Storage};
use crate::clock::{self, Now};
use crate::error::Result;

/// Mode of new files.
const FILE_MODE: u32 = 0o600;
/// Mode of new directories.
const DIR_MODE: u32 = 0o700;
/// Opening must not wait for the other end of a FIFO somebody dropped into a directory we read.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

/// An open file on the real disk.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
}

impl Handle for DiskFile {
    fn stat(&self) -> io::Result<Stat> {
        let stat = rustix::fs::fstat(&self.file)?;
        Ok(from_stat(&stat))
    }

    fn extent(&self) -> io::Result<Extent> {
        extent_of(&self.file)
    }

    fn tell(&self) -> io::Result<u64> {
        Ok(rustix::fs::tell(&self.file)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(&self.file, bytes))?)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Storage for Disk {
    type File = DiskFile;
    type Lock = FileLock;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<DiskFile> {
        let mut options = OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::Append => options.read(true).append(true),
            OpenMode::Create => options.read(true).append(true).create_new(true),
        };
        let file = options.mode(FILE_MODE).custom_flags(NONBLOCK).open(path)?;
        if mode == OpenMode::Create {
            give_to_directory_owner(path)?;
        }
        Ok(DiskFile { file })
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(from_stat(&rustix::fs::stat(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = loop {
            match std::fs::read_dir(dir) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        match std::fs::DirBuilder::new().mode(DIR_MODE).create(path) {
            Ok(()) => give_to_directory_owner(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn keep_access(&self, like: &Path, path: &Path) -> io::Result<()> {
        let old = std::fs::metadata(like)?;
        let new = std::fs::metadata(path)?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // A group we are not in may not be given away; the mode alone is then what can be kept.
            let _ = rustix::fs::chown(path, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())));
        }
        if old.mode() != new.mode() {
            rustix::fs::chmod(path, Mode::from_raw_mode(old.mode() & 0o7777))?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rename_with(from, to, RenameFlags::NOREPLACE) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => std::fs::rename(from, to),
            other => other,
        }
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        rename_with(a, b, RenameFlags::EXCHANGE)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn now(&self) -> Now {
        clock::now()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn lock(&self, path: &Path, purpose: &str, wait: Duration) -> Result<FileLock> {
        FileLock::take(path, purpose, wait)
    }
}

fn rename_with(from: &Path, to: &Path, how: RenameFlags) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::renameat_with(CWD, from, CWD, to, how) {
        // File systems without it say so in either of these ways.
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        other => Ok(other?),
    }
}

/// As root, gives a new file or directory to the owner of the directory it is in; otherwise does nothing.
pub(super) fn give_to_directory_owner(path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    let owner: Metadata = std::fs::metadata(parent)?;
    if (owner.uid(), owner.gid()) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
        rustix::fs::chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Widens without naming the type, which is `u32` on some machines and `u64` on others.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Size and names of an open file, without looking at its times.
pub(super) fn extent_of(file: &File) -> io::Result<Extent> {
    let found = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::SIZE | StatxFlags::NLINK)?;
    Ok(Extent { size: found.stx_size, nlink: wide(found.stx_nlink) })
}

/// What the store needs of `struct stat`; the field types differ between machines.
pub(super) fn from_stat(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        dev: wide(stat.st_dev),
        ino: wide(stat.st_ino),
        nlink: wide(stat.st_nlink),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
    }
}
