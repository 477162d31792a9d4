//! The board on the log engine: catching up, judging and recording under the lock.

use std::path::Path;
use std::time::Duration;

use serde::de::IgnoredAny;

use super::judge::decide;
use super::{Board, Change, Task, TaskEvent, view};
use crate::clock::{Now, Timestamp};
use crate::error::{Context as _, Error, Result};
use crate::id::{Incarnation, InstanceId, Seq};
use crate::layout::{StateDir, Topic};
use crate::log::{Cursor, Durability, Entry, Gap, Log, LogReader, LogWriter};
use crate::os::doorbell::{Ring, ring};
use crate::os::place::{Sync, keep_refused, place, stamp_of};
use crate::os::{Disk, Stat, Storage};

/// Entries folded in one go.
const CHUNK: usize = 1024;
/// How long a view that somebody else writes is left to them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest foreign view kept, in bytes.
const VIEW_MAX: u64 = 256 * 1024 * 1024;

/// The board on a storage; keeps its fold and catches up incrementally.
pub struct TaskStore<S: Storage = Disk> {
    storage: S,
    dir: StateDir,
    log: Log<S>,
    fold: Fold<S>,
    shown: Option<(Seq, Stat)>,
}

/// The board with the reader that feeds it.
struct Fold<S: Storage> {
    /// Names the log once more, for reading alone: the other one is busy while its lock is held.
    log: Log<S>,
    reader: LogReader<S>,
    board: Board,
    skipped: u64,
}

