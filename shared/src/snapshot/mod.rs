//! The snapshot engine: JSON files that are replaced whole — validate, change, back up, replace.
//!
//! **Format**: one pretty-printed JSON object with `schema` and, where several may write, `rev` (+1 per write). **Writers**
//! hold the document's lock, or are the only one; the new bytes go to the backup first, then over the file, each by temporary
//! file and rename. **Readers** take no lock and see old or new, never a mixture. **A crash** leaves the old file or the new
//! one, and at most a file ending in `.tmp`.
//!
//! **By hand**: a good edit with the current `rev` (or none lower) is taken. A file that does not parse or breaks a rule
//! leaves the last good state in force and is reported as `path:line:column: reason`; it is left alone for [`GRACE`], because
//! an editor may be in the middle of writing, and then a writer that must write keeps its bytes in `rejected/`. An edit with
//! an older `rev` than the last known, and one that crosses a write of ours, is merged with what was written since if the
//! document can be merged and the revision it was made from is still kept; what cannot be taken over is kept in `rejected/`.
//! A newer `schema` is never touched.
//!
//! Deliberately absent: what a document means, and how two of them are merged.

mod bases;
mod document;
mod edit;
mod file;
mod hand;

pub use document::{Document, Loaded};
pub use edit::{Edit, Taken};
pub use file::{GRACE, Snapshot};
