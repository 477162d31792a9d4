//! A damaged `tachi.toml`: whatever the bytes are, settling never panics, and a refusal names a place in the file.
//!
//! Mutations of the shipped example by seed, for a fifth of a second (a minute with `TACHI_LONG=1`).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may; it also writes the damaged file"
)]

#[path = "../../shared/tests/damage/corpus.rs"]
mod corpus;
#[path = "../../shared/tests/torture/dice.rs"]
mod dice;
#[path = "../../shared/tests/damage/mutation.rs"]
mod mutation;

use std::path::Path;

use tachi::args::Up;
use tachi::error::Error;
use tachi::settings::{Request, settle};

#[test]
fn settings_of_any_bytes_are_settled_or_refused_with_the_place() {
    let example = corpus::corpus("../../../infrastructure/tachi.example.toml");
    let temp = corpus::folder();
    let cwd = temp.path().canonicalize().unwrap();
    let path = cwd.join("tachi.toml");
    mutation::cases(|dice| {
        let mut bytes = example.clone();
        mutation::damage(&mut bytes, dice);
        std::fs::write(&path, &bytes).unwrap();
        let up = Up::default();
        let Err(error) = settle(&Request { cwd: &cwd, state: Some(Path::new("st")), up: &up }) else {
            return;
        };
        assert_eq!(error.exit_code(), 2, "{error}");
        if let Error::Config { path: named, line, column, .. } = &error {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            assert!(
                *named != path || (*line <= lines.max(1) && *column >= 1),
                "{line}:{column} of {lines} lines: {error}"
            );
        }
    });
}