impl<S: Storage> TaskStore<S> {
    /// Names the board; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let log = Log::new(storage.clone(), dir, Topic::Tasks);
        let reader = log.reader(Cursor::default());
        let fold = Fold {
            log: Log::new(storage.clone(), dir, Topic::Tasks),
            reader,
            board: Board::default(),
            skipped: 0,
        };
        Self { storage, dir: dir.clone(), log, fold, shown: None }
    }

    /// The same, with segments of another size.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.log = self.log.with_segment_bytes(bytes);
        self
    }

    /// The same board with another promise about power loss.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.log = self.log.with_durability(durability);
        self
    }

    /// Folds in what is new and returns the board. No lock.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn board(&mut self) -> Result<&Board> {
        self.fold.catch_up()?;
        Ok(&self.fold.board)
    }

    /// Entries that could not be folded (gaps, lines that are no task events): 0 on a healthy board.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.fold.skipped
    }

    /// Catches up, judges and records under the lock; returns the position of the last event written (the fence of a claim),
    /// or `None` if nothing had to be recorded.
    ///
    /// # Errors
    /// [`crate::Error::Refused`]; as [`crate::log::Log::append`].
    pub fn change(&mut self, change: &Change, now: Now, wait: Duration) -> Result<Option<Seq>> {
        let Self { log, fold, .. } = self;
        let last = log.locked(wait, |writer| {
            // First the end made good: a whole change that only lacks its newline counts from then on.
            writer.end()?;
            fold.catch_up()?;
            write(writer, &decide(&fold.board, change, now)?)
        })?;
        if last.is_some() {
            fold.catch_up()?;
        }
        Ok(last)
    }

    /// Claims the first ready task that `pick` accepts, if any. Does not touch the lock when there is none.
    ///
    /// # Errors
    /// As [`TaskStore::change`].
    pub fn claim_first(
        &mut self,
        (by, incarnation, boot_id): (&InstanceId, Incarnation, &str),
        now: Now,
        wait: Duration,
        pick: impl Fn(&Task, &Board) -> bool,
    ) -> Result<Option<Task>> {
        let Self { log, fold, .. } = self;
        let next = |board: &Board| board.ready().find(|task| pick(task, board)).map(|task| task.id.clone());
        fold.catch_up()?;
        if next(&fold.board).is_none() {
            return Ok(None);
        }
        let claimed = log.locked(wait, |writer| {
            writer.end()?;
            fold.catch_up()?;
            let Some(task) = next(&fold.board) else { return Ok(None) };
            let claim = Change::Claim {
                task: task.clone(),
                by: by.clone(),
                incarnation,
                boot_id: boot_id.to_owned(),
            };
            let fence = write(writer, &decide(&fold.board, &claim, now)?)?;
            Ok(Some((task, fence)))
        })?;
        fold.catch_up()?;
        // The lock was given back before the claim was folded in, and a machine may sleep in between for longer than a lease:
        // somebody else may own the task by now.
        let Some((id, Some(fence))) = claimed else { return Ok(None) };
        Ok(fold.board.held(&id, fence).cloned())
    }

    /// Rings every instance's doorbell but that of `except`: the board has work that it had not before.
    pub fn wake(&self, except: Option<&InstanceId>) {
        for name in self.storage.list(&self.dir.doorbells()).unwrap_or_default() {
            if name != "supervisor" && except.is_none_or(|id| id.as_str() != name) {
                ring(&self.dir.doorbells().join(name), Ring::Tasks);
            }
        }
    }

    /// Writes `tasks.json` if the board changed since this store wrote it last, or if somebody else wrote there; what they
    /// wrote is set aside first. For one writer, the supervisor, at most once a second.
    ///
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`]; the old view stays then.
    pub fn write_view(&mut self, now: Now) -> Result<ViewWritten> {
        self.fold.catch_up()?;
        let board = &self.fold.board;
        let path = self.dir.view(Topic::Tasks);
        let found = self.storage.stat(&path).ok();
        let ours = self.shown.filter(|(_, stat)| found == Some(*stat));
        let mut done = ViewWritten::default();
        if ours.is_some_and(|(seq, _)| seq == board.seq) {
            return Ok(done);
        }
        if let (Some(stat), None) = (found, ours) {
            // Its writer may be in the middle of it.
            let written =
                Timestamp::from_unix(i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default());
            if self.shown.is_some() && written.age(now.wall) < PATIENCE {
                return Ok(done);
            }
            done.rejected = self.keep_foreign(&path, now)?;
        }
        place(&self.storage, &self.dir.tmp(), &path, view::render(board).as_bytes(), Sync::Skip)?;
        let stat = self.storage.stat(&path).context("look at", &path)?;
        self.shown = Some((board.seq, stat));
        done.written = true;
        Ok(done)
    }

    /// Keeps a view that is not ours: what a predecessor left only if it does not parse, anything else always.
    fn keep_foreign(&self, path: &Path, now: Now) -> Result<Option<String>> {
        let bytes = match self.storage.read(path, VIEW_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.context("read", path)?,
        };
        let reason = match serde_json::from_slice::<IgnoredAny>(&bytes) {
            Ok(_) if self.shown.is_none() => return Ok(None),
            Ok(_) => {
                "it was edited by hand, but it is a view of tasks/ and nothing is read from it".to_owned()
            }
            Err(error) => error.to_string(),
        };
        let rejected = self.dir.rejected();
        let kept = keep_refused(&self.storage, path, &bytes, &rejected, &reason, &stamp_of(now.wall))?;
        Ok(Some(format!("{}: {reason}; kept as {}", path.display(), kept.display())))
    }
}

/// What [`TaskStore::write_view`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ViewWritten {
    /// Whether the view was written.
    pub written: bool,
    /// What was set aside, as a sentence.
    pub rejected: Option<String>,
}

impl<S: Storage> Fold<S> {
    fn fold(&mut self, entry: &Entry) {
        match entry {
            Entry::Record { seq, line } => match serde_json::from_str::<TaskEvent>(line) {
                Ok(event) => self.board.apply(*seq, &event),
                Err(_) => self.skipped = self.skipped.saturating_add(1),
            },
            // Numbers nobody ever saw.
            Entry::Gap(Gap::Epoch { .. }) => {}
            Entry::Gap(_) => self.skipped = self.skipped.saturating_add(1),
        }
    }

    fn catch_up(&mut self) -> Result<()> {
        let known = self.board.seq > Seq::START;
        loop {
            let entries = self.reader.read(CHUNK)?;
            if entries.is_empty() {
                return Ok(());
            }
            if known && entries.iter().any(is_doubtful) {
                return self.start_over();
            }
            entries.iter().for_each(|entry| self.fold(entry));
        }
    }

    /// Folds the whole log anew.
    fn start_over(&mut self) -> Result<()> {
        self.board = Board::default();
        self.skipped = 0;
        self.reader = self.log.reader(Cursor::default());
        loop {
            let entries = self.reader.read(CHUNK)?;
            if entries.is_empty() {
                return Ok(());
            }
            entries.iter().for_each(|entry| self.fold(entry));
        }
    }
}

/// Whether this may mean that the log was cut or replaced below what was folded: then what was folded may be gone and its
/// positions given again, and only a new fold is right. It costs one reading of the log, and happens after damage only.
fn is_doubtful(entry: &Entry) -> bool {
    match entry {
        Entry::Gap(Gap::Epoch { after, next }) => next <= after,
        Entry::Gap(Gap::Poison { .. } | Gap::Lagged { .. }) => true,
        Entry::Gap(Gap::Unnumbered { .. }) | Entry::Record { .. } => false,
    }
}

/// Appends the events as lines; `None` if there are none.
fn write<S: Storage>(writer: &mut LogWriter<'_, S>, events: &[TaskEvent]) -> Result<Option<Seq>> {
    if events.is_empty() {
        return Ok(None);
    }
    let lines: Vec<String> = events
        .iter()
        .map(serde_json::to_string)
        .collect::<serde_json::Result<_>>()
        .map_err(|error| Error::Refused(format!("the change cannot be written as JSON: {error}")))?;
    Ok(Some(writer.append(&lines)?.last))
}
