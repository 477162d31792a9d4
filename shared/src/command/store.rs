//! `commands/` on a storage: placing, taking, answering.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{COMMAND_TTL, Command, Reply};
use crate::clock::Timestamp;
use crate::error::{Context as _, Error, Result, bare};
use crate::id::{CommandId, Incarnation};
use crate::layout::StateDir;
use crate::os::place::{Sync, place, set_aside};
use crate::os::{Disk, Stat, Storage};

/// Largest command or reply, in bytes.
const LIMIT: u64 = 1024 * 1024;
/// How long an answer waits for whoever asked.
const REPLY_TTL: Duration = Duration::from_secs(60);
/// How long a command that does not parse may belong to somebody who is still writing it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Makes the ids of one process distinct.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Whether `command` is still to be carried out, by the supervisor `me`; else why not, for the reply.
///
/// # Errors
/// The reason, as one sentence.
pub fn judge(command: &Command, me: Incarnation, now: Timestamp) -> std::result::Result<(), String> {
    if let Some(meant) = command.supervisor.filter(|meant| *meant != me) {
        return Err(format!("it was meant for supervisor {meant}, this is supervisor {me}; ask again"));
    }
    match command.expires_at {
        Some(end) if end < now => Err(format!("it came too late: it was valid until {end}; ask again")),
        _ => Ok(()),
    }
}

/// `commands/` on a storage.
pub struct CommandBox<S: Storage = Disk> {
    storage: S,
    dir: StateDir,
}

impl<S: Storage> CommandBox<S> {
    /// Names the door; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        Self { storage, dir: dir.clone() }
    }

    /// Places a command under a new id.
    ///
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn place(&self, command: &Command) -> Result<CommandId> {
        // The time tells it from an earlier process with the same pid, so that no old answer is taken for ours.
        let (time, pid) = (self.storage.now().wall.unix(), std::process::id());
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = CommandId::new(&format!("cmd-{time}-{pid}-{number}"))?;
        let command = Command { id: Some(id.clone()), ..command.clone() };
        self.write(&self.dir.command(&id), &command)?;
        Ok(id)
    }

    /// Takes every command lying there, oldest first; what cannot be read is set aside in `rejected/` and returned as text.
    /// A taken command's file is removed before it is returned, so none is carried out twice; `id` and `expires_at` are
    /// filled in. Old answers nobody took are removed on the way.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn take(&self, now: Timestamp) -> Result<Vec<std::result::Result<(CommandId, Command), String>>> {
        let dir = self.dir.commands();
        let mut found: Vec<(i128, String, Stat)> = Vec::new();
        for name in self.storage.list(&dir).context("list", &dir)? {
            if !name.ends_with(".json") || name.starts_with('.') {
                continue;
            }
            let path = dir.join(&name);
            let Ok(stat) = self.storage.stat(&path) else { continue };
            if !name.ends_with(".reply.json") {
                found.push((stat.mtime_ns, name, stat));
            } else if placed_at(&stat).age(now) > REPLY_TTL {
                self.remove(&path)?;
            }
        }
        found.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut taken = Vec::new();
        for (_, name, stat) in found {
            taken.extend(self.take_one(&dir.join(&name), &name, placed_at(&stat), now)?);
        }
        Ok(taken)
    }

    /// Places the answer.
    ///
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn answer(&self, reply: &Reply) -> Result<()> {
        self.write(&self.dir.reply(&reply.id), reply)
    }

    /// Takes the answer to `id`, if it is there.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::Rejected`].
    pub fn take_reply(&self, id: &CommandId) -> Result<Option<Reply>> {
        let path = self.dir.reply(id);
        let reply = match self.read(&path)? {
            None => return Ok(None),
            Some(read) => read.map_err(|(line, column, reason)| Error::Rejected {
                path: path.clone(),
                line,
                column,
                reason,
            })?,
        };
        self.remove(&path)?;
        Ok(Some(reply))
    }

    fn take_one(
        &self,
        path: &Path,
        name: &str,
        placed: Timestamp,
        now: Timestamp,
    ) -> Result<Option<std::result::Result<(CommandId, Command), String>>> {
        let id = CommandId::new(name.strip_suffix(".json").unwrap_or(name));
        let read = match self.read::<Command>(path) {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(command))) => Ok(command),
            // Written in place by hand, it may be half there.
            Ok(Some(Err(_))) if placed.age(now) < PATIENCE => return Ok(None),
            Ok(Some(Err((line, column, reason)))) => Err(format!("{line}:{column}: {reason}")),
            Err(error) => Err(error.to_string()),
        };
        let reason = match (id, read) {
            (Ok(id), Ok(mut command)) => {
                self.remove(path)?;
                command.id = Some(id.clone());
                command.expires_at.get_or_insert(placed.after(COMMAND_TTL));
                return Ok(Some(Ok((id, command))));
            }
            (Err(error), _) => error.to_string(),
            (_, Err(reason)) => reason,
        };
        let kept = match set_aside(&self.storage, path, &self.dir.rejected(), &reason, now) {
            Ok(kept) => format!("kept as {}", kept.display()),
            Err(error) => format!("it stays where it is: {error}"),
        };
        Ok(Some(Err(format!("command {name} was not taken: {reason}; {kept}"))))
    }

    fn write<T: Serialize>(&self, path: &Path, value: &T) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::Refused(format!("the command cannot be written as JSON: {error}")))?;
        place(&self.storage, &self.dir.tmp(), path, format!("{text}\n").as_bytes(), Sync::Skip)
    }

    /// `None` = no such file; the inner error says where and why the text was not accepted.
    #[expect(clippy::type_complexity, reason = "two kinds of trouble: the system's and the text's")]
    fn read<T: DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<std::result::Result<T, (usize, usize, String)>>> {
        match self.storage.read(path, LIMIT) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Io { operation: "read", path: path.to_owned(), source: error }),
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes).map_err(|error| (error.line(), error.column(), bare(&error))),
            )),
        }
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match self.storage.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", path, error))
            }
            _ => Ok(()),
        }
    }
}

/// When a file was placed, as its modification time has it.
fn placed_at(stat: &Stat) -> Timestamp {
    Timestamp::from_unix(i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default())
}
