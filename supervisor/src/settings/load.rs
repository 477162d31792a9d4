//! Text of `tachi.toml` → [`ConfigFile`], with `path:line:column` and a suggestion in every refusal — pure.

use std::ops::Range;
use std::path::Path;

use super::file::ConfigFile;
use super::near::near;
use crate::error::{Error, Result};

/// Reads the configuration's text; `path` is for messages only.
///
/// # Errors
/// [`Error::Config`] naming line, column, reason and, for slips of the finger, the key that was meant.
pub fn parse(path: &Path, text: &str) -> Result<ConfigFile> {
    toml::from_str(text).map_err(|error| {
        let (reason, hint) = explain(error.message());
        refuse(path, text, error.span(), reason, hint)
    })
}

/// A refusal at a place in the file.
pub(super) fn refuse(
    path: &Path,
    text: &str,
    span: Option<Range<usize>>,
    reason: String,
    hint: Option<String>,
) -> Error {
    let (line, column) = position(text, span.map_or(0, |span| span.start));
    Error::Config { path: path.to_owned(), line, column, reason, hint }
}

/// Line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(start..).unwrap_or_default().chars().count() + 1)
}

/// Turns serde's words into ours: what is wrong on one line, and what was probably meant.
fn explain(message: &str) -> (String, Option<String>) {
    let message =
        message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let what = match () {
        () if message.starts_with("unknown field") => "key",
        () if message.starts_with("unknown variant") => "value",
        () => return (message, None),
    };
    let Some((wrong, known)) = quoted.split_first() else { return (message, None) };
    let hint = match near(wrong, known.iter().copied()).as_slice() {
        [] => format!("known {what}s here: {}", known.join(", ")),
        close => format!("did you mean `{}`?", close.join("` or `")),
    };
    (format!("unknown {what} `{wrong}`"), Some(hint))
}
