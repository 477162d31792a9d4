//! `messages.json`: the newest messages for people, and a box for those who write the original format.
//!
//! Format: `{"messages":[…]}`, the newest 200 (at most 4 MiB), one a line. Writer: the supervisor under `view.lock`, at most
//! once a second and only if something changed; anybody else may rewrite it without a lock. Elements without `seq` are
//! taken into the queue once ([`super::taken`]); a malformed one is set aside alone; removals mean nothing. The file that a
//! render replaces is looked at again for a while ([`super::replaced`]), so that a rewrite that crosses the render is not
//! lost. A file that does not parse is left alone for [`PATIENCE`] (its writer may be at it), then set aside whole. The view
//! can be made again from the queue: a crash between import and render shows the same elements again, and they are counted
//! as what they are.

use std::path::Path;
use std::time::Duration;

use super::import::{self, Counts, Import};
use super::message::Message;
use super::replaced::Replaced;
use super::store::Queue;
use super::taken::Taken;
use super::{Draft, check_recipient};
use crate::clock::Now;
use crate::error::{Context as _, Result};
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::log::{Cursor, Limits};
use crate::os::place::keep_refused;
use crate::os::swap::swap_keeping;
use crate::os::{Disk, Handle as _, OpenMode, Stat, Storage};
use crate::registry::Registry;

/// Messages in the view.
const SHOWN: usize = 200;
/// Largest view we render, in bytes; older messages are left out above it.
const VIEW_MAX: usize = 4 * 1024 * 1024;
/// Largest file we take in, in bytes.
pub(super) const BOX_MAX: u64 = 16 * 1024 * 1024;
/// How far back messages are looked for whose copies lost their positions, in a file that shows none at all.
const MEMORY: u64 = 10_000;
/// Messages counted in one go.
const CHUNK: usize = 512;
/// How long a file that does not parse may belong to somebody who is still writing it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the queue's lock is waited for. The view never makes its owner late.
const WAIT: Duration = Duration::from_millis(50);

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
    pub(super) taken: Taken<S>,
    /// Whether the end of the queue is known to be whole.
    is_whole: bool,
    placed: Option<Placed>,
    pub(super) replaced: Vec<Replaced<S::File>>,
}

/// The file as we left it.
struct Placed {
    stat: Stat,
    /// End of the queue when it was rendered.
    end: Seq,
}

