//! Deaths and starts between the lines of `tachi logs`: what the event log says of the instances that are shown.

use tachi_shared::event::{Event, EventLog};
use tachi_shared::log::Cursor;
use tachi_shared::store::Store;

use super::stream::BATCH;
use crate::error::Result;

/// Kinds that explain why the lines of an instance stop or begin anew.
const KINDS: [&str; 5] = ["died", "failed", "restart-due", "started", "stopped"];

/// Events about some instances, read as they come.
pub(super) struct Notices {
    log: EventLog,
    cursor: Cursor,
    names: Vec<String>,
}

impl Notices {
    /// From now on, about these; and the newest `count` before.
    ///
    /// # Errors
    /// [`tachi_shared::Error::Io`].
    pub(super) fn begin(store: &Store, names: &[String], count: usize) -> Result<(Self, Vec<Event>)> {
        let log = store.events();
        let notices = Self { cursor: log.end()?, log, names: names.to_vec() };
        let mut newest = match count {
            0 => Vec::new(),
            _ => notices.log.newest(BATCH)?,
        };
        newest.retain(|event| notices.concerns(event));
        newest.drain(..newest.len().saturating_sub(count));
        Ok((notices, newest))
    }

    /// What came since.
    ///
    /// # Errors
    /// [`tachi_shared::Error::Io`].
    pub(super) fn fresh(&mut self) -> Result<Vec<Event>> {
        let (mut events, next) = self.log.read(self.cursor.clone(), BATCH)?;
        self.cursor = next;
        events.retain(|event| self.concerns(event));
        Ok(events)
    }

    fn concerns(&self, event: &Event) -> bool {
        let about = |id: &str| self.names.iter().any(|name| name == id);
        KINDS.contains(&event.kind.as_str()) && event.instance.as_ref().is_some_and(|id| about(id.as_str()))
    }
}
