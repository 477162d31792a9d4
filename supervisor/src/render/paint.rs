//! The one place for colours. Every tone accompanies a word; none stands for one.

use anstyle::{AnsiColor, Style};
use tachi_shared::registry::Status;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// On its way.
    Busy,
    /// Worth a look.
    Warn,
    /// Needs a person.
    Bad,
    /// Less important.
    Dim,
    /// A title.
    Title,
    /// One of several names, told apart by a number.
    Name(usize),
}

/// Colours names are told apart by.
const NAMES: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];

/// Text in its tone.
#[must_use]
pub fn paint(tone: Tone, text: &str) -> String {
    let style = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Busy => AnsiColor::Cyan.on_default(),
        Tone::Warn => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Dim => Style::new().dimmed(),
        Tone::Title => Style::new().bold(),
        Tone::Name(number) => {
            NAMES.get(number % NAMES.len()).copied().unwrap_or(AnsiColor::Cyan).on_default()
        }
    };
    format!("{style}{text}{style:#}")
}

/// The tone of a state.
#[must_use]
pub fn tone(status: Status) -> Tone {
    match status {
        Status::Ready => Tone::Good,
        Status::Starting | Status::Stopping => Tone::Busy,
        Status::Stalled | Status::Paused | Status::Frozen | Status::Backoff => Tone::Warn,
        Status::Failed | Status::Lost => Tone::Bad,
        Status::Stopped => Tone::Dim,
    }
}

/// The tone of a name: always the same for the same name.
#[must_use]
pub fn name_tone(name: &str) -> Tone {
    Tone::Name(name.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte))))
}
