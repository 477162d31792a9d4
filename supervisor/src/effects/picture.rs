//! What the live table shows beside the rows: read on the screen's own thread, so that the loop never waits for it.

use tachi_shared::clock::{self, Timestamp};
use tachi_shared::event::Event;
use tachi_shared::registry::{Row, SupervisorRow};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;
use tachi_shared::task::TaskStore;

use crate::render::{self, Header, Progress, Supervisor};

/// Longest text of the stop file shown, in characters.
const LATCH_MAX: usize = 200;

/// Draws the fleet of one state directory.
pub(super) struct Picture {
    store: Store,
    board: TaskStore,
    workspace: Option<String>,
    containment: String,
    since: Timestamp,
}

impl Picture {
    /// Draws the fleet of `store` under this supervisor.
    pub(super) fn new(store: &Store, row: &SupervisorRow) -> Self {
        Self {
            store: store.clone(),
            board: store.tasks(),
            workspace: row.workspace.clone(),
            containment: row.containment.clone(),
            since: row.started_at,
        }
    }

    /// The whole screen.
    pub(super) fn draw(&mut self, rows: &[Row], events: &[Event], columns: usize, lines: usize) -> String {
        let stop = std::fs::read_to_string(self.store.dir().stop()).ok();
        let header = Header {
            supervisor: Supervisor::Running { pid: std::process::id(), since: self.since },
            state: self.store.dir().root().display().to_string(),
            workspace: self.workspace.clone(),
            containment: self.containment.clone(),
            progress: self.board.board().ok().and_then(Progress::of),
            latched: stop.map(|text| text.trim().chars().take(LATCH_MAX).collect()),
            troubles: Vec::new(),
            now: clock::now().wall,
        };
        let rows: Vec<Row> = rows.iter().cloned().map(|row| self.live(row)).collect();
        render::live::live(&header, &rows, events, columns, lines)
    }

    /// The registry is some seconds old by design; the instance's own file is not.
    fn live(&self, mut row: Row) -> Row {
        if row.pid.is_some()
            && let Ok(Loaded::Good(state)) = self.store.instance(&row.instance_id).load()
            && state.incarnation == row.incarnation
        {
            row.doing = Some(state.current_task);
        }
        row
    }
}
