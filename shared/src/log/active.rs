//! The active segment: opening it, making its end good, switching to the next. All under the topic's lock.

use std::path::Path;

use super::epoch::{EPOCH_STEP, Epoch};
use super::writer::{Durability, Log};
use super::{frame, segment, tail};
use crate::error::{Context as _, Error, Result};
use crate::os::{Handle as _, OpenMode, Storage};

/// The newest segment and its end as we left it.
pub(super) struct Active<F> {
    pub(super) file: F,
    /// First number of the segment.
    pub(super) base: u64,
    /// Its size as we left it.
    pub(super) end: u64,
    /// Last number given.
    pub(super) last: u64,
}

impl<S: Storage> Log<S> {
    /// The active segment, its end known and whole.
    pub(super) fn ready(&mut self) -> Result<&mut Active<S::File>> {
        let trusted = match &self.active {
            Some(active) => {
                let extent = active.file.extent().context("look at", &self.dir)?;
                extent.nlink > 0 && extent.size == active.end
            }
            None => false,
        };
        if !trusted {
            self.reopen()?;
        }
        let full = |active: &Active<S::File>| self.distrusted || active.end >= self.segment_bytes;
        if self.active.as_ref().is_some_and(|active| active.last >= active.base && full(active)) {
            self.begin_next(0)?;
        }
        self.active.as_mut().ok_or_else(|| Error::Refused("the log has no active segment".to_owned()))
    }

    /// Opens the newest segment, repairs its end and learns the last number.
    fn reopen(&mut self) -> Result<()> {
        let known = if self.boot_checked { None } else { self.epoch.get(&self.storage, self.topic)? };
        let Some(base) = segment::list(&self.storage, &self.dir)?.pop() else {
            // Never written, or everything was deleted by hand: then numbers go on above all that could have been given.
            let given = known.as_ref().map_or(0, |epoch| epoch.high_seq.saturating_add(EPOCH_STEP));
            self.boot_checked = true;
            return self.create(self.floor.max(given).saturating_add(1));
        };
        let path = segment::path(&self.dir, base);
        let file = self.storage.open(&path, OpenMode::Append).context("open", &path)?;
        let size = file.extent().context("look at", &path)?.size;
        let mut end = tail::inspect(&file, size).context("read", &path)?;
        tail::repair(&self.storage, &file, &path, &self.rejected, &mut end)?;
        let other_boot = known.as_ref().is_some_and(|epoch| epoch.boot_id != self.boot);
        if other_boot {
            self.cut_unreadable_end(&file, &path, &mut end)?;
        }
        let last = end.last.unwrap_or_default().max(base.saturating_sub(1)).max(self.floor);
        let sealed = end.sealed && last >= base;
        let unused = end.last.is_none();
        let end = file.extent().context("look at", &path)?.size;
        if !other_boot && !sealed {
            if unused {
                // Whoever made it may have died before the segment and the note of its epoch were safe.
                self.secure(base.saturating_sub(1))?;
            } else if !self.boot_checked && known.is_none() {
                self.note_epoch(base.saturating_sub(1))?;
            }
        }
        self.floor = last;
        if sealed && !other_boot {
            // Never active, not even if what follows fails: readers do not come back to a sealed segment.
            self.create(last + 1)?;
        } else {
            self.active = Some(Active { file, base, end, last });
        }
        if other_boot {
            let above = known.map_or(last, |epoch| epoch.high_seq.max(last));
            self.begin_next(above.saturating_add(EPOCH_STEP) - last)?;
        }
        self.boot_checked = true;
        Ok(())
    }

    /// After a power loss whole pages of the end may be garbage with newlines in it: the unreadable run at the end goes.
    fn cut_unreadable_end(&self, file: &S::File, path: &Path, end: &mut tail::End) -> Result<()> {
        let mut bytes = Vec::new();
        segment::read_into(file, &mut bytes, 0, end.complete).context("read", path)?;
        let mut good = 0;
        for (start, line) in segment::lines(&bytes) {
            if !matches!(frame::classify_strictly(line), frame::Line::Poison(_)) {
                good = start + line.len() + 1;
            }
        }
        if let Some(bad) = bytes.get(good..).filter(|bad| !bad.is_empty()) {
            let reason = "the end was unreadable after a boot";
            tail::cut(&self.storage, file, path, &self.rejected, good as u64, bad, reason)?;
            *end = tail::inspect(file, good as u64).context("read", path)?;
        }
        Ok(())
    }

    /// Seals the active segment and begins one whose first number is `skip` above the next.
    pub(super) fn begin_next(&mut self, skip: u64) -> Result<()> {
        let Some(active) = self.active.take() else { return Ok(()) };
        let path = segment::path(&self.dir, active.base);
        match active.file.append(b"\n").context("seal", &path)? {
            0 => return Err(Error::DiskFull { operation: "seal", path }),
            _ => self.create(active.last.saturating_add(skip).saturating_add(1))?,
        }
        self.distrusted = false;
        // What one change wrote on both sides of a switch would otherwise be synced on the new side only. Not here: a sync
        // that fails says "stored" of a record that is yet to be written.
        if self.durability == Durability::Durable {
            self.sealed.push((path, active.file));
        }
        Ok(())
    }

    /// Makes an empty segment and goes on in it.
    fn create(&mut self, base: u64) -> Result<()> {
        frame::check_number(base)?;
        let path = segment::path(&self.dir, base);
        let file = self.storage.open(&path, OpenMode::Create).context("create", &path)?;
        let end = file.extent().context("look at", &path)?.size;
        // First this: an active segment is taken for safe.
        self.secure(base - 1)?;
        self.floor = base - 1;
        self.active = Some(Active { file, base, end, last: base - 1 });
        Ok(())
    }

    /// What must survive a power loss before the first record goes into a segment: its name, and the note of its epoch.
    fn secure(&self, high_seq: u64) -> Result<()> {
        self.storage.sync_dir(&self.dir).context("sync", &self.dir)?;
        self.note_epoch(high_seq)
    }

    /// Records the boot and the numbers given so far.
    fn note_epoch(&self, high_seq: u64) -> Result<()> {
        let old = self.epoch.get(&self.storage, self.topic)?;
        let same_boot = old.as_ref().is_none_or(|old| old.boot_id == self.boot);
        let epoch = old.as_ref().map_or(1, |old| old.epoch.saturating_add(u64::from(!same_boot)));
        let high_seq = old.map_or(high_seq, |old| old.high_seq.max(high_seq));
        self.epoch.set(&self.storage, self.topic, Epoch { boot_id: self.boot.clone(), epoch, high_seq })
    }
}
