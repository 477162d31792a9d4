//! Files of any bytes in the doors.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tachi_fuzz::run("import", input));
