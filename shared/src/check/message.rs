//! Messages: each once — pure.
//!
//! Deliberately absent: the order of one sender's ids. What is owed for a task gets its id when it is decided and is sent when the
//! task is settled, so a lower number may rightly stand behind a higher one.

use std::collections::BTreeMap;

use super::finding::{Finding, Outcome};
use super::segment::Segment;

/// An id that an instance gave (`<instance>.<start>.<k>`) is stored once. Ids given by hand may come again on purpose.
#[must_use]
pub fn stored_once(messages: &[Segment]) -> Outcome {
    let mut first: BTreeMap<&str, (&Segment, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut count = 0_usize;
    for segment in messages {
        for (line, _, id) in segment.records().filter(|(_, _, id)| is_given(id)) {
            count += 1;
            if let Some((other, other_line)) = first.insert(id, (segment, line)) {
                let what = format!("message {id} is also at {}:{other_line}", other.path.display());
                let why = "one message was sent twice, so its reader may act twice";
                let next = "report it: a sender looks for its ids before it sends again";
                findings.push(Finding::problem(&segment.path, what, why, next).on_line(line));
            }
        }
    }
    Outcome::new("every message is stored once", format!("{count} ids"), findings)
}

/// Whether an instance gave this id: it ends in two numbers.
fn is_given(id: &str) -> bool {
    let mut parts = id.rsplitn(3, '.');
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u64>().is_ok());
    number(parts.next()) && number(parts.next()) && parts.next().is_some_and(|name| !name.is_empty())
}
