//! Damaged snapshots.

use crate::damaged;
use crate::mutation::cases;
use crate::property::snapshots::{instance, memory, registry};

#[test]
fn s13_a_memory_of_any_bytes_is_taken_or_refused_and_kept() {
    cases(|dice| memory(&damaged(&["memory.json"], dice)));
}

#[test]
fn s13_a_registry_of_any_bytes_is_taken_or_refused_and_kept() {
    cases(|dice| registry(&damaged(&["registry.json"], dice)));
}

#[test]
fn s13_an_instance_file_of_any_bytes_is_taken_or_refused_and_kept() {
    cases(|dice| instance(&damaged(&["instance.json"], dice)));
}
