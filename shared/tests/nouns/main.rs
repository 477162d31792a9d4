//! Tests of the nouns on the engines: their rules as tables and properties, their files with real processes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests may; they also play the hands and programs that touch files from outside"
)]

mod board_on_disk;
mod commands;
mod hand_edits;
mod import_once;
mod instance_files;
mod place;
mod queue_on_disk;
mod queue_rules;
mod recipes;
mod retention;
mod snapshots_under_readers;
mod task_rules;
mod view_and_import;
