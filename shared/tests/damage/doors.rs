//! Damaged files in the doors.

use crate::damaged;
use crate::mutation::cases;
use crate::property::doors::{commanded, spooled, viewed};

#[test]
fn s26_a_view_of_any_bytes_is_taken_in_or_set_aside_and_shown_anew() {
    cases(|dice| viewed(&damaged(&["messages.json", "spool.json"], dice)));
}

#[test]
fn a_spool_file_of_any_bytes_is_taken_in_or_set_aside_and_never_stays() {
    cases(|dice| spooled(&damaged(&["spool.json"], dice)));
}

#[test]
fn a_command_of_any_bytes_is_taken_or_set_aside_and_never_stays() {
    cases(|dice| commanded(&damaged(&["command.json"], dice)));
}
