//! What a process was promised, written down by plain `pwrite`, outside of the store: the other side of the account.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// One process slot's ledger over all its starts; one process at a time writes it.
pub(crate) struct Ledger {
    file: File,
    end: u64,
}

impl Ledger {
    /// Opens the ledger and returns its whole lines; a line torn by a kill does not count and is written over.
    pub(crate) fn open(ledgers: &Path, slot: &str) -> (Self, Vec<String>) {
        let path = ledgers.join(slot);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64).unwrap();
        let lines = text[..whole].lines().map(str::to_owned).collect();
        (Self { file, end: whole as u64 }, lines)
    }

    pub(crate) fn write(&mut self, lines: &str) {
        let text = format!("{lines}\n");
        self.file.write_all_at(text.as_bytes(), self.end).unwrap();
        self.end += text.len() as u64;
    }
}

/// The whole lines of a slot's ledger; none if the slot never wrote.
pub(crate) fn lines(ledgers: &Path, slot: &str) -> Vec<String> {
    let text = std::fs::read_to_string(ledgers.join(slot)).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    text[..whole].lines().map(str::to_owned).collect()
}
