//! What hands did to a document: edits of an older revision, and edits that crossed a write of ours.

use std::time::Duration;

use super::document::{Document, parse, render};
use super::file::{Refusal, Snapshot};
use crate::error::{Context as _, Error, Result};
use crate::os::place::{keep_refused, stamp_of};
use crate::os::{Handle as _, Storage};

/// How long a file that was replaced in the middle of somebody's writing is given to become whole.
const FINISH: Duration = Duration::from_millis(100);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// An edit that crosses a write is taken over by another write, which may be crossed again; this often.
const CROSSINGS: u32 = 16;
const CROSSED: &str = "it was edited by hand at the moment Tachi wrote the file";

impl<D: Document, S: Storage> Snapshot<D, S> {
    /// Takes a document unless it is older than what is known.
    pub(super) fn accept(&mut self, found: D) -> Option<Refusal> {
        let known = self.known_rev();
        if found.rev() > 0 && found.rev() < known {
            let rev = found.rev();
            let path = self.path.display();
            let reason = format!(
                "{path}:1:0: it was edited from revision {rev}, but revision {known} was written since"
            );
            self.hand = Some(found);
            return Some(Refusal { reason, stale: true });
        }
        self.good = Some(found);
        self.hand = None;
        None
    }

    /// The newest revision anybody is known to have written: an object may have slept through some.
    pub(super) fn known_rev(&self) -> u64 {
        let kept = self.bases.as_ref().map_or(0, |bases| bases.newest(&self.storage));
        self.good.as_ref().map_or(0, D::rev).max(kept)
    }

    /// The newest state: memory, unless others have written since; else the backup, else empty.
    pub(super) fn last_good(&self) -> D {
        match &self.good {
            Some(good) if good.rev() >= self.known_rev() => good.clone(),
            good => {
                let backup = self.storage.read(&self.backup, D::LIMIT).ok();
                let backup = backup.and_then(|bytes| parse(&self.backup, &bytes).ok());
                backup.or_else(|| good.clone()).unwrap_or_else(D::empty)
            }
        }
    }

    /// The last good state with what `hand` changed since its revision, and what could not be taken over, if this kind of
    /// document can be merged at all.
    pub(super) fn merged(&self, hand: &D) -> Option<(D, Vec<String>)> {
        let mut ours = self.last_good();
        let base = self.bases.as_ref().and_then(|bases| bases.at(&self.storage, hand.rev()));
        let conflicts = ours.merge(base.as_ref(), hand)?;
        Some((ours, conflicts))
    }

    /// The state to go on from when the file is an edit of an older revision. Only what cannot be taken over is set aside.
    pub(super) fn take_stale(&mut self, hand: &D, reason: &str) -> Result<D> {
        match self.merged(hand) {
            Some((merged, conflicts)) => {
                if !conflicts.is_empty() {
                    let reason = format!("{reason}; taken over but for: {}", conflicts.join("; "));
                    self.keep_current(&reason)?;
                }
                Ok(merged)
            }
            None => {
                self.keep_current(reason)?;
                Ok(self.last_good())
            }
        }
    }

    /// Hands take no lock: what came between our look and our write was replaced unseen, and is looked at now.
    pub(super) fn rescue(&mut self, replaced: &S::File) -> Result<()> {
        let deadline = self.storage.now().mono.after(FINISH);
        let path = self.path.clone();
        loop {
            let size = replaced.stat().context("look at", &path)?.size;
            let bytes = if size > D::LIMIT {
                Vec::new()
            } else {
                replaced.read_first(size).context("read", &path)?
            };
            match parse::<D>(&path, &bytes) {
                Ok(hand) => return self.take_crossed(&hand, &bytes),
                Err(_) if self.storage.now().mono < deadline => self.storage.pause(LOOK_AGAIN),
                Err(error) => return self.keep(&bytes, &format!("{error}; {CROSSED}")),
            }
        }
    }

    fn take_crossed(&mut self, hand: &D, bytes: &[u8]) -> Result<()> {
        if self.crossings >= CROSSINGS {
            return self.keep(bytes, CROSSED);
        }
        match self.merged(hand) {
            None => self.keep(bytes, CROSSED),
            Some((mut merged, conflicts)) => {
                if !conflicts.is_empty() {
                    self.keep(bytes, &format!("{CROSSED}; taken over but for: {}", conflicts.join("; ")))?;
                }
                merged.set_rev(self.known_rev() + 1);
                let text = render(&self.path, &merged)?;
                self.crossings += 1;
                let written = self.write(merged, &text, true);
                self.crossings = 0;
                written
            }
        }
    }

    /// The refusal as an error with its place.
    pub(super) fn error_now(&self) -> Option<Error> {
        let bytes = self.storage.read(&self.path, D::LIMIT).ok()?;
        parse::<D>(&self.path, &bytes).err()
    }

    /// Copies the file as it is into `rejected/`: it never disappears, and the path is never absent.
    pub(super) fn keep_current(&mut self, reason: &str) -> Result<()> {
        let limit = D::LIMIT.max(u64::from(u32::MAX));
        let bytes = self.storage.read(&self.path, limit).context("read", &self.path)?;
        self.keep(&bytes, reason)
    }

    pub(super) fn keep(&mut self, bytes: &[u8], reason: &str) -> Result<()> {
        let stamp = stamp_of(self.storage.now().wall);
        let kept = keep_refused(&self.storage, &self.path, bytes, &self.rejected, reason, &stamp)?;
        self.notes.push(format!("{reason}; kept as {}", kept.display()));
        Ok(())
    }
}
