//! Registry, memory and instance files of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tachi_fuzz::run("snapshots", input));
