//! `tachi`: supervisor and command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(tachi::command::main(std::env::args_os()))
}
