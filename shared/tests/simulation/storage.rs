//! The storage port on the simulated machine.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tachi_shared::clock::{Mono, Now, Timestamp};
use tachi_shared::os::{Handle, OpenMode, Stat, Storage};
use tachi_shared::{Error, Result};

use crate::plan::Mutant;
use crate::world::{Fate, Inside, Stage, World};

/// Wall time of the start of the machine's clock.
const BEGINNING: i64 = 1_700_000_000;

/// The machine as one process sees it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) world: Arc<World>,
    pub(crate) me: usize,
}

pub(crate) struct SimFile {
    machine: Machine,
    ino: u64,
    position: Cell<u64>,
}

pub(crate) struct SimLock {
    machine: Machine,
    path: PathBuf,
    number: u64,
}

impl Machine {
    /// One call: a turn in which this process may die before or after.
    pub(crate) fn call<T>(&self, act: impl FnOnce(&mut Inside) -> T) -> T {
        let mut inside = self.world.my_turn(self.me);
        match inside.fate(self.me) {
            Fate::Before => self.world.die(self.me, inside),
            Fate::After => {
                act(&mut inside);
                self.world.die(self.me, inside)
            }
            Fate::Lives => {
                let done = act(&mut inside);
                self.world.pass(inside);
                done
            }
        }
    }

    /// Looks at or notes something that is no call: nothing happens, and the turn stays.
    pub(crate) fn look<T>(&self, act: impl FnOnce(&mut Inside) -> T) -> T {
        act(&mut self.world.my_turn(self.me))
    }

    pub(crate) fn chance(&self, part: u64, whole: u64) -> bool {
        self.look(|inside| inside.random.chance(part, whole))
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.look(|inside| inside.random.below(end))
    }

    /// A call that may fail with `error` having done nothing.
    fn risky<T>(
        &self,
        error: io::ErrorKind,
        act: impl FnOnce(&mut Inside) -> io::Result<T>,
    ) -> io::Result<T> {
        self.call(|inside| if inside.fails() { Err(io::Error::from(error)) } else { act(inside) })
    }
}

fn stat_of(inside: &Inside, ino: u64) -> Stat {
    let inode = inside.files.inode(ino);
    let nlink = inside.files.links(ino);
    Stat { dev: 1, ino, nlink, size: inode.data.len() as u64, mtime_ns: inode.mtime_ns }
}

/// A segment goes: what was in it can be missed from now on.
fn note_dropped(inside: &mut Inside, ino: u64) {
    let bytes = inside.files.inode(ino).data.clone();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        if let (Some(seq), Some(id)) = (value["seq"].as_u64(), value["id"].as_str()) {
            inside.ledger.dropped.insert(seq, id.to_owned());
        }
    }
}

/// Wall time in nanoseconds, a little different at each call so that changed files differ.
fn stamp(inside: &Inside) -> i128 {
    i128::from(BEGINNING) * 1_000_000_000 + i128::try_from(inside.clock.as_nanos()).unwrap()
}

impl Handle for SimFile {
    fn stat(&self) -> io::Result<Stat> {
        self.machine.call(|inside| Ok(stat_of(inside, self.ino)))
    }

