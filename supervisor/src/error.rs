//! What can go wrong in a verb: one enum, each variant with its exit code and the next step.
//!
//! Messages stand alone after `tachi: `; [`Error::hint`] is the `next:` line below. Nothing here prints or exits.

use std::path::PathBuf;
use std::time::Duration;

/// Result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Exit codes of `tachi` (documented in `--help`, stable).
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// The operation failed.
    pub const FAILED: u8 = 1;
    /// Wrong use: arguments, configuration, paths.
    pub const USAGE: u8 = 2;
    /// `status --check`: something that should run is not ready.
    pub const NOT_READY: u8 = 3;
    /// No such instance, recipient or key.
    pub const UNKNOWN: u8 = 4;
    /// Nobody supervises this directory.
    pub const NO_SUPERVISOR: u8 = 5;
    /// Not finished in time.
    pub const TIMED_OUT: u8 = 6;
    /// The directory belongs to another supervisor.
    pub const HELD: u8 = 7;
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] tachi_shared::Error),
    /// Wrong arguments; correct them.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// A configuration file that cannot be taken.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Why.
        reason: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// There is nothing to read.
    #[error("no state directory at {}: nothing was started there yet", path.display())]
    NoState {
        /// Where it was looked for.
        path: PathBuf,
        /// Whether the verb needs a supervisor, which decides the exit code.
        needs_supervisor: bool,
    },
    /// Nobody holds `supervisor.alive`.
    #[error("no supervisor for {}", state.display())]
    NoSupervisor {
        /// The state directory.
        state: PathBuf,
    },
    /// Asked, and not finished in time; it may still happen.
    #[error("{what} not finished after {}s", waited.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What to do now.
        hint: String,
    },
    /// The supervisor answered with a refusal or a partial failure.
    #[error("{message}")]
    Refused {
        /// Its words.
        message: String,
        /// Its exit code.
        code: u8,
        /// What to do now.
        hint: Option<String>,
    },
    /// `status --check` found something not ready.
    #[error("not ready: {0}")]
    NotReady(String),
    /// The reader of our output is gone: leave quietly.
    #[error("the reader of the output is gone")]
    BrokenPipe,
    /// The system refused something that is no file of the store.
    #[error("cannot {operation}: {source}")]
    System {
        /// Verb and object, as in "cannot `start tachi-worker`".
        operation: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    /// Wrong use with its correction.
    #[must_use]
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// Wraps a system error.
    #[must_use]
    pub fn system(operation: impl Into<String>, source: std::io::Error) -> Self {
        Self::System { operation: operation.into(), source }
    }

    /// Exit code of the program when this ends it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(tachi_shared::Error::Held { .. }) => exit::HELD,
            Self::Store(tachi_shared::Error::Unknown { .. }) => exit::UNKNOWN,
            Self::Store(
                tachi_shared::Error::InvalidName { .. }
                | tachi_shared::Error::NotAStateDir { .. }
                | tachi_shared::Error::DamagedMark { .. },
            )
            | Self::Usage { .. }
            | Self::Config { .. } => exit::USAGE,
            Self::NoState { needs_supervisor: true, .. } | Self::NoSupervisor { .. } => exit::NO_SUPERVISOR,
            Self::TimedOut { .. } => exit::TIMED_OUT,
            Self::Refused { code, .. } => *code,
            Self::NotReady(_) => exit::NOT_READY,
            Self::BrokenPipe => exit::OK,
            Self::Store(_) | Self::NoState { .. } | Self::System { .. } => exit::FAILED,
        }
    }

    /// What a person may do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(tachi_shared::Error::Held { .. }) => Some(
                "a changed configuration is taken over by `tachi apply`; `tachi down` ends the holder, --state DIR names another directory"
                    .to_owned(),
            ),
            Self::Store(error) => error.hint().or_else(|| match error {
                tachi_shared::Error::Io { .. } => {
                    Some("check the path, or choose another with --state".to_owned())
                }
                _ => None,
            }),
            Self::Usage { hint, .. } | Self::TimedOut { hint, .. } => Some(hint.clone()),
            Self::Config { hint, .. } | Self::Refused { hint, .. } => hint.clone(),
            Self::NoState { .. } => {
                Some("start a fleet with `tachi up`, or name the directory with --state".to_owned())
            }
            Self::NoSupervisor { .. } => Some("start one with `tachi up`".to_owned()),
            Self::NotReady(_) => Some("see `tachi status` and `tachi why ID`".to_owned()),
            Self::BrokenPipe | Self::System { .. } => None,
        }
    }
}
