//! One error enum; each variant answers "which exit code, and what should the person do?".

use std::io;

/// Result of the calls of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Exit code of an orderly leave.
pub const EXIT_OK: u8 = 0;
/// Exit code when the work could not go on.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a wrong flag, id, role, state directory or workspace.
pub const EXIT_USAGE: u8 = 2;
/// Exit code when another process is this instance (`EX_TEMPFAIL`: try again when it has left).
pub const EXIT_HELD: u8 = 75;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or variable that cannot be used; nothing was started.
    #[error("{what}")]
    Usage {
        /// What is wrong, with the value given.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Another live process is this instance; nothing was started.
    #[error("instance {id} is already running ({holder})")]
    Held {
        /// The instance.
        id: String,
        /// Who it is, as the kernel's lock list has it.
        holder: String,
    },
    /// The state directory could not be used to begin with.
    #[error("{0}")]
    State(#[source] tachi_shared::Error),
    /// The store failed on the way.
    #[error("{0}")]
    Store(#[from] tachi_shared::Error),
    /// The system refused something the loop cannot do without.
    #[error("cannot {operation}: {source}")]
    System {
        /// Verb phrase.
        operation: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// Builds a usage error.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }

    /// Wraps a refusal of the system.
    pub fn system(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System { operation, source: source.into() }
    }

    /// The documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::State(_) => EXIT_USAGE,
            Self::Held { .. } => EXIT_HELD,
            Self::Store(_) | Self::System { .. } => EXIT_FAILED,
        }
    }

    /// What a person may do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Held { .. } => Some("stop it first, or choose another --id".to_owned()),
            Self::State(error) | Self::Store(error) => error.hint(),
            Self::System { .. } => None,
        }
    }

    /// What, why and next on one line.
    #[must_use]
    pub fn line(&self) -> String {
        let line = match self.hint() {
            Some(hint) => format!("tachi-worker: {self}; {hint}"),
            None => format!("tachi-worker: {self}"),
        };
        line.replace(['\n', '\r'], " ")
    }
}
