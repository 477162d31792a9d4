//! Other ways in: `spool/`, the door for messages from hands and foreign programs, and lines appended to a segment by hand.
//!
//! A spool file is written elsewhere and placed by `mv`; it holds one message or `{"messages":[…]}`. It is taken into the queue,
//! then deleted; one that does not parse is set aside whole, a malformed element alone. A crash between the two leaves the
//! file, and its ids tell that it was taken. A line without `seq` behind the last record (`echo '{"to":…}' >>
//! messages/….jsonl`) has no position; it is appended anew with one, once, under an id made of its place.

use std::path::Path;

use super::Draft;
use super::import::{self, Import};
use super::view::{MEMORY, Refreshed, View, WAIT, warn};
use crate::clock::Now;
use crate::error::{Context as _, Result};
use crate::id::Seq;
use crate::layout::Topic;
use crate::log::{Cursor, Entry, Gap};
use crate::os::Storage;
use crate::registry::Registry;

/// Entries looked at in one go.
const CHUNK: usize = 512;

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
                Ok((text, import)) => self.take_spooled(&path, &text, import, registry, done)?,
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
        registry: Option<&Registry>,
        done: &mut Refreshed,
    ) -> Result<()> {
        let stat = self.storage.stat(path).context("look at", path)?;
        let which = format!("{} {} {} {}", stat.dev, stat.ino, stat.mtime_ns, stat.size);
        let word = import::word(&[&path.to_string_lossy(), &which, text]);
        self.refuse(path, &import, done)?;
        let mut drafts: Vec<Draft> = import.fresh.into_iter().map(|(_, draft)| draft).collect();
        for (number, draft) in drafts.iter_mut().enumerate() {
            draft.id = format!("spool.{word}.{number}");
        }
        self.send(&drafts, registry, done)?;
        self.storage.remove(path).context("remove", path)
    }

    /// Appends anew what hands appended without a position.
    pub(super) fn take_lines(
        &mut self,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        let mut reader = match self.lines.take() {
            Some(reader) => reader,
            None => self.queue.entries(self.far_back()?),
        };
        let mut drafts = Vec::new();
        loop {
            let entries = reader.read(CHUNK)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                let Entry::Gap(Gap::Unnumbered { segment, offset, line }) = entry else { continue };
                let place = self.dir.segments(Topic::Messages).join(format!("{segment:020}.jsonl"));
                let import = match import::parse(&line, now.wall) {
                    Ok(import) => import,
                    Err(reason) => Import { refused: vec![(line, reason)], ..Import::default() },
                };
                self.refuse(&place, &import, done)?;
                // Counted within the line: however much is read in one go, the same message gets the same id.
                for (number, (_, mut draft)) in import.fresh.into_iter().enumerate() {
                    draft.id = format!("line.{segment}.{offset}.{number}");
                    drafts.push(draft);
                }
            }
        }
        // Kept only once everything was taken: after an error the same stretch is read again, and the ids tell.
        self.send(&drafts, registry, done)?;
        self.lines = Some(reader);
        Ok(())
    }

    /// Sends what is not in the queue yet, by id, and wakes who is to receive.
    fn send(&mut self, drafts: &[Draft], registry: Option<&Registry>, done: &mut Refreshed) -> Result<()> {
        let since = self.far_back()?;
        if self.queue.send_missing(drafts, &since, WAIT)?.is_some() {
            warn(drafts, registry, done);
            done.imported += drafts.len();
            self.queue.wake(drafts);
        }
        Ok(())
    }

    /// Where to start looking for what an earlier keeper may have taken already.
    fn far_back(&self) -> Result<Cursor> {
        let end = self.queue.end()?.seq;
        Ok(Cursor { seq: Seq(end.0.saturating_sub(MEMORY)), ..Cursor::default() })
    }
}
