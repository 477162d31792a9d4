//! `spool/`: the door for messages from hands and foreign programs.
//!
//! A file is written elsewhere and placed by `mv`; it holds one message or `{"messages":[…]}`. It is taken into the queue,
//! then deleted; one that does not parse is set aside whole, a malformed element alone. A crash between the two leaves the
//! file, and its ids tell that it was taken.

use std::path::Path;

use super::Draft;
use super::import::{self, Import};
use super::view::{MEMORY, Refreshed, View, WAIT, warn};
use crate::clock::Now;
use crate::error::{Context as _, Result};
use crate::id::Seq;
use crate::log::Cursor;
use crate::os::Storage;
use crate::registry::Registry;

impl<S: Storage> View<S> {
    /// Takes in every file lying in the door.
    pub(super) fn take_spool(
        &mut self,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        let spool = self.dir.spool();
        let mut names = self.storage.list(&spool).context("list", &spool)?;
        names.retain(|name| name.ends_with(".json") && !name.starts_with('.'));
        names.sort_unstable();
        for name in names {
            let path = spool.join(&name);
            let parsed = match self.read(&path, now) {
                Err(error) if error.is_not_found() => continue,
                Err(error) => Err(error.to_string()),
                Ok((text, parsed)) => parsed.map(|import| (text, import)),
            };
            match parsed {
                Ok((text, import)) => self.take_spooled(&path, &text, import, (registry, now), done)?,
                Err(_) if self.is_fresh(&path, now) => {}
                Err(reason) => self.set_aside(&path, &reason, now, done)?,
            }
        }
        Ok(())
    }

    /// The ids come from the very file, so one that was taken but not deleted before a crash is not sent twice.
    fn take_spooled(
        &mut self,
        path: &Path,
        text: &str,
        import: Import,
        (registry, now): (Option<&Registry>, Now),
        done: &mut Refreshed,
    ) -> Result<()> {
        let stat = self.storage.stat(path).context("look at", path)?;
        let word = import::word(&[&path.to_string_lossy(), &format!("{stat:?}"), text]);
        self.refuse(path, &import, now, done)?;
        let mut drafts: Vec<Draft> = import.fresh.into_iter().map(|(_, draft)| draft).collect();
        for (number, draft) in drafts.iter_mut().enumerate() {
            draft.id = format!("spool.{word}.{number}");
        }
        warn(&drafts, registry, done);
        let end = self.queue.end()?.seq;
        let since = Cursor { seq: Seq(end.0.saturating_sub(MEMORY)), ..Cursor::default() };
        if self.queue.send_missing(&drafts, &since, WAIT)?.is_some() {
            done.imported += drafts.len();
            self.queue.wake(&drafts);
        }
        self.storage.remove(path).context("remove", path)
    }
}
