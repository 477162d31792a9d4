//! Tachi's own instance program: observe, think, act, record.
//!
//! `turn` thinks (pure), `effects` does, `backend` is what thinks for the instance (builtin: the survey).

pub mod backend;
pub mod effects;
pub mod turn;
