//! What a person should know, with the command that helps — pure.

use tachi_shared::registry::{Desired, Status};

use super::status::{Header, Shown, Supervisor, how};

/// One line below the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which instance, if one.
    pub instance: Option<String>,
    /// What is wrong.
    pub text: String,
    /// What helps.
    pub next: String,
    /// Whether nothing will get better by itself.
    pub grave: bool,
}

/// Everything worth a line, the fleet as a whole first.
#[must_use]
pub fn problems(header: &Header, rows: &[Shown]) -> Vec<Problem> {
    let mut all = of_fleet(header, rows);
    all.extend(rows.iter().filter_map(of_row));
    all
}

fn of_fleet(header: &Header, rows: &[Shown]) -> Vec<Problem> {
    let mut all = Vec::new();
    let mut tell = |text: String, next: &str, grave: bool| {
        all.push(Problem { instance: None, text, next: next.to_owned(), grave });
    };
    for trouble in &header.troubles {
        tell(trouble.clone(), "correct the file; the last good state stays in force", true);
    }
    if let Some(text) = &header.latched {
        let why = text.lines().next().filter(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        tell(format!("stop is latched ({why}): nothing starts"), "tachi resume --all", false);
    }
    if let (Some(path), Supervisor::Running { .. }) = (&header.unapplied, &header.supervisor) {
        tell(format!("{path} changed on disk, not applied"), "tachi apply --dry-run", false);
    }
    let orphans = rows.iter().filter(|shown| shown.alive && !shown.supervised).count();
    if orphans > 0 && !matches!(header.supervisor, Supervisor::Running { .. }) {
        let verb = if orphans == 1 { "instance runs" } else { "instances run" };
        tell(
            format!("{orphans} {verb} without a supervisor"),
            "tachi up (adopts) or tachi down (ends)",
            false,
        );
    }
    all
}

fn of_row(shown: &Shown) -> Option<Problem> {
    let row = &shown.row;
    let id = &row.instance_id;
    let reason = || match (&row.reason, &row.last_death) {
        (Some(reason), _) => format!(": {reason}"),
        (None, Some(death)) => format!(": {}", how(death)),
        (None, None) => String::new(),
    };
    let (text, next, grave) = match shown.status() {
        Status::Failed => {
            (format!("{id} failed{}", reason()), format!("tachi why {id}, tachi start {id}"), true)
        }
        Status::Backoff if shown.supervised => {
            (format!("{id} waits before its next start{}", reason()), format!("tachi why {id}"), false)
        }
        Status::Stalled => {
            (format!("{id} is silent longer than announced"), format!("tachi logs {id}"), false)
        }
        Status::Frozen => (
            format!("{id} is stopped by a signal from outside"),
            row.pid.map_or_else(|| format!("tachi restart {id}"), |pid| format!("kill -CONT {pid}")),
            false,
        ),
        Status::Stopped if shown.supervised && waits(row.reason.as_deref()) => {
            (format!("{id} is down{}", reason()), format!("tachi why {id}"), false)
        }
        Status::Lost if row.desired != Desired::Stopped => {
            let next = if shown.supervised { format!("tachi restart {id}") } else { "tachi up".to_owned() };
            (format!("{id} is gone and nobody saw how"), next, true)
        }
        _ => return None,
    };
    Some(Problem { instance: Some(id.to_string()), text, next, grave })
}

/// Whether the reason is that something it needs is not there.
fn waits(reason: Option<&str>) -> bool {
    reason.is_some_and(|reason| reason.starts_with("it waits for "))
}
