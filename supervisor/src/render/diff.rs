//! What `tachi apply` changes: one line per instance, told apart by `+`, `-` and `~` — pure.

use serde_json::Value;

use super::paint::{Tone, paint};
use super::text::clean;

/// The lines.
#[must_use]
pub fn text(diff: &Value) -> String {
    let mut out = String::new();
    let list = |key: &str| diff.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut line = |tone: Tone, mark: &str, id: &str, what: &str| {
        out.push_str(&format!("{} {}  {}\n", paint(tone, mark), clean(id), clean(what)));
    };
    for id in list("added") {
        line(Tone::Good, "+", word(&id), "added");
    }
    for id in list("removed") {
        line(Tone::Bad, "-", word(&id), "removed");
    }
    for change in list("changed") {
        let keys: Vec<&str> =
            change.get("keys").and_then(Value::as_array).into_iter().flatten().map(word).collect();
        let restart = change.get("restart").and_then(Value::as_bool).unwrap_or_default();
        let how = if restart { "is replaced" } else { "no restart needed" };
        let what = format!("changed: {} ({how})", keys.join(", "));
        line(Tone::Warn, "~", change.get("id").map_or("", word), &what);
    }
    for key in list("later") {
        line(Tone::Warn, "!", word(&key), "changed: counts from the next `tachi up` on");
    }
    let untouched = diff.get("untouched").and_then(Value::as_u64).unwrap_or_default();
    let first = if out.is_empty() { "nothing changed, " } else { "" };
    out.push_str(&format!("{first}{untouched} untouched\n"));
    out
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
