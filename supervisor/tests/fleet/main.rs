//! The supervisor's mind, from outside: scripts with their expected actions, and random histories with their invariants.

mod adoption;
mod commands;
mod random;
mod restarts;
mod scene;
mod silence;
mod stops;
mod why;
mod world;
