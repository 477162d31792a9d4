//! `tachi-worker`: parses, calls, maps the outcome to an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use tachi_worker::args::Args;
use tachi_worker::error::EXIT_USAGE;
use tachi_worker::{effects, settings};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _closed = error.print();
            return ExitCode::from(if asked { 0 } else { EXIT_USAGE });
        }
    };
    let outcome = std::env::current_dir()
        .map_err(|error| tachi_worker::error::Error::system("find the working directory", error))
        .and_then(|cwd| settings::settle(args, &cwd).map(|settings| (settings, cwd)))
        .and_then(|(settings, cwd)| effects::run(settings, &cwd));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _closed = writeln!(std::io::stderr(), "{}", error.line());
            ExitCode::from(error.exit_code())
        }
    }
}
