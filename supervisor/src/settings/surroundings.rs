//! Where the command runs: files, directories and ports around it. The one place where settings touch the system.
#![expect(clippy::disallowed_methods, reason = "settings read the system here and nowhere else")]

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// Name of the configuration file.
pub const CONFIG: &str = "tachi.toml";

/// Largest configuration or environment file that is read, in bytes: what is larger is something else.
const FILE_MAX: u64 = 1024 * 1024;

/// The working directory, or `.` if it is gone.
#[must_use]
pub fn cwd() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// Text of a small file.
///
/// # Errors
/// As `open(2)` and `read(2)`; `InvalidData` if it is not UTF-8, `FileTooLarge` above 1 MiB.
pub fn read(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    std::fs::read_to_string(path)
}

/// Absolute and without links, for a directory that exists.
///
/// # Errors
/// As `realpath(3)`; `NotADirectory`.
pub fn directory(path: &Path) -> io::Result<PathBuf> {
    let real = std::fs::canonicalize(path)?;
    if std::fs::metadata(&real)?.is_dir() {
        Ok(real)
    } else {
        Err(io::Error::from(io::ErrorKind::NotADirectory))
    }
}

/// Absolute; without links as far as the path exists.
#[must_use]
pub fn absolute(base: &Path, path: &Path) -> PathBuf {
    let joined = base.join(path);
    if let Ok(real) = std::fs::canonicalize(&joined) {
        return real;
    }
    match (joined.parent(), joined.file_name()) {
        (Some(parent), Some(name)) => {
            std::fs::canonicalize(parent).map_or_else(|_| joined.clone(), |real| real.join(name))
        }
        _ => joined,
    }
}

/// The nearest `tachi.toml` in `from` or above.
#[must_use]
pub fn find_config(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|dir| dir.join(CONFIG)).find(|path| path.is_file())
}

/// The nearest git working tree around `from`, else `from`.
#[must_use]
pub fn default_workspace(from: &Path) -> PathBuf {
    from.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(from).to_owned()
}

/// Whether a port of the loopback interface can be bound now.
#[must_use]
pub fn port_is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A variable of the environment that is set, not empty and UTF-8.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
