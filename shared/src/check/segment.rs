//! Segments as they lie on the disk, line by line, without asking the log engine.

use std::io;
use std::path::PathBuf;

use serde_json::Value;

use crate::error::{Context as _, Result};
use crate::layout::{StateDir, Topic};
use crate::os::Storage;

/// A segment is rotated at a fraction of this.
const LIMIT: u64 = 1024 * 1024 * 1024;

/// One segment of a topic.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Which log.
    pub topic: Topic,
    /// Where it lies.
    pub path: PathBuf,
    /// Its name as a number.
    pub base: u64,
    /// Whether a later one exists.
    pub has_successor: bool,
    /// Its complete lines.
    pub lines: Vec<Line>,
    /// Bytes behind the last newline.
    pub torn: usize,
    /// All its bytes.
    pub size: u64,
}

/// One complete line.
#[derive(Debug, Clone)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a line is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A JSON object with a position. Kept of it: a message's id, a task event's whole text.
    Record {
        /// Its position.
        seq: u64,
        /// What was kept.
        kept: String,
    },
    /// A JSON object without a position.
    Unnumbered,
    /// Nothing.
    Blank,
    /// Neither; with the reason.
    Bad(String),
}

impl Segment {
    /// Its records: line, position, what was kept.
    pub fn records(&self) -> impl Iterator<Item = (usize, u64, &str)> {
        self.lines.iter().filter_map(|line| match &line.kind {
            Kind::Record { seq, kept } => Some((line.number, *seq, kept.as_str())),
            _ => None,
        })
    }

    /// Position of the last record; of an empty segment the one before its first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.records().map(|(_, seq, _)| seq).max().unwrap_or_else(|| self.base.saturating_sub(1))
    }
}

/// All segments of a topic in the order of their names. A file that disappears meanwhile is left out.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn segments<S: Storage>(storage: &S, dir: &StateDir, topic: Topic) -> Result<Vec<Segment>> {
    let root = dir.segments(topic);
    let names = match storage.list(&root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.context("list", &root)?,
    };
    let mut bases: Vec<(u64, String)> = names
        .into_iter()
        .filter_map(|name| Some((name.strip_suffix(".jsonl")?.parse().ok()?, name)))
        .collect();
    bases.sort_unstable();
    let newest = bases.last().map(|(base, _)| *base);
    let mut found = Vec::new();
    for (base, name) in bases {
        let path = root.join(name);
        let bytes = match storage.read(&path, LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.context("read", &path)?,
        };
        let (lines, torn) = lines(topic, &bytes);
        let size = bytes.len() as u64;
        found.push(Segment { topic, path, base, has_successor: Some(base) != newest, lines, torn, size });
    }
    Ok(found)
}

/// Takes the bytes of a segment apart.
fn lines(topic: Topic, bytes: &[u8]) -> (Vec<Line>, usize) {
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = bytes.len() - complete;
    let whole = bytes.get(..complete.saturating_sub(1)).unwrap_or_default();
    if complete == 0 {
        return (Vec::new(), torn);
    }
    let numbered = whole.split(|byte| *byte == b'\n').zip(1..);
    (numbered.map(|(line, number)| Line { number, kind: kind(topic, line) }).collect(), torn)
}

fn kind(topic: Topic, line: &[u8]) -> Kind {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Kind::Blank;
    }
    let object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Kind::Bad("it is not a JSON object".to_owned()),
        Err(error) => {
            let text = error.to_string();
            let bare = text.split(" at line ").next().unwrap_or(&text);
            return Kind::Bad(format!("{bare} (column {})", error.column()));
        }
    };
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    match object.get("seq").map(Value::as_u64) {
        None => Kind::Unnumbered,
        Some(None) => Kind::Bad("its seq is not a whole number above zero".to_owned()),
        Some(Some(seq)) => {
            let kept = match topic {
                Topic::Messages => text("id"),
                Topic::Tasks => String::from_utf8_lossy(line).into_owned(),
                Topic::Events => String::new(),
            };
            Kind::Record { seq, kept }
        }
    }
}
