//! State → text — pure: no clock, file, terminal or environment in here; width and time are arguments.
//!
//! Colour is written as ANSI codes always and taken out by the printer where it does not belong; no meaning is carried by
//! colour alone. Output is ASCII apart from what users wrote themselves.

pub mod checkup;
pub mod diff;
pub mod json;
pub mod line;
pub mod live;
pub mod paint;
pub mod plan;
pub mod problem;
pub mod progress;
pub mod span;
pub mod status;
pub mod table;
pub mod text;
pub mod unit;

pub use live::live;
pub use progress::Progress;
pub use status::{Header, Shown, Supervisor, status};
