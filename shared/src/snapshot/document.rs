//! What a document is, and judging bytes — pure.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, bare};

/// A JSON document with a schema number and a revision.
pub trait Document: Serialize + DeserializeOwned + Clone {
    /// Newest schema we read and the one we write.
    const SCHEMA: u64;
    /// Largest file we accept, in bytes.
    const LIMIT: u64;
    /// What a missing file means.
    fn empty() -> Self;
    /// Current revision, for documents that have one.
    fn rev(&self) -> u64;
    /// Sets the revision.
    fn set_rev(&mut self, rev: u64);
    /// Rules beyond the types; the reason if one is broken.
    ///
    /// # Errors
    /// The rule that is broken, for people.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
    /// Whether edits of this revision can differ from edits of the one `before` it, so that it is worth keeping.
    fn is_base(&self, _before: Option<&Self>) -> bool {
        true
    }
    /// Takes over what `hand` changed since `base`, the revision it was made from (`None` = not known any more); returns
    /// what could not be taken over, one sentence each. `None` = nothing can, it is to be set aside whole.
    fn merge(&mut self, _base: Option<&Self>, _hand: &Self) -> Option<Vec<String>> {
        None
    }
}

/// A document as it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded<D> {
    /// The file is there and good.
    Good(D),
    /// No file.
    Missing,
    /// The file is bad; this is the last good state (backup or memory) and why the file was not taken.
    Fallback(D, String),
}

impl<D: Document> Loaded<D> {
    /// The state in force, whatever the file is.
    #[must_use]
    pub fn into_state(self) -> D {
        match self {
            Self::Good(document) | Self::Fallback(document, _) => document,
            Self::Missing => D::empty(),
        }
    }
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    schema: Option<serde_json::Value>,
}

/// Judges the bytes of the file at `path`.
///
/// # Errors
/// [`Error::NewerSchema`]; [`Error::Rejected`] with line, column and field.
pub(super) fn parse<D: Document>(path: &Path, bytes: &[u8]) -> Result<D> {
    // A newer schema is told apart first: its other fields may have shapes we do not know.
    if let Ok(head) = serde_json::from_slice::<Head>(bytes)
        && let Some(found) = head.schema.as_ref().and_then(serde_json::Value::as_u64)
        && found > D::SCHEMA
    {
        return Err(Error::NewerSchema { path: path.to_owned(), found, supported: D::SCHEMA });
    }
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let document: D = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let field = error.path().to_string();
        rejected(path, error.inner(), &field)
    })?;
    from.end().map_err(|error| rejected(path, &error, "."))?;
    document.check().map_err(|reason| Error::Rejected {
        path: path.to_owned(),
        line: 1,
        column: 0,
        reason,
    })?;
    Ok(document)
}

/// The file's bytes as a writer leaves them.
///
/// # Errors
/// [`Error::TooLarge`]; [`Error::Rejected`] for a document that breaks its own rules.
pub(super) fn render<D: Document>(path: &Path, document: &D) -> Result<Vec<u8>> {
    let broken = |reason| Error::Rejected { path: path.to_owned(), line: 0, column: 0, reason };
    document.check().map_err(broken)?;
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| broken(error.to_string()))?;
    bytes.push(b'\n');
    let limit = usize::try_from(D::LIMIT).unwrap_or(usize::MAX);
    if bytes.len() > limit {
        return Err(Error::TooLarge { what: "the file", size: bytes.len(), unit: "bytes", limit });
    }
    Ok(bytes)
}

/// Names the place.
fn rejected(path: &Path, error: &serde_json::Error, field: &str) -> Error {
    let bare = bare(error);
    // "." is the whole document, "?" a place between fields.
    let reason = if matches!(field, "." | "?") { bare } else { format!("{field}: {bare}") };
    Error::Rejected { path: path.to_owned(), line: error.line(), column: error.column(), reason }
}
