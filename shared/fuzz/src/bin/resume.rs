//! Resuming at any cursor in any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tachi_fuzz::run("resume", input));
