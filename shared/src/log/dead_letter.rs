//! `.tachi/deadletter.jsonl`: what could not be delivered, so that a person can look at it.
//!
//! Format, one object a line: `{"at":"…","topic":"tasks","segment":1,"offset":4711,"reason":"…","line":"…"}` for a line that
//! nobody can read, `{"at":"…","topic":"messages","seq":7,"by":"instance_2","reason":"…","line":"…"}` for a message that its
//! reader has given up. Writers: the supervisor (lines), readers (messages), appending under `deadletter.lock`. A crash leaves
//! a torn last line; the next writer begins a new one. A line that was complete once stays.
//! At [`FILE_MAX`] the file becomes `deadletter.1.jsonl` and a new one begins.
//!
//! Deliberately absent: decisions. Nothing is delivered or left out because of what stands here.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tail;
use crate::clock::Timestamp;
use crate::error::{Context as _, Error, Result};
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::os::{Handle, OpenMode, Storage};

/// A file of this size is put aside.
pub const FILE_MAX: u64 = 4 * 1024 * 1024;
/// Of a line so many bytes are kept.
pub const LINE_KEPT: usize = 4 * 1024;
/// Largest file read back: one more batch may go into one that is just below its size.
const READ_MAX: u64 = 64 * 1024 * 1024;

/// One thing that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was noticed.
    pub at: Timestamp,
    /// Of which log.
    pub topic: String,
    /// First number of the segment, of a line that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// Where in the segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Position, of a message that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Who gave it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    pub reason: String,
    /// What it says, cut at [`LINE_KEPT`].
    pub line: String,
}

impl DeadLetter {
    /// A line nobody can read.
    #[must_use]
    pub fn line(
        at: Timestamp,
        topic: Topic,
        (segment, offset): (u64, u64),
        reason: &str,
        line: &[u8],
    ) -> Self {
        let line = kept(&String::from_utf8_lossy(line));
        let topic = topic.name().to_owned();
        Self {
            at,
            topic,
            segment: Some(segment),
            offset: Some(offset),
            seq: None,
            by: None,
            reason: reason.to_owned(),
            line,
        }
    }

    /// A message that `by` has given up.
    #[must_use]
    pub fn message(at: Timestamp, seq: Seq, by: &str, reason: &str, text: &str) -> Self {
        let topic = Topic::Messages.name().to_owned();
        let (by, reason) = (Some(by.to_owned()), reason.to_owned());
        Self { at, topic, segment: None, offset: None, seq: Some(seq), by, reason, line: kept(text) }
    }
}

fn kept(text: &str) -> String {
    let mut end = text.len().min(LINE_KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Adds to the list.
///
/// # Errors
/// [`Error::LockTimeout`], [`Error::DiskFull`], [`Error::Io`]; nothing was added then.
/// [`Error::StoredInPart`]: the last letters, which it names, were not added; those before them were.
pub fn add<S: Storage>(storage: &S, dir: &StateDir, letters: &[DeadLetter], wait: Duration) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let path = dir.dead_letters();
    let _guard = storage.lock(&dir.lock("deadletter"), "append", wait)?;
    let mut file = match storage.open(&path, OpenMode::Append) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        opened => Some(opened.context("open", &path)?),
    };
    let mut size = 0;
    if let Some(open) = &file {
        size = open.extent().context("look at", &path)?.size;
        if size >= FILE_MAX {
            storage.rename(&path, &path.with_extension("1.jsonl")).context("put aside", &path)?;
            (file, size) = (None, 0);
        }
    }
    let file = match file {
        Some(file) => file,
        None => storage.open(&path, OpenMode::Create).context("create", &path)?,
    };
    let mut last = [b'\n'];
    if size > 0 {
        file.read_at(&mut last, size - 1).context("read", &path)?;
    }
    let mut text = if last == [b'\n'] { Vec::new() } else { vec![b'\n'] };
    for letter in letters {
        serde_json::to_writer(&mut text, letter).map_err(|error| Error::Refused(error.to_string()))?;
        text.push(b'\n');
    }
    let written = file.append(&text).context("append to", &path)?;
    if written == text.len() {
        return Ok(());
    }
    let begun = usize::from(last != [b'\n']);
    let added = lines_kept(&file, size, text.get(..written).unwrap_or_default()).saturating_sub(begun);
    let source = Error::DiskFull { operation: "append to", path };
    match added {
        all if all == letters.len() => Ok(()),
        0 => Err(source),
        _ => Err(Error::StoredInPart { missing: (added..letters.len()).collect(), source: Box::new(source) }),
    }
}

/// Of a write to `from` that came up short the whole lines stay, and what is torn is cut off; how many lines stay.
fn lines_kept<F: Handle>(file: &F, from: u64, written: &[u8]) -> usize {
    let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (lines, torn) = written.split_at(whole);
    let alone = file.extent().is_ok_and(|now| now.size == from + written.len() as u64);
    let is_cut = torn.is_empty() || (alone && file.truncate(from + whole as u64).is_ok());
    // Left there, one that lacks only its newline counts: the next writer ends it.
    let ends_whole = !is_cut && tail::judge(torn) == tail::Repair::AddNewline;
    lines.iter().filter(|byte| **byte == b'\n').count() + usize::from(ends_whole)
}

/// What stands in the list now, oldest first; lines that are none are left out.
///
/// # Errors
/// [`Error::Io`].
pub fn all<S: Storage>(storage: &S, dir: &StateDir) -> Result<Vec<DeadLetter>> {
    let path = dir.dead_letters();
    let bytes = match storage.read(&path, READ_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.context("read", &path)?,
    };
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}
