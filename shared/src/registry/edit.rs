//! What a hand changed in a copy of the registry although it is no input — pure.

use serde_json::{Map, Value, json};

use super::{Registry, Row};

/// Everything that is different and not taken over, one phrase each: all but `desired`, and fields nobody knew before.
#[must_use]
pub fn not_taken(base: &Registry, hand: &Registry) -> Vec<String> {
    let mut told = Vec::new();
    for row in &hand.instances {
        let Some(was) = base.row(&row.instance_id) else {
            told.push(format!("row {} added", row.instance_id));
            continue;
        };
        let fields = fields(was, row);
        if !fields.is_empty() {
            told.push(format!("{}: {}", row.instance_id, fields.join(", ")));
        }
    }
    let removed = base.instances.iter().filter(|was| hand.row(&was.instance_id).is_none());
    told.extend(removed.map(|was| format!("row {} removed", was.instance_id)));
    if base.supervisor != hand.supervisor {
        told.push("supervisor".to_owned());
    }
    let of = |registry: &Registry| registry.extra.clone();
    told.extend(different(&of(base), &of(hand)));
    told
}

fn fields(was: &Row, row: &Row) -> Vec<String> {
    let of = |row: &Row| match json!(row) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let was_known = of(was);
    let is_taken =
        |name: &String| name == "desired" || (!was_known.contains_key(name) && row.extra.contains_key(name));
    different(&was_known, &of(row)).into_iter().filter(|name| !is_taken(name)).collect()
}

/// Names whose values are not in both alike.
fn different(a: &Map<String, Value>, b: &Map<String, Value>) -> Vec<String> {
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    names.filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}