    fn tell(&self) -> io::Result<u64> {
        Ok(self.position.get())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.machine.call(|inside| {
            inside.blinks()?;
            let data = &inside.files.inode(self.ino).data;
            let from = data.len().min(usize::try_from(offset).unwrap());
            let count = buffer.len().min(data.len() - from);
            buffer[..count].copy_from_slice(&data[from..from + count]);
            Ok(count)
        })
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let machine = &self.machine;
        let mut inside = machine.world.my_turn(machine.me);
        let now = stamp(&inside);
        let write = |inside: &mut Inside, count: usize| {
            let inode = inside.files.inode_mut(self.ino);
            inode.data.extend_from_slice(&bytes[..count]);
            inode.mtime_ns = now;
            self.position.set(inode.data.len() as u64);
        };
        match inside.fate(machine.me) {
            Fate::Before => machine.world.die(machine.me, inside),
            Fate::After => {
                // Killed in the middle: what was written ends at a page of the file, or is all of it.
                let start = inside.files.inode(self.ino).data.len() as u64;
                let (page, end) = (inside.plan.page, start + bytes.len() as u64);
                let edge = start + inside.random.below(end - start + 1);
                let edge = if edge == end { end } else { (edge / page * page).max(start) };
                write(&mut inside, usize::try_from(edge - start).unwrap());
                machine.world.die(machine.me, inside)
            }
            Fate::Lives if inside.fails() => {
                let count = usize::try_from(inside.random.below(bytes.len() as u64)).unwrap();
                write(&mut inside, count);
                machine.world.pass(inside);
                if count == 0 { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(count) }
            }
            Fate::Lives => {
                write(&mut inside, bytes.len());
                machine.world.pass(inside);
                Ok(bytes.len())
            }
        }
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.machine.risky(io::ErrorKind::Other, |inside| {
            let now = stamp(inside);
            let inode = inside.files.inode_mut(self.ino);
            inode.data.resize(usize::try_from(size).unwrap(), 0);
            inode.mtime_ns = now;
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.machine.risky(io::ErrorKind::Other, |inside| {
            if inside.plan.mutant != Some(Mutant::NoSync) {
                inside.files.sync(self.ino);
            }
            Ok(())
        })
    }
}

impl Storage for Machine {
    type File = SimFile;
    type Lock = SimLock;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let open = |inside: &mut Inside| {
            inside.blinks()?;
            if mode != OpenMode::Create {
                return inside.files.find(path);
            }
            let ino = inside.files.create(path)?;
            // Temporary names count on over all runs of this program.
            if path.extension().is_none_or(|ending| ending != "tmp") {
                inside.ledger.note(|| format!("{} creates {}", self.me, path.display()));
            }
            inside.files.inode_mut(ino).mtime_ns = stamp(inside);
            Ok(ino)
        };
        let ino = match mode {
            OpenMode::Create => self.risky(io::ErrorKind::StorageFull, open)?,
            OpenMode::Read | OpenMode::Append => self.call(open)?,
        };
        Ok(SimFile { machine: self.clone(), ino, position: Cell::new(0) })
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.call(|inside| Ok(stat_of(inside, inside.files.find(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(|inside| {
            inside.blinks()?;
            inside.files.list(dir)
        })
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|inside| inside.files.make_dir(path));
        Ok(())
    }

    fn keep_access(&self, like: &Path, _path: &Path) -> io::Result<()> {
        self.call(|inside| inside.files.find(like).map(drop))
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        self.call(|inside| {
            let (ino, now) = (inside.files.find(path)?, stamp(inside));
            inside.files.inode_mut(ino).mtime_ns = now;
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.risky(io::ErrorKind::Other, |inside| {
            inside.ledger.note(|| format!("{} replaces {}", self.me, to.display()));
            inside.files.rename(from, to)
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.risky(io::ErrorKind::Other, |inside| {
            let looks = inside.plan.exchanges && inside.plan.mutant != Some(Mutant::PlacesOver);
            if looks && inside.files.find(to).is_ok() {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            inside.ledger.note(|| format!("{} places {}", self.me, to.display()));
            inside.files.rename(from, to)
        })
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        self.risky(io::ErrorKind::Other, |inside| {
            if !inside.plan.exchanges {
                return Err(io::Error::from(io::ErrorKind::Unsupported));
            }
            inside.ledger.note(|| format!("{} exchanges {}", self.me, b.display()));
            inside.files.exchange(a, b)?;
            if inside.plan.mutant == Some(Mutant::ReplacedIsGone) {
                let ino = inside.files.find(a)?;
                inside.files.inode_mut(ino).data.clear();
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|inside| {
            if path.extension().is_none_or(|ending| ending != "tmp") {
                inside.ledger.note(|| format!("{} removes {}", self.me, path.display()));
            }
            if path.parent().is_some_and(|dir| dir.ends_with("messages")) {
                let ino = inside.files.find(path)?;
                note_dropped(inside, ino);
            }
            inside.files.remove(path)
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.risky(io::ErrorKind::Other, |inside| {
            inside.ledger.note(|| format!("{} syncs {}", self.me, dir.display()));
            if inside.plan.mutant != Some(Mutant::NoSync) {
                inside.files.sync_dir(dir);
            }
            Ok(())
        })
    }

    fn now(&self) -> Now {
        let clock = self.look(|inside| inside.clock);
        Now { wall: Timestamp::from_unix(BEGINNING).after(clock), mono: Mono::ZERO.after(clock) }
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.look(|inside| inside.boot))
    }

    fn pause(&self, time: Duration) {
        let mut inside = self.world.my_turn(self.me);
        if inside.calm {
            inside.clock += time;
            return;
        }
        inside.stages[self.me] = Stage::Sleep(inside.clock + time);
        self.world.pass(inside);
        let mut inside = self.world.my_turn(self.me);
        inside.stages[self.me] = Stage::Runnable;
        self.world.pass(inside);
    }

    fn lock(&self, path: &Path, _purpose: &str, wait: Duration) -> Result<SimLock> {
        let path = path.to_owned();
        let deadline = self.look(|inside| inside.clock) + wait;
        loop {
            let mut inside = self.world.my_turn(self.me);
            if let Some(stage) = inside.stages.get_mut(self.me) {
                *stage = Stage::Runnable;
            }
            if let Fate::Before | Fate::After = inside.fate(self.me) {
                self.world.die(self.me, inside);
            }
            if let Some(number) = inside.take_lock(self.me, &path) {
                if inside.plan.mutant == Some(Mutant::UnlockBeforeWrite) {
                    inside.free_lock(self.me, &path, number);
                }
                self.world.pass(inside);
                return Ok(SimLock { machine: self.clone(), path, number });
            }
            if inside.clock >= deadline || inside.calm {
                self.world.pass(inside);
                return Err(Error::LockTimeout { lock: path, waited: wait, holder: "somebody".to_owned() });
            }
            inside.stages[self.me] = Stage::Lock(path.clone(), deadline);
            self.world.pass(inside);
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The process died, and its locks with it.
            return;
        }
        let Machine { world, me } = &self.machine;
        let mut inside = world.my_turn(*me);
        inside.free_lock(*me, &self.path, self.number);
        world.pass(inside);
    }
}
