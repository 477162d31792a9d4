//! The doors that hands use: commands placed by `mv`, the stop file, and hints that something else was edited.
//!
//! One watcher on five directories tells where to look; it only sets bits and wakes the loop. Every door is looked at by
//! the slow tick as well, so a lost hint costs seconds, not correctness. Where no watcher can be had, the tick comes every
//! second instead and the event log says so once. Opening what is watched wakes the watcher: an idle fleet asks `stat` first.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::Map;
use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::command::{Command, CommandBox, Reply, judge};
use tachi_shared::id::{CommandId, Incarnation};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::os::place::{Sync, place};
use tachi_shared::os::watch::{Hint, Watch};
use tachi_shared::os::{Disk, Storage as _};
use tachi_shared::store::Store;

use crate::fleet::Event;

/// Look at the registry.
pub(super) const REGISTRY: u8 = 1;
/// Look at the stop file.
pub(super) const STOP: u8 = 2;
/// Look for commands.
pub(super) const COMMANDS: u8 = 4;
/// Look at views, spool and queue.
pub(super) const HOUSE: u8 = 8;
/// Sync the registry.
pub(super) const SYNC: u8 = 16;
/// Look everywhere.
const ALL: u8 = REGISTRY | STOP | COMMANDS | HOUSE;

/// Longest stop text read.
const TEXT_MAX: u64 = 1000;
/// Between two looks at the doors when the watcher works, and when there is none.
const TICK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// What a look at the command door brought.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// For the mind.
    pub(super) events: Vec<Event>,
    /// Commands that may not be carried out, with their refusal.
    pub(super) refused: Vec<Reply>,
    /// Files that could not be read, as sentences.
    pub(super) rejected: Vec<String>,
}

/// The doors of one state directory.
pub(super) struct Doors {
    dir: StateDir,
    commands: CommandBox,
    incarnation: Incarnation,
    hints: Arc<AtomicU8>,
    wake: Arc<OwnedFd>,
    watch: Option<Watch>,
    stopped: bool,
    empty: Empty,
}

/// A directory that was found empty, by its identity and time.
#[derive(Debug, Default)]
struct Empty {
    seen: Option<((u64, i128), Mono)>,
    sure: bool,
}

impl Empty {
    /// Whether there is nothing in `dir`; once that is sure, without opening it. Within one step of the file system's clock
    /// a directory may change twice and show the same time, so it is listed twice, a moment apart.
    fn is_empty(&mut self, dir: &Path, now: Mono) -> bool {
        let Ok(version) = Disk.stat(dir).map(|stat| (stat.ino, stat.mtime_ns)) else { return false };
        let since = self.seen.filter(|(seen, _)| *seen == version).map(|(_, since)| since);
        if since.is_some() && self.sure {
            return true;
        }
        let empty = Disk.list(dir).is_ok_and(|names| names.is_empty());
        self.seen = empty.then(|| (version, since.unwrap_or(now)));
        self.sure = empty && since.is_some_and(|since| now.since(since) >= TICK.1);
        empty
    }
}

impl Doors {
    /// Opens the doors; the sentence says why there is no watcher. On a network file system none is tried: it would see
    /// what this machine does and nothing else. `wake` wakes the loop; what the house alone has to look at is told to it by
    /// `house` directly: messages come by the thousand, and the loop has nothing to do with them.
    pub(super) fn open(
        store: &Store,
        incarnation: Incarnation,
        network: Option<&str>,
        wake: Arc<OwnedFd>,
        house: impl Fn() + Send + 'static,
    ) -> (Self, Option<String>) {
        let dir = store.dir().clone();
        let hints = Arc::new(AtomicU8::new(ALL));
        let (watch, trouble) = watched(network, || watch(&dir, &hints, &wake, house));
        let stopped = dir.stop().exists();
        let commands = store.commands();
        let empty = Empty::default();
        (Self { dir, commands, incarnation, hints, wake, watch, stopped, empty }, trouble)
    }

    /// Becomes readable when there are hints.
    pub(super) fn wake(&self) -> impl AsFd {
        self.wake.as_fd()
    }

    /// Where to look now.
    pub(super) fn hints(&self) -> u8 {
        let mut counter = [0; 8];
        // Nothing to read is fine: the bits decide.
        let _ = rustix::io::read(&*self.wake, &mut counter);
        self.hints.swap(0, Ordering::AcqRel)
    }

