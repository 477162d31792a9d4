//! What two readings of the configuration differ in — pure.
//!
//! Only the configuration is compared with itself: who was added or drained by `scale` since stays added or drained, and
//! changes only when the template of its role does. Rules that only the supervisor keeps are taken over in place; everything
//! a process is told at its start needs a new one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tachi_shared::id::InstanceId;

use super::state::{Fleet, Instance};
use crate::settings::{Settings, Spec};

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Diff {
    pub(super) added: Vec<Spec>,
    pub(super) removed: Vec<InstanceId>,
    pub(super) changed: Vec<Change>,
    untouched: usize,
    /// Keys of the fleet as a whole that only a new supervisor takes over.
    later: Vec<&'static str>,
}

/// One instance that is run differently from now on.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) spec: Spec,
    keys: Vec<String>,
    /// Whether its process must be replaced.
    pub(super) restart: bool,
}

impl Diff {
    /// From what is in force to what was read.
    pub(super) fn new(fleet: &Fleet, read: &Settings) -> Self {
        let mut diff = Self::default();
        let configured: BTreeSet<&InstanceId> = fleet.specs.iter().map(|spec| &spec.id).collect();
        let wanted: BTreeSet<&InstanceId> = read.specs.iter().map(|spec| &spec.id).collect();
        for spec in &read.specs {
            match fleet.get(&spec.id) {
                Some(instance) if !instance.leaving => diff.compare(instance, spec.clone()),
                None if configured.contains(&spec.id) => diff.untouched += 1,
                _ => diff.added.push(spec.clone()),
            }
        }
        for (id, instance) in fleet.in_order() {
            if instance.leaving || wanted.contains(id) {
                continue;
            }
            if configured.contains(id) {
                diff.removed.push(id.clone());
            } else if let Some(spec) = Fleet::from_template(&read.roles, Some(&instance.spec.role), id) {
                diff.compare(instance, spec);
            }
        }
        let whole = read.whole();
        let differs = |key: &&'static str| fleet.whole.get(*key) != whole.get(*key);
        diff.later = whole.keys().copied().filter(differs).collect();
        diff
    }

    fn compare(&mut self, instance: &Instance, spec: Spec) {
        let old = instance.next_spec.as_deref().unwrap_or(&instance.spec);
        let (keys, restart) = differences(old, &spec);
        if keys.is_empty() {
            self.untouched += 1;
        } else {
            self.changed.push(Change { spec, keys, restart });
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// One line: how much of what.
    pub(super) fn summary(&self) -> String {
        let (added, removed, changed) = (self.added.len(), self.removed.len(), self.changed.len());
        format!("{added} added, {removed} removed, {changed} changed, {} untouched", self.untouched)
    }

    /// For programs and for `tachi apply`, which draws it.
    pub(super) fn json(&self) -> Value {
        let change = |change: &Change| {
            let Change { spec, keys, restart } = change;
            json!({ "id": spec.id, "keys": keys, "restart": restart })
        };
        json!({
            "added": self.added.iter().map(|spec| &spec.id).collect::<Vec<_>>(),
            "removed": self.removed,
            "changed": self.changed.iter().map(change).collect::<Vec<_>>(),
            "untouched": self.untouched,
            "later": self.later,
        })
    }
}

/// Keys in which two specs differ, and whether one of them is told to the process at its start. Values are not among them:
/// environments may hold secrets.
fn differences(old: &Spec, new: &Spec) -> (Vec<String>, bool) {
    let told = [
        ("role", old.role != new.role),
        ("command", (old.kind, &old.command) != (new.kind, &new.command)),
        ("cwd", old.cwd != new.cwd),
        ("port", old.port != new.port),
        ("backend", old.backend != new.backend),
        ("grace", old.grace != new.grace),
        ("stop_signal", old.stop_signal != new.stop_signal),
        ("ready", old.ready != new.ready),
        ("limits", old.limits != new.limits),
    ];
    let kept = [
        ("restart", old.restart != new.restart),
        ("backoff", old.backoff != new.backoff),
        ("limit", old.limit != new.limit),
        ("stall_soft", old.stall_soft != new.stall_soft),
        ("stall_hard", old.stall_hard != new.stall_hard),
        ("needs", old.needs != new.needs),
        ("on_failed", old.on_failed != new.on_failed),
    ];
    let named = |pairs: &[(&str, bool)]| -> Vec<String> {
        pairs.iter().filter(|(_, differs)| *differs).map(|(key, _)| (*key).to_owned()).collect()
    };
    let mut keys = named(&told);
    keys.extend(variables(old, new).into_iter().map(|name| format!("env.{name}")));
    let restart = !keys.is_empty();
    keys.extend(named(&kept));
    (keys, restart)
}

/// Names of the variables that differ.
fn variables(old: &Spec, new: &Spec) -> BTreeSet<String> {
    let by_name = |spec: &Spec| spec.env.iter().cloned().collect::<BTreeMap<String, String>>();
    let (old, new) = (by_name(old), by_name(new));
    old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}
