//! The board: every recorded change was allowed when it was recorded — pure.
//!
//! Writers judge under the lock, so the log holds no change that the fold has to ignore. One that it would ignore means two
//! owners of one claim, or a task finished twice.

use super::finding::{Finding, Outcome};
use super::segment::Segment;
use crate::id::{Seq, TaskId};
use crate::task::{Board, TaskEvent, TaskStatus};

/// Replays the board and names every change that was not allowed.
#[must_use]
pub fn changes_were_allowed(tasks: &[Segment]) -> Outcome {
    let mut board = Board::default();
    let mut findings = Vec::new();
    let mut count = 0_usize;
    for segment in tasks {
        for (line, seq, text) in segment.records() {
            count += 1;
            let refused = match serde_json::from_str::<TaskEvent>(text) {
                Ok(event) => {
                    let refused = refusal(&board, &event);
                    board.apply(Seq(seq), &event);
                    refused
                }
                Err(error) => Some(format!("it is no change of a task: {error}")),
            };
            if let Some(what) = refused {
                let why = "two could have worked on one task, or finished it twice";
                let next = "the board ignores it; report it if nobody edited the file by hand";
                findings.push(Finding::problem(&segment.path, what, why, next).on_line(line));
            }
        }
    }
    Outcome::new("a task has one owner at a time and is done once", format!("{count} changes"), findings)
}

/// Why this change was not allowed on this board.
fn refusal(board: &Board, event: &TaskEvent) -> Option<String> {
    let (task, fence, verb) = match event {
        TaskEvent::Claimed { task, by, .. } => return claim(board, task, by.as_str()),
        TaskEvent::Done { task, fence, .. } => (task, fence, "done"),
        TaskEvent::Failed { task, fence, .. } => (task, fence, "failed"),
        TaskEvent::Released { task, fence, .. } => (task, fence, "released"),
        TaskEvent::Renewed { task, fence, .. } => (task, fence, "renewed"),
        TaskEvent::Added { .. }
        | TaskEvent::Cancelled { .. }
        | TaskEvent::Proposed { .. }
        | TaskEvent::Voted { .. } => return None,
    };
    let owner = board.tasks.get(task).and_then(|task| task.owner.as_ref());
    match owner {
        Some(owner) if owner.fence == *fence => None,
        Some(owner) => Some(format!(
            "task {task} is {verb} under claim {fence}, but {} holds it under {}",
            owner.instance, owner.fence
        )),
        None => Some(format!("task {task} is {verb} under claim {fence}, which nobody holds any more")),
    }
}

fn claim(board: &Board, id: &TaskId, by: &str) -> Option<String> {
    let Some(task) = board.tasks.get(id) else {
        return Some(format!("{by} claims task {id}, which is not there"));
    };
    match task.status {
        TaskStatus::Open | TaskStatus::Claimed => None,
        status => Some(format!("{by} claims task {id}, which is {}", status.word())),
    }
}
