//! `tachi status`: who runs, in which state, doing what — pure.

use std::time::Duration;

use tachi_shared::clock::Timestamp;
use tachi_shared::registry::{Death, DeathKind, Desired, Row, Status};

use super::paint::{Tone, paint, tone};
use super::problem::{Problem, problems};
use super::progress::Progress;
use super::span::{coarse, length};
use super::table::{Cell, Column, table};
use super::text::{clean, fit, wrap};

/// Everything above the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Who watches.
    pub supervisor: Supervisor,
    /// State directory as shown.
    pub state: String,
    /// What the fleet works on.
    pub workspace: Option<String>,
    /// How trees are contained.
    pub containment: String,
    /// How far the survey is.
    pub progress: Option<Progress>,
    /// Content of the stop file, if it is there.
    pub latched: Option<String>,
    /// The configuration that was changed since it was read, if it was.
    pub unapplied: Option<String>,
    /// Files that could not be taken: one sentence each.
    pub troubles: Vec<String>,
    /// When this was looked at.
    pub now: Timestamp,
}

/// Who watches over the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supervisor {
    /// A live one.
    Running {
        /// Its pid.
        pid: u32,
        /// Since when.
        since: Timestamp,
    },
    /// Nobody; what is known of the last one.
    Gone {
        /// Its pid, if it left without saying goodbye.
        pid: Option<u32>,
        /// Since when it ran.
        since: Timestamp,
    },
    /// Nobody ever.
    Never,
}

/// One instance as shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What the registry says.
    pub row: Row,
    /// Whether the process of the row lives (identity checked).
    pub alive: bool,
    /// Whether a supervisor watches it.
    pub supervised: bool,
}

impl Shown {
    /// A row of a live supervisor, which keeps its pids true.
    #[must_use]
    pub fn supervised(row: &Row) -> Self {
        Self { alive: row.pid.is_some(), supervised: true, row: row.clone() }
    }

    /// The state as it is, which without a supervisor may differ from what the row says.
    #[must_use]
    pub fn status(&self) -> Status {
        let died_unseen = !self.supervised && !self.alive && claims_life(self.row.status);
        if died_unseen { Status::Lost } else { self.row.status }
    }

    /// Whether it should run and is not ready.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.row.desired == Desired::Running
            && !self.is_finished()
            && !(self.status() == Status::Ready && self.alive && self.supervised)
    }

    /// Whether it has done what it was for: it ended well by itself, and its policy asks for no more.
    fn is_finished(&self) -> bool {
        let ended_well = |death: &Death| death.cause == "self" && death.code == Some(0);
        self.status() == Status::Stopped && self.row.last_death.as_ref().is_some_and(ended_well)
    }

    /// The state in words, with what matters about it.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> String {
        let status = self.status();
        match (status, self.row.next_restart_at) {
            _ if !self.supervised && self.alive => format!("{} (unsupervised)", status.word()),
            (Status::Backoff, Some(at)) if self.supervised => format!("backoff {}", length(now.age(at))),
            _ => status.word().to_owned(),
        }
    }
}

/// Whether this state means that a process lives.
fn claims_life(status: Status) -> bool {
    !matches!(status, Status::Backoff | Status::Failed | Status::Stopped | Status::Lost)
}

/// The columns, most important first: narrow terminals lose them from the right.
const COLUMNS: [Column; 8] = [
    Column { title: "ID", shrinks_to: None },
    Column { title: "ROLE", shrinks_to: None },
    Column { title: "STATE", shrinks_to: None },
    Column { title: "PID", shrinks_to: None },
    Column { title: "UPTIME", shrinks_to: None },
    Column { title: "RESTARTS", shrinks_to: None },
    Column { title: "LAST-DEATH", shrinks_to: Some(10) },
    Column { title: "DOING", shrinks_to: Some(7) },
];

/// Header, table and problems.
#[must_use]
pub fn status(header: &Header, rows: &[Shown], columns: usize) -> String {
    let mut out = head(header, columns);
    if rows.is_empty() {
        out.push_str("no instances\n");
    } else {
        out.push_str(&rows_table(rows, header.now, columns));
    }
    for problem in problems(header, rows) {
        out.push_str(&problem_line(&problem));
    }
    out
}

