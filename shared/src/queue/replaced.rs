//! What a render of the view replaced, kept until nobody can write into it any more.
//!
//! Who read `messages.json` without a lock may write it back at the moment it is rendered anew: by a rename that comes just
//! before ours, or in place, into a file that has lost its name. So the old file and the new one are exchanged, and the old
//! one stays in `.tachi/replaced/` for [`HOLD`]: this keeper looks at it again and again, and the next one finds it there
//! if this one is killed. Then it is removed; what does not parse is set aside in `rejected/`, but not while its writer may
//! be at it. A crash before the exchange leaves a whole view there, whose messages all have their positions.
//! Where the file system cannot exchange, a rewrite by rename in that very moment is lost, and an open file is all there is.

use std::path::PathBuf;
use std::time::Duration;

use super::import;
use super::view::{BOX_MAX, Refreshed, View, is_fresh};
use crate::clock::{Mono, Now};
use crate::error::{Context as _, Result};
use crate::layout::Topic;
use crate::os::place::{keep_refused, set_aside, stamp_of};
use crate::os::{Handle, OpenMode, Storage};
use crate::registry::Registry;

/// How long a replaced file is looked at for a rewrite that crossed the render.
const HOLD: Duration = Duration::from_secs(5);

/// How many are looked at.
const HELD_MAX: usize = 8;

/// A replaced file, kept open.
pub(super) struct Replaced<F> {
    pub(super) file: F,
    /// Its name, where it could be given one.
    pub(super) path: Option<PathBuf>,
    /// What of it was taken in or set aside; `None` = nothing yet.
    seen: Option<Vec<u8>>,
    /// Since when it is looked at: the first round that began after it was replaced.
    since: Option<Mono>,
}

impl<F> Replaced<F> {
    pub(super) fn new(file: F, path: Option<PathBuf>) -> Self {
        Self { file, path, seen: None, since: None }
    }
}

impl<S: Storage> View<S> {
    /// Takes in what lies there at the beginning of a round: a killed keeper left it, or an earlier render.
    pub(super) fn take_replaced(
        &mut self,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        self.adopt()?;
        for replaced in &mut self.replaced {
            replaced.since.get_or_insert(now.mono);
        }
        self.look_again(registry, now, done)
    }

    /// Takes in what the render of this round replaced.
    pub(super) fn take_crossed(
        &mut self,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        self.adopt()?;
        self.look_again(registry, now, done)
    }

    /// Opens what is not held yet.
    fn adopt(&mut self) -> Result<()> {
        let dir = self.dir.replaced();
        for name in self.storage.list(&dir).context("list", &dir)? {
            let path = dir.join(name);
            let file = self.storage.open(&path, OpenMode::Read).context("open", &path)?;
            // Not by the name: another keeper may have removed that one and given its name to the next.
            if !self.replaced.iter().any(|held| is_same(&held.file, &file)) {
                self.replaced.push(Replaced::new(file, Some(path)));
            }
        }
        Ok(())
    }

    fn look_again(&mut self, registry: Option<&Registry>, now: Now, done: &mut Refreshed) -> Result<()> {
        let mut result = Ok(());
        let mut still = Vec::new();
        for mut replaced in std::mem::take(&mut self.replaced) {
            if result.is_ok() {
                result = self.take_again(&mut replaced, registry, now, done);
            }
            let is_over = replaced.since.is_some_and(|since| now.mono.since(since) >= HOLD);
            if result.is_ok() && is_over && replaced.seen.is_some() {
                self.drop_replaced(replaced);
            } else {
                still.push(replaced);
            }
        }
        // Renders come at most once a second; of a faster keeper the oldest go, once they were looked at in this round.
        while result.is_ok() && still.len() > HELD_MAX && still.first().is_some_and(|old| old.seen.is_some())
        {
            self.drop_replaced(still.remove(0));
        }
        self.replaced = still;
        result
    }

    /// One that stays is met by the next keeper, who finds nothing new in it.
    fn drop_replaced(&self, replaced: Replaced<S::File>) {
        let Some(path) = replaced.path else { return };
        if self.storage.open(&path, OpenMode::Read).is_ok_and(|file| is_same(&file, &replaced.file)) {
            let _ = self.storage.remove(&path);
        }
    }

    fn take_again(
        &mut self,
        replaced: &mut Replaced<S::File>,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        let path = self.dir.view(Topic::Messages);
        let stat = replaced.file.stat().context("look at", &path)?;
        let bytes = replaced.file.read_first(stat.size.min(BOX_MAX + 1)).context("read", &path)?;
        if replaced.seen.as_ref() == Some(&bytes) {
            return Ok(());
        }
        match import::parse_bytes(&bytes, now.wall) {
            Ok(import) => self.take(import, &path, registry, done)?,
            Err(_) if is_fresh(&stat, now) => {
                // Its writer may be at it.
                replaced.seen = None;
                return Ok(());
            }
            Err(reason) => self.refuse_whole(replaced, &bytes, &reason, now, done)?,
        }
        replaced.seen = Some(bytes);
        Ok(())
    }

    /// Sets aside what does not parse. If its writer completes it after all, it is taken in all the same.
    fn refuse_whole(
        &self,
        replaced: &mut Replaced<S::File>,
        bytes: &[u8],
        reason: &str,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        let (view, rejected) = (self.dir.view(Topic::Messages), self.dir.rejected());
        let kept = match &replaced.path {
            Some(path) => set_aside(&self.storage, path, &rejected, reason, now.wall)?,
            None => keep_refused(&self.storage, &view, bytes, &rejected, reason, &stamp_of(now.wall))?,
        };
        replaced.path = None;
        done.rejected.push(format!("{}:{reason}; kept as {}", view.display(), kept.display()));
        Ok(())
    }
}

/// Whether two open files are one.
fn is_same<F: Handle>(a: &F, b: &F) -> bool {
    let id = |file: &F| file.stat().map(|stat| (stat.dev, stat.ino)).ok();
    id(a).is_some() && id(a) == id(b)
}
