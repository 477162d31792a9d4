//! The snapshot engine: JSON files that are replaced whole — validate, change, back up, replace.
//!
//! **Format**: one pretty-printed JSON object with `schema` and, where several may write, `rev` (+1 per write). **Writers**
//! hold the document's lock, or are the only one; the new bytes go to the backup first, then over the file, each by temporary
//! file and rename. **Readers** take no lock and see old or new, never a mixture. **A crash** leaves the old file or the new
//! one, and at most a file ending in `.tmp`.
//!
//! **By hand**: a good edit with the current `rev` (or none lower) is taken. A file that does not parse or breaks a rule
//! leaves the last good state in force and is reported as `path:line:column: reason`; it is left alone for [`GRACE`], because
//! an editor may be in the middle of writing, and then a writer that must write keeps its bytes in `rejected/`. So does an
//! edit with an older `rev` than the last known. A newer `schema` is never touched.
//!
//! Deliberately absent: what a document means, and merging (memory does that itself).

mod document;
mod file;

pub use document::{Document, Loaded};
pub use file::{GRACE, Snapshot};
