//! `tachi check`: the settled settings as a plan — pure.

use serde_json::{Value, json};
use tachi_shared::registry::Kind;

use super::json::SCHEMA;
use super::table::{Cell, Column, table};
use super::text::clean;
use crate::settings::{Settings, Spec, time};

const COLUMNS: [Column; 7] = [
    Column { title: "ID", shrinks_to: None },
    Column { title: "ROLE", shrinks_to: None },
    Column { title: "RUNS", shrinks_to: Some(12) },
    Column { title: "RESTART", shrinks_to: None },
    Column { title: "LIMIT", shrinks_to: None },
    Column { title: "GRACE", shrinks_to: None },
    Column { title: "PORT", shrinks_to: None },
];

/// The plan as text.
#[must_use]
pub fn text(settings: &Settings, columns: usize) -> String {
    let config = settings.config.as_ref().map_or("none".to_owned(), |read| read.path.display().to_string());
    let loss = settings.on_supervisor_loss.word();
    let mut out = format!(
        "configuration {}\nstate         {}\nworkspace     {}\nwithout a supervisor instances {loss}, brake {}\n",
        clean(&config),
        clean(&settings.state.display().to_string()),
        clean(&settings.workspace.display().to_string()),
        if settings.brake { "auto" } else { "none" },
    );
    if let Some(goal) = &settings.goal {
        out.push_str(&format!("goal          {}\n", clean(goal)));
    }
    let rows: Vec<Vec<Cell>> = settings.specs.iter().map(row).collect();
    out.push_str(&table(&COLUMNS, &rows, columns));
    out
}

fn row(spec: &Spec) -> Vec<Cell> {
    let runs = match spec.kind {
        Kind::Worker => format!("tachi-worker ({})", spec.backend),
        Kind::Command => spec.command.join(" "),
    };
    vec![
        Cell::plain(spec.id.as_str()),
        Cell::plain(spec.role.as_str()),
        Cell::plain(clean(&runs)),
        Cell::plain(
            serde_json::to_value(spec.restart)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
        ),
        Cell::plain(limit(spec)),
        Cell::plain(time::show(spec.grace)),
        Cell::plain(spec.port.map_or_else(|| "-".to_owned(), |port| port.to_string())),
    ]
}

fn limit(spec: &Spec) -> String {
    spec.limit
        .map_or_else(|| "none".to_owned(), |limit| format!("{} in {}", limit.burst, time::show(limit.period)))
}

/// The plan as JSON. Environments are left out: they may hold secrets.
#[must_use]
pub fn json(settings: &Settings) -> Value {
    let specs: Vec<Value> = settings
        .specs
        .iter()
        .map(|spec| {
            json!({
                "id": spec.id, "role": spec.role, "kind": spec.kind, "command": spec.command, "cwd": spec.cwd,
                "port": spec.port, "restart": spec.restart, "limit": limit(spec), "grace": time::show(spec.grace),
                "backend": spec.backend,
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "config": settings.config.as_ref().map(|read| &read.path),
        "state": settings.state,
        "workspace": settings.workspace,
        "goal": settings.goal,
        "on_supervisor_loss": settings.on_supervisor_loss,
        "brake": settings.brake,
        "instances": specs,
    })
}