/// The table alone.
#[must_use]
pub fn rows_table(rows: &[Shown], now: Timestamp, columns: usize) -> String {
    let cells: Vec<Vec<Cell>> = rows.iter().map(|shown| row_cells(shown, now)).collect();
    let nobody_died = rows.iter().all(|shown| shown.row.last_death.is_none());
    if !nobody_died {
        return table(&COLUMNS, &cells, columns);
    }
    let without = |cells: Vec<Cell>| -> Vec<Cell> {
        cells
            .into_iter()
            .zip(COLUMNS)
            .filter(|(_, head)| head.title != "LAST-DEATH")
            .map(|(cell, _)| cell)
            .collect()
    };
    let heads: Vec<Column> = COLUMNS.into_iter().filter(|head| head.title != "LAST-DEATH").collect();
    table(&heads, &cells.into_iter().map(without).collect::<Vec<_>>(), columns)
}

/// The lines above the table.
#[must_use]
pub fn head(header: &Header, columns: usize) -> String {
    let ago = |at: Timestamp| length(at.age(header.now));
    let mut parts = vec![match &header.supervisor {
        Supervisor::Running { pid, since } => format!("supervisor {pid}, up {}", ago(*since)),
        Supervisor::Gone { pid: Some(pid), since } => {
            format!("no supervisor; last one (pid {pid}, started {} ago) is gone without a word", ago(*since))
        }
        Supervisor::Gone { pid: None, since } => {
            format!("no supervisor; last one (started {} ago) ended in order", ago(*since))
        }
        Supervisor::Never => "no supervisor; none has run here yet".to_owned(),
    }];
    parts.push(format!("state {}", clean(&header.state)));
    parts.extend(header.workspace.as_ref().map(|path| format!("workspace {}", clean(path))));
    if !header.containment.is_empty() && matches!(header.supervisor, Supervisor::Running { .. }) {
        parts.push(format!("containment {}", clean(&header.containment)));
    }
    parts.extend(header.progress.map(Progress::sentence));
    let mut out = wrap(&parts, columns);
    out.push('\n');
    out
}

/// `! instance_2 failed: …; next: tachi why instance_2`
#[must_use]
pub fn problem_line(problem: &Problem) -> String {
    let mark = paint(if problem.grave { Tone::Bad } else { Tone::Warn }, "!");
    format!("{mark} {}; next: {}\n", clean(&problem.text), problem.next)
}

fn row_cells(shown: &Shown, now: Timestamp) -> Vec<Cell> {
    let row = &shown.row;
    let uptime = row.started_at.filter(|_| shown.alive).map_or_else(dash, |at| length(at.age(now)));
    let doing = row.doing.as_deref().filter(|_| shown.alive).or(row.reason.as_deref());
    vec![
        Cell::plain(row.instance_id.as_str()),
        Cell::plain(row.role.as_str()),
        Cell::toned(shown.state(now), tone(shown.status())),
        Cell::plain(row.pid.filter(|_| shown.alive).map_or_else(dash, |pid| pid.to_string())),
        Cell::plain(uptime),
        Cell::plain(row.restarts.to_string()),
        Cell::plain(row.last_death.as_ref().map_or_else(dash, |death| last_death(death, now))),
        Cell::plain(doing.map_or_else(dash, |doing| fit(&clean(doing), 200))),
    ]
}

fn dash() -> String {
    "-".to_owned()
}

/// `SIGKILL 3m`: how, and how long ago.
fn last_death(death: &Death, now: Timestamp) -> String {
    format!("{} {}", how(death), coarse(death.at.age(now)))
}

/// `SIGKILL`, `exit 1`, `lost`.
#[must_use]
pub fn how(death: &Death) -> String {
    match death.kind {
        DeathKind::Exit => format!("exit {}", death.code.unwrap_or_default()),
        DeathKind::Signal => clean(death.signal.as_deref().unwrap_or("signal")),
        DeathKind::SpawnError => "spawn".to_owned(),
        DeathKind::Lost => "lost".to_owned(),
    }
}

/// How long a row's process has run, for those who need the number.
#[must_use]
pub fn uptime(shown: &Shown, now: Timestamp) -> Option<Duration> {
    shown.row.started_at.filter(|_| shown.alive).map(|at| at.age(now))
}
