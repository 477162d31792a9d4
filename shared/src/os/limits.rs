//! What one process may use (`setrlimit`), told to it through its environment and taken over by itself after exec, so that
//! whoever starts it needs no code between fork and exec.
//!
//! The number of open files is raised in the supervisor, which needs many; children get back what the supervisor was given.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Variable with the soft limit of open files that a child gets back.
pub const OPEN_FILES: &str = "TACHI_NOFILE";
/// Variable with the configured limits.
pub const LIMITS: &str = "TACHI_LIMITS";

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// Descriptors.
    OpenFiles,
    /// Bytes of a core file.
    Core,
    /// Bytes of address space.
    AddressSpace,
    /// Processes and threads of the user.
    Processes,
}

/// The words of the configuration.
const WORDS: [(Used, &str); 4] = [
    (Used::OpenFiles, "nofile"),
    (Used::Core, "core"),
    (Used::AddressSpace, "as"),
    (Used::Processes, "nproc"),
];

/// At most so much, soft and hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimit {
    /// Of what.
    pub what: Used,
    /// How much.
    pub most: u64,
}

impl fmt::Display for ProcessLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(what, _)| *what == self.what).map_or("", |(_, word)| word);
        write!(f, "{word}={}", self.most)
    }
}

impl FromStr for ProcessLimit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, most) = text.split_once('=').ok_or(())?;
        let (what, _) = WORDS.iter().find(|(_, word)| *word == name).ok_or(())?;
        Ok(Self { what: *what, most: most.parse().map_err(|_| ())? })
    }
}

/// The limits as one text for [`LIMITS`].
#[must_use]
pub fn text(limits: &[ProcessLimit]) -> String {
    limits.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Takes over what the supervisor told this process; what could not be had, as sentences.
#[must_use]
pub fn take_over() -> Vec<String> {
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    if let Ok(limit) = text(OPEN_FILES).parse::<u64>() {
        // Lowering is always allowed; if not, it runs with more.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum });
    }
    let limits = text(LIMITS);
    let wanted = limits.split_ascii_whitespace().filter_map(|limit| limit.parse::<ProcessLimit>().ok());
    wanted
        .filter_map(|limit| limit.set().err().map(|e| format!("the limit {limit} cannot be set: {e}")))
        .collect()
}

impl ProcessLimit {
    /// Sets it for this process and everything it starts from now on; never above what is allowed already.
    fn set(self) -> std::io::Result<()> {
        let resource = match self.what {
            Used::OpenFiles => Resource::Nofile,
            Used::Core => Resource::Core,
            Used::AddressSpace => Resource::As,
            Used::Processes => Resource::Nproc,
        };
        let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(self.most.min(allowed));
        setrlimit(resource, Rlimit { current: most, maximum: most })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p41_limits_survive_the_way_through_the_environment() {
        let all = WORDS.map(|(what, _)| ProcessLimit { what, most: 7 });
        let told = text(&all);
        assert_eq!(told, "nofile=7 core=7 as=7 nproc=7");
        let read: Vec<ProcessLimit> = told.split(' ').map(|limit| limit.parse().unwrap()).collect();
        assert_eq!(read, all);
        for bad in ["nofile", "nofile=", "nofile=-1", "files=7", ""] {
            assert!(bad.parse::<ProcessLimit>().is_err(), "{bad:?}");
        }
    }
}
