//! Where a verb works and how it answers.

use std::path::PathBuf;

use tachi_shared::store::Store;

use crate::args::Global;
use crate::error::{Error, Result};
use crate::settings::{self, surroundings};

/// What every verb gets.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// Working directory, absolute.
    pub(super) cwd: PathBuf,
    /// `--state` or its environment variable.
    pub(super) wish: Option<PathBuf>,
    /// Whether a program reads the output.
    pub(super) json: bool,
}

impl Context {
    /// From the flags every verb accepts.
    pub(super) fn new(global: &Global) -> Self {
        Self { cwd: surroundings::cwd(), wish: global.state.clone(), json: global.json }
    }

    /// The state directory meant, whether it exists or not.
    pub(super) fn state(&self) -> PathBuf {
        settings::state_dir(&self.cwd, self.wish.as_deref())
    }

    /// Opens the state directory; makes nothing.
    ///
    /// # Errors
    /// [`Error::NoState`] with exit code 1; what [`Store::open`] meets.
    pub(super) fn store(&self) -> Result<Store> {
        self.open(false)
    }

    /// The same for verbs that need a supervisor: exit code 5.
    pub(super) fn store_of_supervisor(&self) -> Result<Store> {
        self.open(true)
    }

    fn open(&self, needs_supervisor: bool) -> Result<Store> {
        let path = self.state();
        let mark = tachi_shared::layout::StateDir::new(&path).mark();
        match std::fs::metadata(&mark) {
            Ok(_) => Ok(Store::open(&path)?),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(tachi_shared::Error::io("open", &path, error).into())
            }
            Err(_) => Err(Error::NoState { path, needs_supervisor }),
        }
    }
}
