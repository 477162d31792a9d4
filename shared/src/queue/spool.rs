//! Other ways in: `spool/`, the door for messages from hands and foreign programs, and lines appended to a segment by hand.
//!
//! A spool file is written elsewhere and placed by `mv`; it holds one message or `{"messages":[…]}`. It is taken into the queue,
//! then deleted; one that does not parse is set aside whole, a malformed element alone. A crash between the two leaves the
//! file, and the ids of its messages tell that they were taken ([`super::taken`]). A line without `seq` behind the last record (`echo '{"to":…}' >>
//! messages/….jsonl`) has no position; it is appended anew with one, once, under an id made of its place.

use std::path::Path;

use super::Draft;
use super::import::{self, Import};
use super::taken::Line;
use super::view::{Refreshed, View, is_fresh};
use crate::clock::Now;
use crate::error::{Context as _, Error, Result};
use crate::layout::Topic;
use crate::os::place::set_aside;
use crate::os::{Stat, Storage};
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
            // Which file it is must be known from before it is read.
            let Ok(stat) = self.storage.stat(&path) else { continue };
            match self.read(&path, now) {
                Err(error) if error.is_not_found() => {}
                Err(error) if is_for_good(&error) => self.set_aside(&path, &error.to_string(), now, done)?,
                Err(error) => return Err(error),
                Ok(Ok(import)) => self.take_spooled(&path, &stat, import, registry, done)?,
                Ok(Err(_)) if is_fresh(&stat, now) => {}
                Ok(Err(reason)) => self.set_aside(&path, &reason, now, done)?,
            }
        }
        Ok(())
    }

    fn set_aside(&self, path: &Path, reason: &str, now: Now, done: &mut Refreshed) -> Result<()> {
        let kept = set_aside(&self.storage, path, &self.dir.rejected(), reason, now.wall)?;
        done.rejected.push(format!("{}:{reason}; kept as {}", path.display(), kept.display()));
        Ok(())
    }

    /// The ids come from the very file, so one that was taken but not deleted before a crash is not sent twice.
    fn take_spooled(
        &mut self,
        path: &Path,
        stat: &Stat,
        import: Import,
        registry: Option<&Registry>,
        done: &mut Refreshed,
    ) -> Result<()> {
        let which = format!("{} {} {} {}", stat.dev, stat.ino, stat.mtime_ns, stat.size);
        let contents: String = import.fresh.iter().map(|fresh| fresh.content.as_str()).collect();
        let word = import::word(&[&path.to_string_lossy(), &which, &contents]);
        self.refuse(path, &import, done)?;
        let mut drafts: Vec<Draft> = import.fresh.into_iter().map(|fresh| fresh.draft).collect();
        for (number, draft) in drafts.iter_mut().enumerate() {
            draft.id = format!("spool.{word}.{number}");
        }
        self.send_missing(drafts, registry, done)?;
        self.storage.remove(path).context("remove", path)
    }

    /// Appends anew what hands appended without a position.
    pub(super) fn take_lines(
        &mut self,
        registry: Option<&Registry>,
        now: Now,
        done: &mut Refreshed,
    ) -> Result<()> {
        if self.taken.lines.is_empty() {
            return Ok(());
        }
        self.know()?;
        let lines = self.taken.lines.clone();
        let (count, mut drafts) = (lines.len(), Vec::new());
        for Line { segment, offset, text } in lines {
            let place = self.dir.segments(Topic::Messages).join(format!("{segment:020}.jsonl"));
            let import = match import::parse(&text, now.wall) {
                Ok(import) => import,
                Err(reason) => Import { refused: vec![(text, reason)], ..Import::default() },
            };
            self.refuse(&place, &import, done)?;
            for (number, fresh) in import.fresh.into_iter().enumerate() {
                drafts.push(Draft { id: format!("line.{segment}.{offset}.{number}"), ..fresh.draft });
            }
        }
        self.send_missing(drafts, registry, done)?;
        // Not all: more may have been found meanwhile.
        self.taken.lines.drain(..count);
        Ok(())
    }

    /// Sends what is not in the queue yet, by id.
    fn send_missing(
        &mut self,
        mut drafts: Vec<Draft>,
        registry: Option<&Registry>,
        done: &mut Refreshed,
    ) -> Result<()> {
        if drafts.is_empty() {
            return Ok(());
        }
        self.know()?;
        drafts.retain(|draft| !self.taken.has(&draft.id));
        self.post(&drafts, registry, done)
    }
}

/// Whether this is no file for us, rather than a machine in trouble.
fn is_for_good(error: &Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, PermissionDenied};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), IsADirectory | PermissionDenied))
}
