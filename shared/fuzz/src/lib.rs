//! The fuzz targets: the properties of `shared/tests/damage/property/`, by name.
#![allow(dead_code, reason = "the seeded tests use more of the properties than the targets do")]

#[path = "../../tests/damage/corpus.rs"]
mod corpus;
#[path = "../../tests/damage/property/mod.rs"]
mod property;

/// Tries one input on one target.
///
/// # Panics
/// When the property does not hold, or the target is none.
pub fn run(target: &str, input: &[u8]) {
    let found = property::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, property) = found.unwrap_or_else(|| panic!("{target} is no target"));
    property(input);
}
