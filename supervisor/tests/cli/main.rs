//! The command line as people use it: the real binary, real state directories, real processes.

mod fleet;
mod folder;
mod read;
mod usage;
