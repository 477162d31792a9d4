//! Who writes files that are replaced whole: the memory and the registry.

use serde_json::{Value, json};
use tachi_shared::memory::MemoryStore;
use tachi_shared::registry::{Registry, RegistryStore};
use tachi_shared::snapshot::Loaded;

use crate::process::{ROUNDS, Start, WAIT};

impl Start<'_> {
    /// Adds one to its own number and to the sum of all.
    pub(crate) fn remember(&self) {
        let mut store = MemoryStore::new(self.machine.clone(), self.dir);
        let mut last_rev = 0;
        for _ in 0..ROUNDS {
            let acked = self.machine.look(|inside| {
                let counts = inside.ledger.remembered.entry(self.name.to_owned()).or_default();
                counts.1 += 1;
                counts.0
            });
            let mut found = None;
            let changed = store.update(WAIT, |memory| {
                let number = |key: &str| memory.facts.get(key).and_then(Value::as_u64).unwrap_or(0);
                let (mine, sum) = (number(self.name), number("sum"));
                found = Some(mine);
                memory.facts.insert(self.name.to_owned(), json!(mine + 1));
                memory.facts.insert("sum".to_owned(), json!(sum + 1));
                Ok(())
            });
            self.machine.look(|inside| {
                let ledger = &mut inside.ledger;
                ledger.note(|| format!("{} found {found:?}, is told {changed:?}", self.name));
                if let Some(found) = found
                    && found < acked
                {
                    ledger.blame(format!(
                        "{} finds {found} changes of its own, {acked} were acknowledged",
                        self.name
                    ));
                }
                let counts = ledger.remembered.get_mut(self.name).unwrap();
                match changed {
                    Ok(()) => counts.0 = acked + 1,
                    Err(_) => counts.1 -= 1,
                }
            });
            let loaded = store.load();
            self.machine.look(|inside| match loaded {
                Ok(Loaded::Good(memory)) if memory.rev >= last_rev => last_rev = memory.rev,
                Ok(Loaded::Missing) if last_rev == 0 => {}
                Err(_) => {}
                other => {
                    inside.ledger.blame(format!("{} read revision {last_rev}, then {other:?}", self.name));
                }
            });
        }
    }

    /// Counts in its own row and in the registry as a whole.
    pub(crate) fn register(&self) {
        let mut store = RegistryStore::new(self.machine.clone(), self.dir);
        let mut last_rev = 0;
        for _ in 0..ROUNDS {
            let acked = self.machine.look(|inside| {
                let counts = inside.ledger.registered.entry(self.name.to_owned()).or_default();
                counts.1 += 1;
                counts.0
            });
            let mut found = None;
            let changed = store.update(WAIT, |registry| {
                found = Some(self.count(registry));
                Ok(())
            });
            self.machine.look(|inside| {
                let ledger = &mut inside.ledger;
                ledger.note(|| format!("{} found {found:?}, is told {changed:?}", self.name));
                if found.is_some_and(|found| found < acked) {
                    let what = format!(
                        "{} finds {found:?} changes of its row, {acked} were acknowledged",
                        self.name
                    );
                    ledger.blame(what);
                }
                let counts = ledger.registered.get_mut(self.name).unwrap();
                match changed {
                    Ok(()) => counts.0 = acked + 1,
                    Err(_) => counts.1 -= 1,
                }
            });
            let loaded = store.load();
            self.machine.look(|inside| match loaded {
                Ok(Loaded::Good(registry)) if registry.rev >= last_rev => last_rev = registry.rev,
                Ok(Loaded::Missing) if last_rev == 0 => {}
                Err(_) => {}
                // It is not synced before it is replaced.
                _ if inside.ledger.power_lost => {}
                other => {
                    inside.ledger.blame(format!("{} read revision {last_rev}, then {other:?}", self.name));
                }
            });
        }
    }

    /// One more in the own row, which is made if it is missing, and in the sum; tells what was in the row.
    fn count(&self, registry: &mut Registry) -> u64 {
        let sum = registry.extra.get("sum").and_then(Value::as_u64).unwrap_or(0);
        registry.extra.insert("sum".to_owned(), json!(sum + 1));
        let id = self.id();
        if registry.row(&id).is_none() {
            registry.instances.push(row(self.name));
        }
        let row = registry.row_mut(&id).unwrap();
        row.restarts += 1;
        row.restarts - 1
    }
}

/// A first row.
fn row(name: &str) -> tachi_shared::registry::Row {
    let fields = json!({
        "instance_id": name, "role": "builder", "pid": null, "pid_start": null, "incarnation": 1, "status": "ready",
        "desired": "running", "started_at": null, "last_heartbeat": null, "restarts": 0, "next_restart_at": null,
        "backend": "builtin", "doing": null, "last_death": null,
    });
    serde_json::from_value(fields).unwrap()
}