    /// Where to look without hints, when it is time to. With a watcher the house looks by itself.
    pub(super) fn unhinted(&mut self, now: Mono) -> u8 {
        if self.watch.is_none() {
            return ALL;
        }
        let commands = if self.empty.is_empty(&self.dir.commands(), now) { 0 } else { COMMANDS };
        REGISTRY | STOP | commands
    }

    /// How often to look without hints.
    pub(super) fn tick(&self) -> Duration {
        tick(self.watch.as_ref())
    }

    /// Whether the stop file is there.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Looks for the stop file.
    pub(super) fn look_for_stop(&mut self) -> Option<Event> {
        let text = read_text(&self.dir.stop());
        let present = text.is_some();
        if std::mem::replace(&mut self.stopped, present) == present {
            return None;
        }
        Some(Event::StopFile { present, text: text.unwrap_or_default() })
    }

    /// Writes the stop file.
    pub(super) fn latch(&mut self, text: &str) -> tachi_shared::Result<()> {
        self.stopped = true;
        place(&Disk, &self.dir.tmp(), &self.dir.stop(), format!("{text}\n").as_bytes(), Sync::DataAndName)
    }

    /// Removes the stop file.
    pub(super) fn clear(&mut self) -> tachi_shared::Result<()> {
        self.stopped = false;
        let path = self.dir.stop();
        match Disk.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(tachi_shared::Error::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Takes the commands lying there.
    pub(super) fn take_commands(&self, now: Now) -> Asked {
        let mut asked = Asked::default();
        match self.commands.take(now.wall) {
            Err(error) => asked.rejected.push(error.to_string()),
            Ok(taken) => {
                for command in taken {
                    match command {
                        Err(why) => asked.rejected.push(why),
                        Ok((id, command)) => match refusal(&command, self.incarnation, now.wall) {
                            Some((code, why)) => asked.refused.push(reply(id, code, why, now.wall)),
                            None => {
                                let Command { verb, from, .. } = command;
                                asked.events.push(Event::Command { command: id, verb, from });
                            }
                        },
                    }
                }
            }
        }
        asked
    }

    /// Places an answer.
    pub(super) fn answer(&self, reply: &Reply) -> tachi_shared::Result<()> {
        self.commands.answer(reply)
    }
}

/// Why a command may not be carried out, with the caller's exit code: 5 = that supervisor is gone, 6 = too late.
fn refusal(command: &Command, ours: Incarnation, now: Timestamp) -> Option<(i32, String)> {
    let why = judge(command, ours, now).err()?;
    let gone = command.supervisor.is_some_and(|meant| meant != ours);
    Some((if gone { 5 } else { 6 }, why))
}

fn reply(id: CommandId, code: i32, message: String, at: Timestamp) -> Reply {
    Reply { id, ok: false, code, message, details: Map::new(), at }
}

/// The beginning of a file as text, if it is there.
fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    match OpenOptions::new().read(true).open(path) {
        Ok(file) => file.take(TEXT_MAX).read_to_end(&mut bytes).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        // Present, and unreadable: present.
        Err(_) => None,
    };
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The watcher if one can be had, else why not.
fn watched<W>(
    network: Option<&str>,
    watch: impl FnOnce() -> tachi_shared::Result<W>,
) -> (Option<W>, Option<String>) {
    if let Some(name) = network {
        let text = format!(
            "the state directory is on a network file system ({name}): looking every second instead of watching; what other \
             machines do to it, and their crashes, are not covered"
        );
        return (None, Some(text));
    }
    match watch() {
        Ok(watch) => (Some(watch), None),
        Err(error) => (None, Some(format!("no watcher, looking every second instead: {error}"))),
    }
}

fn tick<W>(watch: Option<&W>) -> Duration {
    if watch.is_some() { TICK.0 } else { TICK.1 }
}

fn watch(
    dir: &StateDir,
    hints: &Arc<AtomicU8>,
    wake: &Arc<OwnedFd>,
    house: impl Fn() + Send + 'static,
) -> tachi_shared::Result<Watch> {
    let dirs = [
        dir.root().to_owned(),
        dir.commands(),
        dir.spool(),
        dir.segments(Topic::Messages),
        dir.segments(Topic::Tasks),
    ];
    let (dir, hints, wake) = (dir.clone(), Arc::clone(hints), Arc::clone(wake));
    Watch::start(&dirs, move |hint| {
        let bits = match hint {
            Hint::Rescan => ALL,
            Hint::Changed(path) => bits(&dir, &path),
        };
        if bits & HOUSE != 0 {
            house();
        }
        let bits = bits & !HOUSE;
        if bits != 0 && hints.fetch_or(bits, Ordering::AcqRel) & bits != bits {
            ring(&wake);
        }
    })
}

/// Wakes the loop; a full counter wakes just as well.
pub(super) fn ring(wake: &OwnedFd) {
    let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
}

/// Where a changed path asks to look.
fn bits(dir: &StateDir, path: &Path) -> u8 {
    if path == dir.registry() {
        REGISTRY | SYNC
    } else if path == dir.stop() {
        STOP
    } else if path.parent() == Some(&dir.commands()) {
        let reply = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".reply.json"));
        if reply { 0 } else { COMMANDS }
    } else if path == dir.memory()
        || path == dir.view(Topic::Messages)
        || path == dir.view(Topic::Tasks)
        || path.parent().is_some_and(|parent| parent != dir.root())
    {
        HOUSE
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachi_shared::command::Verb;

    #[test]
    fn a_hint_says_where_to_look_and_replies_of_ours_are_no_hints() {
        let dir = StateDir::new("/s");
        for (path, expected) in [
            ("/s/registry.json", REGISTRY | SYNC),
            ("/s/stop", STOP),
            ("/s/commands/x.json", COMMANDS),
            ("/s/commands/x.reply.json", 0),
            ("/s/messages/00000001.jsonl", HOUSE),
            ("/s/messages.json", HOUSE),
            ("/s/spool/a.json", HOUSE),
            ("/s/memory.json", HOUSE),
            ("/s/other.json", 0),
        ] {
            assert_eq!(bits(&dir, Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn p62_a_directory_that_stays_empty_is_not_opened_again_and_whatever_comes_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (mut empty, mut now) = (Empty::default(), Mono::ZERO.after(TICK.0));
        assert!(empty.is_empty(dir.path(), now) && !empty.sure);
        now = now.after(TICK.0);
        assert!(empty.is_empty(dir.path(), now) && empty.sure);
        std::fs::write(dir.path().join("x.json"), "{").unwrap();
        assert!(!empty.is_empty(dir.path(), now));
        std::fs::remove_file(dir.path().join("x.json")).unwrap();
        assert!(empty.is_empty(dir.path(), now) && !empty.sure, "it may change again within this moment");
    }

    #[test]
    fn s22_without_a_watcher_the_doors_are_looked_at_every_second_and_that_is_told_once() {
        let exhausted = || {
            let source = std::io::Error::from_raw_os_error(24);
            Err(tachi_shared::Error::io("watch", Path::new("/s"), source))
        };
        let (watch, told) = watched::<()>(None, exhausted);
        assert_eq!(tick(watch.as_ref()), Duration::from_secs(1));
        assert!(told.unwrap().contains("Too many open files"));
        let (watch, told) = watched(Some("nfs"), || -> tachi_shared::Result<()> { panic!("it was tried") });
        assert_eq!((watch, tick(watch.as_ref())), (None, Duration::from_secs(1)));
        assert!(told.unwrap().contains("(nfs)"));
        assert_eq!(watched(None, || Ok(())), (Some(()), None));
        assert_eq!(tick(Some(&())), Duration::from_secs(5));
    }

    #[test]
    fn commands_for_another_supervisor_or_out_of_date_are_refused() {
        let command = |supervisor: Option<u32>, expires: Option<i64>| Command {
            id: None,
            verb: Verb::Down,
            from: "operator".to_owned(),
            supervisor: supervisor.map(Incarnation),
            expires_at: expires.map(Timestamp::from_unix),
        };
        let now = Timestamp::from_unix(100);
        let code = |command: &Command| refusal(command, Incarnation(2), now).map(|(code, _)| code);
        assert_eq!(code(&command(None, None)), None);
        assert_eq!(code(&command(Some(2), Some(101))), None);
        assert_eq!(code(&command(Some(1), None)), Some(5));
        assert_eq!(code(&command(None, Some(99))), Some(6));
    }
}
