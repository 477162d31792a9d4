//! `messages.json`: the newest messages for people, and a box for those who write the original format.
//!
//! Format: `{"messages":[…]}`, the newest 200 (at most 4 MiB), one a line. Writer: the supervisor under `view.lock`, at most
//! once a second and only if something changed; anybody else may rewrite it without a lock. Elements without `seq` are
//! taken into the queue once; a malformed one is set aside alone; removals mean nothing. The file that a render replaces
//! is looked at again for [`HOLD`], so that a rewrite that crosses the render is not lost. A file that does not parse is
//! left alone for [`PATIENCE`] (its writer may be at it), then set aside whole. Everything here can be made again from the
//! queue: a crash between import and render shows the same elements again, and they are counted as what they are.

use std::path::Path;
use std::time::Duration;

use super::import::{self, Import};
use super::message::Message;
use super::store::Queue;
use super::{Draft, check_recipient};
use crate::clock::Now;
use crate::error::{Context as _, Result};
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::log::{Cursor, Limits, LogReader};
use crate::os::place::{Sync, keep_refused, set_aside, swap};
use crate::os::{Disk, Stat, Storage};
use crate::registry::Registry;

/// Messages in the view.
const SHOWN: usize = 200;
/// Largest view we render, in bytes; older messages are left out above it.
const VIEW_MAX: usize = 4 * 1024 * 1024;
/// Largest file we take in, in bytes.
const BOX_MAX: u64 = 16 * 1024 * 1024;
/// How far back echoes are looked for, in messages: an older copy of the view counts as new text.
pub(super) const MEMORY: u64 = 10_000;
/// How long a file that does not parse may belong to somebody who is still writing it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a replaced file is looked at for a rewrite that crossed the render.
const HOLD: Duration = Duration::from_secs(5);
/// How many replaced files are looked at; renders come at most once a second.
const HELD_MAX: usize = 8;
/// How long the queue's lock is waited for. The view never makes its owner late.
pub(super) const WAIT: Duration = Duration::from_millis(50);

