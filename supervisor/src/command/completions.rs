//! `tachi completions SHELL`.

use clap::CommandFactory;

use super::printer;
use crate::args::{Cli, Completions};
use crate::error::{Result, exit};

/// Prints the completions.
pub(super) fn run(args: &Completions) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tachi", &mut script);
    printer::text(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}
