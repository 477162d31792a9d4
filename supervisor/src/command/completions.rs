//! `tachi completions SHELL`.

use clap::CommandFactory;

use super::printer;
use crate::args::Cli;
use crate::error::{Result, exit};

/// Prints the completions.
pub(super) fn run(shell: clap_complete::Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tachi", &mut script);
    printer::text(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}
