//! Machine-readable output: versioned, stable names — pure.

use serde_json::{Map, Value, json};

use super::problem::problems;
use super::status::{Header, Shown, Supervisor, uptime};

/// Version of every document below.
pub const SCHEMA: u64 = 1;

/// A document `{"schema":1, key: value}`.
#[must_use]
pub fn document(key: &str, value: Value) -> Value {
    let mut map = Map::new();
    map.insert("schema".to_owned(), json!(SCHEMA));
    map.insert(key.to_owned(), value);
    Value::Object(map)
}

/// `status --json`.
#[must_use]
pub fn status(header: &Header, rows: &[Shown]) -> Value {
    let supervisor = match &header.supervisor {
        Supervisor::Running { pid, since } => json!({
            "running": true, "pid": pid, "started_at": since,
            "uptime_s": since.age(header.now).as_secs(), "containment": header.containment,
        }),
        Supervisor::Gone { pid, since } => json!({ "running": false, "last_pid": pid, "started_at": since }),
        Supervisor::Never => json!({ "running": false }),
    };
    let problems: Vec<Value> = problems(header, rows)
        .into_iter()
        .map(|problem| json!({ "instance": problem.instance, "text": problem.text, "next": problem.next }))
        .collect();
    json!({
        "schema": SCHEMA,
        "at": header.now,
        "state_dir": header.state,
        "workspace": header.workspace,
        "supervisor": supervisor,
        "stop": header.latched,
        "config_not_applied": header.unapplied,
        "progress": header.progress.map(super::Progress::json),
        "ready": rows.iter().all(|shown| !shown.is_missing()),
        "instances": rows.iter().map(|shown| row(shown, header)).collect::<Vec<_>>(),
        "problems": problems,
    })
}

/// A registry row, with what was verified about it.
fn row(shown: &Shown, header: &Header) -> Value {
    let mut value = serde_json::to_value(&shown.row).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.insert("status".to_owned(), json!(shown.status().word()));
        map.insert("pid".to_owned(), json!(shown.row.pid.filter(|_| shown.alive)));
        map.insert("alive".to_owned(), json!(shown.alive));
        map.insert("supervised".to_owned(), json!(shown.supervised));
        map.insert("uptime_s".to_owned(), json!(uptime(shown, header.now).map(|time| time.as_secs())));
    }
    value
}
