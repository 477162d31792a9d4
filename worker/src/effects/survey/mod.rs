//! What the survey does to the world: reads the tree, asks git, keeps files under `artifacts/`.
//!
//! The workspace is only ever read; git is run without locks, prompts, hooks and pagers. Deliberately absent: any judgement of
//! what was found (that is `backend/builtin`, pure).
#![expect(clippy::disallowed_methods, reason = "one of the rooms that touch the system")]

mod artifacts;
mod beat;
mod git;
mod history;
mod listing;
mod recount;
mod scan;

use std::path::PathBuf;

pub(crate) use artifacts::Artifacts;
pub(crate) use beat::Beat;
pub(crate) use history::{plan as plan_history, read as read_history};
pub(crate) use listing::{Listing, list};
pub(crate) use recount::recount;
pub(crate) use scan::Scanner;

/// Why a piece of survey work ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The caller said so; nothing was published.
    #[error("interrupted")]
    Interrupted,
    /// A file or directory could not be used.
    #[error(transparent)]
    Store(#[from] tachi_shared::Error),
    /// An artifact that must be there is not, or is not what it should be.
    #[error("{} is missing or damaged; the next survey makes it again", .0.display())]
    Damaged(PathBuf),
    /// Git answered before, and does not now.
    #[error("cannot read the history: {0}")]
    Git(String),
}
