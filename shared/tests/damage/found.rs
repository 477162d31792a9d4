//! The corpora of the fuzz targets, replayed: what once led somewhere new leads there in every test run.

use std::path::Path;

use crate::property::TARGETS;

#[test]
fn s21_every_input_the_fuzz_targets_have_kept_still_holds() {
    for (target, property) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut paths: Vec<_> =
            std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= 3, "{target} has a corpus of {}", paths.len());
        for path in paths {
            println!("{}", path.display());
            property(&std::fs::read(path).unwrap());
        }
    }
    for odd in [&b""[..], b"\0", b"\n", &[0xff; 64]] {
        TARGETS.iter().for_each(|(_, property)| property(odd));
    }
}
