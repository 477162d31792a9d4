//! `tasks.json`: the board as people read it — pure.
//!
//! Format: `{"schema":1,"seq":n,"tasks":[…],"proposals":[…]}`, one task or proposal a line, in order of their ids. Replaced
//! whole by the supervisor, at most once a second; derived from `tasks/*.jsonl`, so a crash loses nothing.

use serde::Serialize;

use super::board::Board;

/// The board as JSON text.
#[must_use]
pub fn render(board: &Board) -> String {
    let tasks = lines(board.tasks.values());
    let proposals = lines(board.proposals.values());
    format!("{{\"schema\":1,\"seq\":{},\"tasks\":[{tasks}],\n\"proposals\":[{proposals}]}}\n", board.seq)
}

fn lines<T: Serialize>(items: impl Iterator<Item = T>) -> String {
    // A value of our own types always becomes JSON; the fallback keeps the file readable if that ever changes.
    let lines: Vec<String> =
        items.map(|item| serde_json::to_string(&item).unwrap_or_else(|_| "null".to_owned())).collect();
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join(",\n")) }
}
