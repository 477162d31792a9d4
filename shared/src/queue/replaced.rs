//! What a render of the view replaced, kept until nobody can write into it any more.
//!
//! Who read `messages.json` without a lock may write it back at the moment it is rendered anew: by a rename that comes just
//! before ours, or in place, into a file that has lost its name. So the old file and the new one are exchanged, and the old
//! one stays in `.tachi/replaced/` for [`HOLD`]: this keeper looks at it again and again, and the next one finds it there
//! if this one is killed. Then it is removed; what never became whole is set aside in `rejected/`. A crash before the
//! exchange leaves a whole view there, whose messages all have their positions.
//! Where the file system cannot exchange, a rewrite by rename in that very moment is lost, and an open file is all there is.

use std::path::PathBuf;
use std::time::Duration;

use super::import;
use super::view::{BOX_MAX, Refreshed, View};
use crate::clock::Now;
use crate::error::{Context as _, Result};
use crate::layout::Topic;
use crate::os::place::keep_refused;
use crate::os::{Handle as _, OpenMode, Storage};
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
    /// What of it was taken in; `None` = nothing yet.
    pub(super) seen: Option<String>,
    pub(super) since: Now,
}

impl<S: Storage> View<S> {
    /// Opens what lies there and is not held: a killed keeper left it, or the last render put it there.
    pub(super) fn adopt_replaced(&mut self, now: Now) -> Result<()> {
        let dir = self.dir.replaced();
        for name in self.storage.list(&dir).context("list", &dir)? {
            let path = dir.join(name);
            if self.replaced.iter().any(|held| held.path.as_ref() == Some(&path)) {
                continue;
            }
            let file = self.storage.open(&path, OpenMode::Read).context("open", &path)?;
            self.replaced.push(Replaced { file, path: Some(path), seen: None, since: now });
        }
        Ok(())
    }

    /// Looks again at what the last renders replaced.
    pub(super) fn take_replaced(
        &mut self,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        for mut replaced in std::mem::take(&mut self.replaced) {
            // What follows may fail; then all is looked at again.
            let result = self.take_again(&mut replaced, registry, now, done);
            if result.is_err() || now.mono.since(replaced.since.mono) < HOLD {
                self.replaced.push(replaced);
            } else if let Some(path) = replaced.path {
                // One that stays is met by the next keeper, who finds nothing new in it.
                let _ = self.storage.remove(&path);
            }
            result?;
        }
        // Renders come at most once a second; of a faster keeper the oldest go, once they were looked at.
        while self.replaced.len() > HELD_MAX && self.replaced.first().is_some_and(|old| old.seen.is_some()) {
            if let Some(path) = self.replaced.remove(0).path {
                let _ = self.storage.remove(&path);
            }
        }
        Ok(())
    }

    fn take_again(
        &mut self,
        replaced: &mut Replaced<S::File>,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        let path = self.dir.view(Topic::Messages);
        let size = replaced.file.stat().context("look at", &path)?.size.min(BOX_MAX);
        let bytes = replaced.file.read_first(size).context("read", &path)?;
        let text = String::from_utf8_lossy(&bytes);
        if replaced.seen.as_deref() == Some(&*text) {
            return Ok(());
        }
        match import::parse(&text, now.wall) {
            Ok(import) => self.take(import, &path, registry, done)?,
            Err(_) if now.mono.since(replaced.since.mono) < HOLD => return Ok(()),
            Err(reason) => {
                let reason = format!("{reason}; it was rewritten while the view was rendered");
                let word = import::word(&[&text]);
                let kept = keep_refused(&self.storage, &path, &bytes, &self.dir.rejected(), &reason, &word)?;
                done.rejected.push(format!("{}:{reason}; kept as {}", path.display(), kept.display()));
            }
        }
        replaced.seen = Some(text.into_owned());
        Ok(())
    }
}
