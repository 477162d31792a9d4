//! Segments of any bytes, read and folded.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tachi_fuzz::run("records", input));
