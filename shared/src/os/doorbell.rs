//! Doorbells: one FIFO per reader under `.tachi/wake/`, one byte per ring.
//!
//! A FIFO needs no inherited descriptor, survives the death of either side, and can be rung from a shell
//! (`printf m > .tachi/wake/instance_1`). Rings are hints: a lost one is made good by the reader's safety poll.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use super::disk::give_to_directory_owner;
use crate::error::{Context as _, Error, Result};

/// Doorbells a process keeps open for ringing: enough for a large team, far from the limit of open files.
const KEPT_OPEN: usize = 128;

/// The reading end of a FIFO doorbell, opened `O_RDWR` so that it never sees end of file.
#[derive(Debug)]
pub struct Doorbell {
    file: File,
    path: PathBuf,
}

impl Doorbell {
    /// Makes the FIFO if needed and opens it. A plain file in its place (somebody rang before it existed) is replaced.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_fifo() => {}
            Ok(_) => {
                std::fs::remove_file(path).context("replace", path)?;
                make(path)?;
            }
            Err(_) => make(path)?,
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(path).context("open", path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Takes whatever rings lie there, without sleeping (sleep with poll(2) on the descriptor). Each kind is told once;
    /// unknown bytes count as [`Ring::Messages`], because a person may have typed anything.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn drain(&self) -> Result<Vec<Ring>> {
        let mut rings: Vec<Ring> = Vec::new();
        let mut buffer = [0_u8; 512];
        loop {
            let taken = match rustix::io::read(&self.file, &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(rings),
                Ok(taken) => taken,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(Error::io("read", &self.path, error.into())),
            };
            for byte in buffer.iter().take(taken).filter(|byte| **byte != b'\n') {
                let ring = Ring::from_byte(*byte);
                if !rings.contains(&ring) {
                    rings.push(ring);
                }
            }
            if taken < buffer.len() {
                return Ok(rings);
            }
        }
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Makes the FIFO; losing a race against another maker is fine.
fn make(path: &Path) -> Result<()> {
    match rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
        Ok(()) => give_to_directory_owner(path).context("give away", path),
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(Error::io("make the doorbell", path, io::Error::from(error))),
    }
}

/// What a ring hints at. Hints only: a lost one is made good by the reader's safety poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// `m`: there may be messages.
    Messages,
    /// `t`: the board may have changed.
    Tasks,
    /// `c`: look at your registry row and at who supervises you.
    Control,
    /// `r`: (to the supervisor) an instance became ready, changed its mind or left.
    Instance,
}

impl Ring {
    fn byte(self) -> u8 {
        match self {
            Self::Messages => b'm',
            Self::Tasks => b't',
            Self::Control => b'c',
            Self::Instance => b'r',
        }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            b't' => Self::Tasks,
            b'c' => Self::Control,
            b'r' => Self::Instance,
            _ => Self::Messages,
        }
    }
}

/// Doorbells that are rung again and again, kept open: opening and closing one costs as much as ringing it.
#[derive(Debug)]
pub struct Bells {
    dir: PathBuf,
    open: HashMap<String, OwnedFd>,
}

impl Bells {
    /// Those in `dir`; opens nothing yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, open: HashMap::new() }
    }

    /// Rings one, as [`ring`] does.
    pub fn ring(&mut self, name: &str, why: Ring) {
        if let Some(bell) = self.open.get(name) {
            if press(bell, why) {
                return;
            }
            // Its reader is gone. Another one may have made the doorbell anew.
            self.open.remove(name);
        }
        if let Some(bell) = find(&self.dir.join(name))
            && press(&bell, why)
            && self.open.len() < KEPT_OPEN
        {
            self.open.insert(name.to_owned(), bell);
        }
    }
}

/// Rings one doorbell; nobody listening or a full pipe is not an error.
pub fn ring(path: &Path, why: Ring) {
    if let Some(bell) = find(path) {
        press(&bell, why);
    }
}

/// Opens the ringing end, if somebody listens.
fn find(path: &Path) -> Option<OwnedFd> {
    rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// `false` = nobody listens any more. A full pipe has rung often enough.
fn press(bell: &OwnedFd, why: Ring) -> bool {
    let pressed = rustix::io::retry_on_intr(|| rustix::io::write(bell, &[why.byte()]));
    matches!(pressed, Ok(_) | Err(rustix::io::Errno::AGAIN))
}