/// The messages as the text of the view.
#[must_use]
pub fn render(messages: &[Message]) -> String {
    let mut lines = Vec::new();
    let mut size = 0;
    for message in messages.iter().rev().take(SHOWN) {
        let Ok(line) = serde_json::to_string(message) else { continue };
        size += line.len() + 2;
        if size > VIEW_MAX {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    let end = if lines.is_empty() { "" } else { "\n" };
    format!("{{\"messages\":[{end}{}{end}]}}\n", lines.join(",\n"))
}

/// What one [`View::refresh`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Messages taken into the queue.
    pub imported: usize,
    /// What was set aside, one sentence each.
    pub rejected: Vec<String>,
    /// What was taken but looks wrong (recipients nobody knows), one sentence each.
    pub warnings: Vec<String>,
    /// Whether the view was rewritten.
    pub rendered: bool,
}

/// The keeper of the view: one per supervisor.
pub struct View<S: Storage = Disk> {
    pub(super) storage: S,
    pub(super) dir: StateDir,
    pub(super) queue: Queue<S>,
    placed: Option<Placed>,
    /// Looks for lines that hands appended to the segments.
    pub(super) lines: Option<LogReader<S>>,
    held: Vec<Held<S::File>>,
}

/// The file as we left it.
struct Placed {
    stat: Stat,
    /// End of the queue when it was rendered.
    end: Seq,
    text: String,
}

/// A replaced file, kept open.
struct Held<F> {
    file: F,
    seen: String,
    since: Now,
}

impl<S: Storage> View<S> {
    /// Names the view; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let queue = Queue::new(storage.clone(), dir);
        Self { storage, dir: dir.clone(), queue, placed: None, lines: None, held: Vec::new() }
    }

    /// The same, with an end to the growth of the queue it writes to.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.queue = self.queue.with_limits(limits);
        self
    }

    /// Takes in what others wrote and renders anew if anything changed. Does not wait for `view.lock`.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`] (somebody else is at it: try later), [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn refresh(&mut self, registry: Option<&Registry>, now: Now) -> Result<Refreshed> {
        let _lock = self.storage.lock(&self.dir.lock("view"), "render the view", Duration::ZERO)?;
        let mut done = Refreshed::default();
        self.take_spool(registry, now, &mut done)?;
        self.take_lines(registry, now, &mut done)?;
        self.take_held(registry, now, &mut done)?;
        let path = self.dir.view(Topic::Messages);
        let found = self.storage.stat(&path).ok();
        let ours = self.placed.as_ref().filter(|placed| found == Some(placed.stat));
        let seen = match (found, ours) {
            (None, _) => String::new(),
            (Some(_), Some(placed)) if placed.end == self.queue.end()?.seq => return Ok(done),
            (Some(_), Some(placed)) => placed.text.clone(),
            (Some(_), None) => match self.take_box(&path, registry, now, &mut done)? {
                Some(text) => text,
                None => return Ok(done),
            },
        };
        self.render(&path, seen, now)?;
        done.rendered = true;
        // A rewrite that crossed the render is taken in at once if it is complete.
        self.take_held(registry, now, &mut done)?;
        Ok(done)
    }

    /// Takes in `messages.json`; `None` = it does not parse and may still be in the making.
    fn take_box(
        &mut self,
        path: &Path,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<Option<String>> {
        let (text, parsed) = match self.read(path, now) {
            Err(error) if error.is_not_found() => return Ok(Some(String::new())),
            Err(error) => return Err(error),
            Ok(read) => read,
        };
        match parsed {
            Ok(import) => self.take(import, path, registry, done)?,
            Err(_) if self.is_fresh(path, now) => return Ok(None),
            Err(reason) => self.set_aside(path, &reason, now, done)?,
        }
        Ok(Some(text))
    }

    /// Looks again at what the last renders replaced.
    fn take_held(&mut self, registry: Option<&Registry>, now: Now, done: &mut Refreshed) -> Result<()> {
        let path = self.dir.view(Topic::Messages);
        let mut still = Vec::new();
        for mut held in std::mem::take(&mut self.held) {
            let text = contents(&held.file, &path)?;
            if text != held.seen
                && let Ok(import) = import::parse(&text, now.wall)
            {
                self.take(import, &path, registry, done)?;
                held.seen = text;
            }
            if now.mono.since(held.since.mono) < HOLD {
                still.push(held);
            }
        }
        still.append(&mut self.held);
        self.held = still;
        Ok(())
    }

    /// Sends what is new in `import` and sets aside what cannot be taken.
    fn take(
        &mut self,
        import: Import,
        path: &Path,
        registry: Option<&Registry>,
        done: &mut Refreshed,
    ) -> Result<()> {
        self.refuse(path, &import, done)?;
        if import.fresh.is_empty() {
            return Ok(());
        }
        let end = self.queue.end()?.seq;
        let since = import.oldest(end).max(Seq(end.0.saturating_sub(MEMORY)));
        let before = Cursor { seq: Seq(since.0.saturating_sub(1)), ..Cursor::default() };
        let (messages, _) = self.queue.messages(before, usize::MAX)?;
        let drafts = import.missing(&import::count(&messages), since, end.next());
        if drafts.is_empty() {
            return Ok(());
        }
        warn(&drafts, registry, done);
        self.queue.post(&drafts, WAIT)?;
        done.imported += drafts.len();
        Ok(())
    }

    /// Replaces the view; `seen` is what was taken in of the file it replaces.
    fn render(&mut self, path: &Path, seen: String, now: Now) -> Result<()> {
        let end = self.queue.end()?.seq;
        let text = render(&self.queue.newest(SHOWN)?);
        let swapped = swap(&self.storage, &self.dir.tmp(), path, text.as_bytes(), Sync::Skip)?;
        self.placed = Some(Placed { stat: swapped.placed, end, text });
        if let Some(file) = swapped.replaced {
            self.held.push(Held { file, seen, since: now });
            if self.held.len() > HELD_MAX {
                self.held.remove(0);
            }
        }
        Ok(())
    }

    pub(super) fn read(
        &self,
        path: &Path,
        now: Now,
    ) -> Result<(String, std::result::Result<Import, String>)> {
        let size = self.storage.stat(path).context("look at", path)?.size;
        if size > BOX_MAX {
            return Ok((String::new(), Err(format!("1:1: {size} bytes, the limit is {BOX_MAX}"))));
        }
        let bytes = self.storage.read(path, BOX_MAX).context("read", path)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => {
                let parsed = import::parse(&text, now.wall);
                (text, parsed)
            }
            Err(error) => (String::new(), Err(format!("1:1: not UTF-8: {error}"))),
        })
    }

    /// Whether the file was changed a moment ago, so that its writer may not have finished.
    pub(super) fn is_fresh(&self, path: &Path, now: Now) -> bool {
        let Ok(stat) = self.storage.stat(path) else { return true };
        let seconds = i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default();
        crate::clock::Timestamp::from_unix(seconds).age(now.wall) < PATIENCE
    }

    pub(super) fn refuse(&self, path: &Path, import: &Import, done: &mut Refreshed) -> Result<()> {
        if import.refused.is_empty() {
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rejected = self.dir.rejected();
        let kept = self.storage.list(&rejected).context("list", &rejected)?;
        for (element, reason) in &import.refused {
            // The name comes from the element, so that one that comes back with a stale copy is kept once.
            let word = import::word(&[element]);
            if kept.contains(&format!("{name}.{word}.bad")) {
                continue;
            }
            keep_refused(&self.storage, path, element.as_bytes(), &rejected, reason, &word)?;
            done.rejected.push(format!("{name}: a message was not taken: {reason}"));
        }
        Ok(())
    }

    pub(super) fn set_aside(&self, path: &Path, reason: &str, now: Now, done: &mut Refreshed) -> Result<()> {
        let kept = set_aside(&self.storage, path, &self.dir.rejected(), reason, now.wall)?;
        done.rejected.push(format!("{}:{reason}; kept as {}", path.display(), kept.display()));
        Ok(())
    }
}

/// Recipients nobody knows are taken from hand-written files (they may be started later), but not silently.
pub(super) fn warn(drafts: &[Draft], registry: Option<&Registry>, done: &mut Refreshed) {
    let Some(registry) = registry else { return };
    for draft in drafts {
        if let Err(error) = check_recipient(&draft.to, registry) {
            done.warnings.push(format!("message {} was stored, but {error}", draft.id));
        }
    }
}

/// The whole of an open file; what is not text or too long is nothing.
fn contents<F: crate::os::Handle>(file: &F, path: &Path) -> Result<String> {
    let size = file.stat().context("look at", path)?.size.min(BOX_MAX);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64).context("read", path)? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(String::from_utf8(bytes).unwrap_or_default())
}
