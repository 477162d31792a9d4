//! Editing through a private copy, as `tachi edit` does: no lock is held while the editor is open, and what others wrote
//! meanwhile is merged by the document's own rule, the same that serves edits of the file itself.

use std::time::Duration;

use super::document::{Document, Loaded, parse, render};
use super::file::Snapshot;
use crate::error::Result;
use crate::os::Storage;

/// What an editor gets, and what it was made from.
#[derive(Debug, Clone)]
pub struct Edit<D> {
    /// The text for the editor: the document, or the file as it lies there if that cannot be read.
    pub text: Vec<u8>,
    /// Why the file cannot be read; the last good state stays in force until somebody corrects it.
    pub damage: Option<String>,
    base: D,
}

/// What became of an edit, one sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// What is different now.
    pub changed: Vec<String>,
    /// What others changed too, differently: theirs stands. The edit is kept in `rejected/` then.
    pub conflicts: Vec<String>,
}

impl<D: Document> Edit<D> {
    /// Judges what the editor left in the copy at `path`.
    ///
    /// # Errors
    /// [`crate::Error::Rejected`] with line and column, [`crate::Error::NewerSchema`].
    pub fn judge(&self, path: &std::path::Path, text: &[u8]) -> Result<D> {
        parse(path, text)
    }

    /// The document as it was when the copy was made.
    #[must_use]
    pub fn base(&self) -> &D {
        &self.base
    }
}

impl<D: Document, S: Storage> Snapshot<D, S> {
    /// Makes a copy for an editor.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub fn edit(&mut self) -> Result<Edit<D>> {
        let (base, refused) = match self.load()? {
            Loaded::Fallback(base, why) => (base, Some(why)),
            good => (good.into_state(), None),
        };
        // A file that is only too old is readable: what counts of it is in the state already.
        let damaged = refused.and_then(|why| {
            let bytes = self.storage.read(&self.path, D::LIMIT).ok()?;
            parse::<D>(&self.path, &bytes).is_err().then_some((bytes, why))
        });
        let (text, damage) = match damaged {
            Some((bytes, why)) => (bytes, Some(why)),
            None => (render(&self.path, &base)?, None),
        };
        Ok(Edit { text, damage, base })
    }

    /// Takes over what `hand` changed in the copy; `settle` runs on the result, under the lock, and says what is different from
    /// the state before. What cannot be taken over stays as others have it, and `hand` is kept in `rejected/`.
    ///
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn take_edit(
        &mut self,
        wait: Duration,
        edit: &Edit<D>,
        hand: &D,
        settle: impl FnOnce(&D, &mut D) -> Result<Vec<String>>,
    ) -> Result<Taken> {
        let taken = self.update(wait, |document| {
            let before = document.clone();
            let conflicts = document.merge(Some(&edit.base), hand).unwrap_or_default();
            Ok(Taken { changed: settle(&before, document)?, conflicts })
        })?;
        if !taken.conflicts.is_empty() {
            let reason = format!("taken over but for: {}", taken.conflicts.join("; "));
            self.keep(&render(&self.path, hand)?, &reason)?;
        }
        Ok(taken)
    }
}
