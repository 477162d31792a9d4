//! Doing what is safe about a finding.

use std::time::Duration;

use super::finding::Fix;
use crate::error::{Context as _, Result};
use crate::layout::{StateDir, Topic};
use crate::log::Log;
use crate::os::Storage;
use crate::os::place::sweep;

/// Writers hold their lock for microseconds.
const WAIT: Duration = Duration::from_secs(5);

/// Carries a fix out; what others did meanwhile makes it do nothing.
///
/// # Errors
/// [`crate::Error::LockTimeout`], [`crate::Error::Io`].
pub fn repair<S: Storage>(storage: &S, dir: &StateDir, fix: &Fix) -> Result<()> {
    match fix {
        Fix::RepairTail(name) => {
            let topics = [Topic::Messages, Topic::Tasks, Topic::Events];
            for topic in topics.into_iter().filter(|topic| topic.name() == *name) {
                let mut log = Log::new(storage.clone(), dir, topic);
                log.locked(WAIT, |writer| writer.end())?;
            }
            Ok(())
        }
        Fix::SweepTemporary => sweep(storage, &dir.tmp(), storage.now().wall).map(drop),
        Fix::RemoveDoorbell(name) => {
            let path = dir.doorbells().join(name);
            match storage.remove(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                removed => removed.context("remove", &path),
            }
        }
    }
}
