//! How far the survey is, derived from the board — pure.

use serde_json::{Value, json};
use tachi_shared::task::{Board, Task, TaskStatus};

use super::span::grouped;

/// Files surveyed and to be surveyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files in finished parts.
    pub done: u64,
    /// Files in all parts.
    pub total: u64,
}

impl Progress {
    /// What the board says; none before the tree has been cut into parts.
    #[must_use]
    pub fn of(board: &Board) -> Option<Self> {
        let parts: Vec<&Task> = board.tasks.values().filter(|task| is_part(task)).collect();
        let files = |done_only: bool| -> u64 {
            parts
                .iter()
                .filter(|task| !done_only || task.status == TaskStatus::Done)
                .map(|task| files(task))
                .sum()
        };
        (!parts.is_empty()).then(|| Self { done: files(true), total: files(false) })
    }

    /// `surveyed 312/1,024 files`.
    #[must_use]
    pub fn sentence(self) -> String {
        format!("surveyed {}/{} files", grouped(self.done), grouped(self.total))
    }

    /// For `--json`.
    #[must_use]
    pub fn json(self) -> Value {
        json!({ "files_done": self.done, "files_total": self.total })
    }
}

fn is_part(task: &Task) -> bool {
    task.status != TaskStatus::Cancelled && task.payload.get("kind").and_then(Value::as_str) == Some("part")
}

fn files(task: &Task) -> u64 {
    match task.payload.get("files") {
        Some(Value::Array(files)) => files.len() as u64,
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    }
}
