//! Printing: colour taken out where it does not belong, a reader that left ends the program quietly.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::error::{Error, Result};

/// Width when the output is no terminal: nothing is dropped from files and pipes.
const UNLIMITED: usize = 1000;

/// Prints text as it is, line ends included.
pub(super) fn text(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints one line.
pub(super) fn line(line: &str) -> Result<()> {
    text(&format!("{line}\n"))
}

/// Prints one line whatever is in it: nothing is taken out, whoever reads.
pub(super) fn raw(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    finish(out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// Prints a JSON document on one line.
pub(super) fn json(value: &Value) -> Result<()> {
    line(&value.to_string())
}

/// Prints to standard error; nothing can be done if that fails.
pub(super) fn complain(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Asks on standard error, without a line end.
pub(super) fn prompt(question: &str) {
    let mut err = anstream::stderr().lock();
    let _ = write!(err, "{question}").and_then(|()| err.flush());
}

fn finish(outcome: io::Result<()>) -> Result<()> {
    outcome.map_err(|source| match source.kind() {
        io::ErrorKind::BrokenPipe => Error::BrokenPipe,
        _ => Error::system("write the output", source),
    })
}

/// Whether a person looks at the output.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns to draw for: `COLUMNS` if set, else the terminal's, else unlimited.
pub(super) fn columns() -> usize {
    let wish =
        std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns >= 20);
    let terminal = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    wish.or_else(|| terminal().filter(|columns| *columns > 0)).unwrap_or(UNLIMITED)
}

/// Lines of the terminal that can be drawn on without scrolling.
pub(super) fn lines() -> usize {
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_row));
    terminal.filter(|lines| *lines > 1).unwrap_or(25) - 1
}
