//! The last starts of instances that left the fleet, kept in the supervisor's row: whoever comes back under an old id goes
//! on counting, so that no message id and no claim of a former life is ever made twice.

use std::collections::BTreeMap;

use tachi_shared::id::{Incarnation, InstanceId};
use tachi_shared::registry::SupervisorRow;

/// Name of the field in the supervisor's row.
const FIELD: &str = "retired";

/// What former supervisors remembered; a field that was damaged by hand remembers nothing.
pub(super) fn remembered(row: &SupervisorRow) -> BTreeMap<InstanceId, Incarnation> {
    let field = row.extra.get(FIELD).cloned().unwrap_or_default();
    serde_json::from_value(field).unwrap_or_default()
}

/// Puts them down for the next supervisor.
pub(super) fn remember(row: &mut SupervisorRow, retired: &BTreeMap<InstanceId, Incarnation>) {
    match serde_json::to_value(retired) {
        Ok(value) if !retired.is_empty() => {
            row.extra.insert(FIELD.to_owned(), value);
        }
        _ => {
            row.extra.remove(FIELD);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};
    use tachi_shared::clock::Timestamp;

    use super::*;

    #[test]
    fn what_is_remembered_comes_back_and_nonsense_is_nothing() {
        let mut row = SupervisorRow {
            pid: None,
            pid_start: None,
            boot_id: String::new(),
            incarnation: Incarnation(1),
            started_at: Timestamp::EPOCH,
            workspace: None,
            containment: String::new(),
            extra: Map::new(),
        };
        assert_eq!(remembered(&row), BTreeMap::new());
        let retired = BTreeMap::from([(InstanceId::new("instance_5").unwrap(), Incarnation(3))]);
        remember(&mut row, &retired);
        assert_eq!(row.extra.get("retired"), Some(&json!({"instance_5": 3})));
        assert_eq!(remembered(&row), retired);
        remember(&mut row, &BTreeMap::new());
        assert!(row.extra.is_empty());
        row.extra.insert("retired".to_owned(), json!(["x"]));
        assert_eq!(remembered(&row), BTreeMap::new());
    }
}
