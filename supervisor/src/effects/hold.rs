//! `tachi __hold`: the small parent of an instance that is not our worker.
//!
//! It is what a worker is for itself: session leader, subreaper of everything the command starts, keeper of the alive lock,
//! the log, the state file and the last words. It reads the command's output through pipes, so the log outlives the
//! supervisor and is rotated. A signal it gets goes to the command's group; when the command has ended by itself, so does
//! the holder, with its code (or 128 + signal). Asked to end, it ends when its tree is empty.
//!
//! The pid in the state file is the command's own. Grace is the supervisor's business; without a supervisor it is kept here.
//! Deliberately absent: restarting anything.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal as Received;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Resource, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    setrlimit, setsid, waitid,
};
use tachi_shared::clock::{Mono, now};
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef, Role};
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::os::{AliveLock, process};
use tachi_shared::store::Store;

use super::held::{Held, How};
use super::rotate::{Rotated, SIZE};
use super::signals;
use crate::error::{Error, Result};
