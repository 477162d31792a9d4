//! A private copy of a document, and the person's editor on it.
//!
//! The copy is `.tachi/tmp/edit-<unique>/<name>`, mode 0600 in a directory of mode 0700: editors may put their own files beside
//! it. It goes with the verb, unless it holds what could not be taken over: then it moves to `rejected/`. Killed in between,
//! the verb leaves it where it is.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tachi_shared::clock;
use tachi_shared::os::place::set_aside;
use tachi_shared::os::root::unique_id;
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::store::Store;

use super::printer;
use crate::error::{Error, Result, exit};
use crate::render::text::clean;

/// What is tried when the environment names no editor.
const FALLBACK: &str = "vi";
/// What a shell answers when there is no such program.
const NOT_FOUND: i32 = 127;

/// The command that opens a file for a person.
pub(super) struct Editor(String);

impl Editor {
    /// `VISUAL`, else `EDITOR`, else `vi`.
    pub(super) fn of_the_person() -> Self {
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self(named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| FALLBACK.to_owned()))
    }

    /// Opens a file and waits until the editor ends. The words of the command are the shell's business, quotes included.
    pub(super) fn open(&self, file: &Path) -> Result<()> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{} \"$@\"", self.0)).arg(&self.0).arg(file);
        let status =
            undisturbed(|| command.spawn())?.map_err(|error| Error::system("start a shell", error))?;
        let why = match (status.code(), status.signal()) {
            (Some(0), _) => return Ok(()),
            (Some(NOT_FOUND), _) => "was not found".to_owned(),
            (Some(code), _) => format!("ended with code {code}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        };
        let message = format!("nothing changed: the editor `{}` {why}", self.0);
        let hint = "name another: EDITOR=nano tachi edit …".to_owned();
        Err(Error::Refused { message, code: exit::FAILED, hint: Some(hint) })
    }
}

/// Waits for what `start` starts. Ctrl-C belongs to the editor meanwhile: it must not end us and leave the editor alone with
/// a copy nobody takes over.
fn undisturbed(
    start: impl FnOnce() -> std::io::Result<std::process::Child>,
) -> Result<std::io::Result<std::process::ExitStatus>> {
    let mut keys = SigSet::empty();
    keys.add(Signal::SIGINT);
    keys.add(Signal::SIGQUIT);
    // Blocked after the start, or the editor would inherit the block.
    let mut child = match start() {
        Ok(child) => child,
        Err(error) => return Ok(Err(error)),
    };
    let failed = |what: &str, error: nix::Error| Error::system(what, error.into());
    keys.thread_block().map_err(|error| failed("block signals", error))?;
    let status = child.wait();
    let pressed = SignalFd::with_flags(&keys, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|error| failed("listen to signals", error))?;
    while let Ok(Some(_)) = pressed.read_signal() {}
    keys.thread_unblock().map_err(|error| failed("unblock signals", error))?;
    Ok(status)
}

/// A copy of one document.
pub(super) struct Desk {
    dir: PathBuf,
    file: PathBuf,
    original: PathBuf,
    text: Vec<u8>,
}

impl Desk {
    /// Lays a copy of `original` out.
    pub(super) fn lay(store: &Store, original: &Path, text: &[u8]) -> Result<Self> {
        let unique = unique_id().map_err(|error| Error::system("name the copy", error))?;
        let dir = store.dir().tmp().join(format!("edit-{unique}"));
        let file = dir.join(original.file_name().unwrap_or_default());
        let failed = |error| Error::from(tachi_shared::Error::io("write", &file, error));
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(failed)?;
        let desk = Self { dir, file: file.clone(), original: original.to_owned(), text: text.to_owned() };
        let mut options = std::fs::OpenOptions::new();
        let mut copy = options.write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
        copy.write_all(text).map_err(failed)?;
        Ok(desk)
    }

    /// The copy.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What the editor left.
    pub(super) fn read(&self, limit: u64) -> Result<Vec<u8>> {
        Disk.read(&self.file, limit).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Refused {
                message: "nothing changed: the editor removed the copy".to_owned(),
                code: exit::FAILED,
                hint: None,
            },
            _ => tachi_shared::Error::io("read", &self.file, error).into(),
        })
    }

    /// Says what is wrong with the copy and whether the person wants to correct it; without a person, no.
    pub(super) fn ask(&self, error: &tachi_shared::Error) -> Result<bool> {
        if !std::io::stdin().is_terminal() {
            return Ok(false);
        }
        printer::complain(&format!("tachi: {}", clean(&error.to_string())));
        loop {
            printer::prompt("edit again or give up? [e/g] ");
            let mut answer = String::new();
            let read = std::io::stdin().lock().read_line(&mut answer);
            if read.map_err(|error| Error::system("read the answer", error))? == 0 {
                return Ok(false);
            }
            match answer.trim() {
                "e" | "E" | "" => return Ok(true),
                "g" | "G" | "q" | "Q" => return Ok(false),
                _ => {}
            }
        }
    }

    /// Ends without taking over; what the person wrote moves to `rejected/`, and the error says where.
    pub(super) fn leave(mut self, store: &Store, error: Error) -> Error {
        let is_gone = Disk.stat(&self.file).is_err();
        if is_gone || Disk.read(&self.file, u64::from(u32::MAX)).is_ok_and(|text| text == self.text) {
            return error;
        }
        let rejected = store.dir().rejected();
        let kept = match set_aside(&Disk, &self.file, &rejected, &error.to_string(), clock::now().wall) {
            Ok(kept) => kept,
            // It cannot be moved: it stays.
            Err(_) => {
                self.dir = PathBuf::new();
                self.file.clone()
            }
        };
        let (message, code) = match &error {
            Error::Store(tachi_shared::Error::Rejected { line, column, reason, .. }) => {
                (format!("{}:{line}:{column}: {reason}", kept.display()), exit::FAILED)
            }
            Error::Store(tachi_shared::Error::NewerSchema { found, supported, .. }) => {
                let message =
                    format!("{} has schema {found}, this program knows up to {supported}", kept.display());
                (message, exit::FAILED)
            }
            other => (format!("{other}; what you wrote is kept as {}", kept.display()), other.exit_code()),
        };
        let original = self.original.display();
        let hint = format!("correct it, then `mv` it to {original}: what others wrote meanwhile is merged");
        Error::Refused { message, code, hint: Some(hint) }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if !self.dir.as_os_str().is_empty() {
            // A copy nobody needs any more costs space only.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
