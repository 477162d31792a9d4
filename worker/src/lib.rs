//! Tachi's own instance program: observe, think, act, record.
//!
//! `turn` thinks (pure), `effects` does, `backend` is what thinks for the instance (builtin: the survey).
//! [`args`] is what was typed, [`settings`] what it amounts to, [`error`] what can go wrong.

pub mod args;
pub mod backend;
pub mod effects;
pub mod error;
pub mod settings;
pub mod turn;