impl<S: Storage> View<S> {
    /// Names the view; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let queue = Queue::new(storage.clone(), dir);
        let taken = Taken::new(storage.clone(), dir);
        let (dir, replaced) = (dir.clone(), Vec::new());
        Self { storage, dir, queue, taken, is_whole: false, placed: None, replaced }
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
        self.taken.catch_up(&self.queue)?;
        self.take_spool(registry, now, &mut done)?;
        self.take_lines(registry, now, &mut done)?;
        self.take_replaced(registry, now, &mut done)?;
        if self.take_box(registry, now, &mut done)? {
            self.render()?;
            done.rendered = true;
            // A rewrite that crossed the render is taken in at once if it is complete.
            self.take_crossed(registry, now, &mut done)?;
        }
        self.taken.save()?;
        Ok(done)
    }

    /// Takes in `messages.json`; tells whether it is to be rendered anew.
    fn take_box(&mut self, registry: Option<&Registry>, now: Now, done: &mut Refreshed) -> Result<bool> {
        let path = self.dir.view(Topic::Messages);
        let Ok(found) = self.storage.stat(&path) else { return Ok(true) };
        if let Some(placed) = self.placed.as_ref().filter(|placed| placed.stat == found) {
            return Ok(placed.end != self.queue.end()?.seq);
        }
        match self.read(&path, now) {
            Err(error) if error.is_not_found() => return Ok(true),
            Err(error) => return Err(error),
            Ok(Ok(import)) => self.take(import, &path, registry, done)?,
            Ok(Err(_)) if is_fresh(&found, now) => return Ok(false),
            // Rendered over, and judged as what the render replaces: by then somebody may have put a good one there.
            Ok(Err(_)) => {}
        }
        Ok(true)
    }

    /// Sends what is new in `import` and sets aside what cannot be taken.
    pub(super) fn take(
        &mut self,
        mut import: Import,
        path: &Path,
        registry: Option<&Registry>,
        done: &mut Refreshed,
    ) -> Result<()> {
        if !import.fresh.is_empty() {
            self.know()?;
            let end = self.queue.end()?.seq;
            let since = import.oldest(end);
            let queued = self.count(&import, since, end)?;
            let drafts = import.missing(&queued, end.next(), |at| self.taken.may_have_forgotten(since, at));
            self.post(&drafts, registry, done)?;
        }
        self.refuse(path, &import, done)
    }

    /// Knows of everything that was taken in so far.
    pub(super) fn know(&mut self) -> Result<()> {
        if !self.is_whole {
            // A message of a keeper that was killed may lack its newline alone: nobody sees it, and the next writer makes
            // it whole. Taken in again before that, it would be there twice.
            self.queue.make_whole(WAIT)?;
            self.is_whole = true;
        }
        self.taken.catch_up(&self.queue)
    }

    /// How often the new contents of `import` are in the queue: all that came by the box since the oldest position the
    /// file shows, and what else was sent since then.
    fn count(&self, import: &Import, since: Seq, end: Seq) -> Result<Counts> {
        let mut counts = Counts::new();
        for fresh in &import.fresh {
            counts.insert(fresh.content.clone(), self.taken.count(&fresh.content, since));
        }
        if !import.has_news(&counts) {
            return Ok(counts);
        }
        let since = if since == Seq::START { Seq(end.0.saturating_sub(MEMORY)) } else { since };
        let mut cursor = Cursor { seq: Seq(since.0.saturating_sub(1)), ..Cursor::default() };
        loop {
            let (messages, next) = self.queue.messages(cursor, CHUNK)?;
            if messages.is_empty() {
                return Ok(counts);
            }
            let sent = messages.iter().filter(|message| import::imported(&message.draft.id).is_none());
            for content in sent.flat_map(import::contents) {
                if let Some(count) = counts.get_mut(&content) {
                    *count += 1;
                }
            }
            cursor = next;
        }
    }

    /// Sends what hands wrote and wakes who is to receive it.
    pub(super) fn post(
        &mut self,
        drafts: &[Draft],
        registry: Option<&Registry>,
        done: &mut Refreshed,
    ) -> Result<()> {
        if drafts.is_empty() {
            return Ok(());
        }
        self.is_whole = false;
        self.queue.post(drafts, WAIT)?;
        self.is_whole = true;
        warn(drafts, registry, done);
        done.imported += drafts.len();
        Ok(())
    }

    /// Replaces the view.
    fn render(&mut self) -> Result<()> {
        let (path, keep) = (self.dir.view(Topic::Messages), self.dir.replaced());
        let end = self.queue.end()?.seq;
        let text = render(&self.queue.newest(SHOWN)?);
        let (swapped, _) = swap_keeping(&self.storage, &self.dir.tmp(), &keep, &path, text.as_bytes())?;
        self.placed = Some(Placed { stat: swapped.placed, end });
        if let Some(file) = swapped.replaced {
            self.replaced.push(Replaced::new(file, None));
        }
        Ok(())
    }

    /// The file at `path`, or why it cannot be taken.
    pub(super) fn read(&self, path: &Path, now: Now) -> Result<std::result::Result<Import, String>> {
        let file = self.storage.open(path, OpenMode::Read).context("open", path)?;
        let size = file.stat().context("look at", path)?.size;
        let bytes = file.read_first(size.min(BOX_MAX + 1)).context("read", path)?;
        Ok(import::parse_bytes(&bytes, now.wall))
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
}

/// Whether a file was changed a moment ago, so that its writer may not have finished.
pub(super) fn is_fresh(stat: &Stat, now: Now) -> bool {
    let seconds = i64::try_from(stat.mtime_ns / 1_000_000_000).unwrap_or_default();
    crate::clock::Timestamp::from_unix(seconds).age(now.wall) < PATIENCE
}

/// Recipients nobody knows are taken from hand-written files (they may be started later), but not silently.
fn warn(drafts: &[Draft], registry: Option<&Registry>, done: &mut Refreshed) {
    let Some(registry) = registry else { return };
    for draft in drafts {
        if let Err(error) = check_recipient(&draft.to, registry) {
            done.warnings.push(format!("message {} was stored, but {error}", draft.id));
        }
    }
}
