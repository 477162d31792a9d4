//! Who needs whom: a start waits until everything it needs is ready, a stop until nobody who needs it is left.
//!
//! Names are looked up anew each time, because members of a role come and go. A job that has finished counts as ready. A
//! running instance is not touched when what it needs restarts: that is for programs to bear. The settings have proven
//! that there is no circle; where one came about all the same, a second request to leave kills everybody.

use tachi_shared::id::InstanceId;

use super::next::Step;
use super::phase::{Phase, Rest, StopCause, Wait};
use super::state::{Fleet, Instance};

impl Fleet {
    /// Those that `instance` needs.
    fn needed<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = &'a Instance> {
        instance.spec.needs.iter().flat_map(|name| {
            let by_id = self.instances.iter().find(|(id, _)| id.as_str() == name).map(|(_, found)| found);
            let is_member = move |other: &&Instance| {
                by_id.is_none() && !other.leaving && other.spec.role.as_str() == name
            };
            by_id.into_iter().chain(self.instances.values().filter(is_member))
        })
    }

    fn needs(&self, instance: &Instance, other: &InstanceId) -> bool {
        self.needed(instance).any(|needed| needed.spec.id == *other)
    }

    /// Why this one cannot start yet; who will not come by itself is named first.
    pub(super) fn wait_of(&self, id: &InstanceId) -> Option<Wait> {
        let instance = self.get(id)?;
        let missing = || self.needed(instance).filter(|needed| !serves(needed));
        let first = missing().find(|needed| is_hopeless(needed)).or_else(|| missing().next())?;
        let reason = format!("it waits for {}, which {}", first.spec.id, how(first));
        let again = matches!(&instance.phase, Phase::Waiting(wait) if wait.again);
        Some(Wait { reason, hopeless: is_hopeless(first), again })
    }

    /// Everybody who needs this one, also through others.
    pub(super) fn dependents(&self, id: &InstanceId) -> Vec<InstanceId> {
        let mut found: Vec<InstanceId> = Vec::new();
        let mut open = vec![id.clone()];
        while let Some(next) = open.pop() {
            for (other, instance) in &self.instances {
                if other != id && !found.contains(other) && self.needs(instance, &next) {
                    found.push(other.clone());
                    open.push(other.clone());
                }
            }
        }
        found
    }

    /// Who still lives, is to end as well, and needs this one.
    fn before(&self, id: &InstanceId) -> Option<&InstanceId> {
        let ends_first = |other: &Instance| {
            !other.spec.needs.is_empty()
                && other.occupied()
                && !self.wants_up(other)
                && other.spec.id != *id
                && self.needs(other, id)
        };
        self.instances.iter().find(|(_, other)| ends_first(other)).map(|(other, _)| other)
    }

    /// Why an instance that is to end has not been asked yet.
    pub(super) fn held_up(&self, instance: &Instance) -> Option<String> {
        self.put_off.get(&instance.spec.id)?;
        let first = self.before(&instance.spec.id)?;
        Some(format!("it ends after {first}, which needs it"))
    }
}

/// Whether others may rely on it.
fn serves(needed: &Instance) -> bool {
    needed.ready() || matches!(needed.phase, Phase::Down(Rest::Finished(_)))
}

/// Whether it will not become ready unless somebody does something.
fn is_hopeless(needed: &Instance) -> bool {
    match &needed.phase {
        Phase::Failed { .. } => true,
        Phase::Down(rest) => *rest != Rest::Waiting,
        Phase::Waiting(wait) => wait.hopeless,
        _ => false,
    }
}

/// The state of somebody who is needed, for people.
fn how(needed: &Instance) -> String {
    match &needed.phase {
        Phase::Failed { reason } => format!("was given up: {reason}"),
        Phase::Down(Rest::Requested) => "a person stopped".to_owned(),
        Phase::Waiting(wait) => format!("waits itself: {}", wait.reason),
        Phase::Down(_) => "is down".to_owned(),
        Phase::Backoff { reason, .. } | Phase::Held { reason } => {
            format!("waits for its next start after {reason}")
        }
        _ => format!("is {}", needed.status().word()),
    }
}

impl Step<'_> {
    /// Whether the stop of this one has to wait for the end of others; then it is remembered.
    pub(super) fn put_off(&mut self, id: &InstanceId, cause: StopCause) -> bool {
        let Some(instance) = self.fleet.get(id) else { return false };
        let lives = matches!(instance.phase, Phase::Spawning { .. } | Phase::Alive(_));
        if !lives || self.fleet.wants_up(instance) || self.fleet.before(id).is_none() {
            self.fleet.put_off.remove(id);
            return false;
        }
        self.fleet.put_off.insert(id.clone(), cause);
        self.moved(id);
        true
    }

    /// Starts whoever has waited long enough, and ends those whose turn it is.
    pub(super) fn look_at_needs(&mut self) {
        while !self.moved.is_empty() && self.look_at_waiting() {}
        for (id, cause) in self.fleet.put_off.clone() {
            let up = self.fleet.get(&id).is_none_or(|instance| self.fleet.wants_up(instance));
            if up {
                // Nothing happened to it, but whoever waits for its end waits in vain.
                self.fleet.put_off.remove(&id);
                self.moved(&id);
            } else if !self.moved.is_empty() {
                self.stop_one(&id, cause);
            }
        }
    }

    /// One look at all who wait; whether anything changed, on which others may wait.
    fn look_at_waiting(&mut self) -> bool {
        let mut changed = false;
        for id in self.fleet.waiting.clone() {
            let now = self.fleet.wait_of(&id);
            let Some(Phase::Waiting(before)) = self.fleet.get(&id).map(|instance| &instance.phase) else {
                self.fleet.waiting.remove(&id);
                continue;
            };
            let again = before.again;
            match now {
                Some(wait) if wait == *before => continue,
                Some(wait) => self.enter(&id, Phase::Waiting(wait)),
                None if again => self.replace(&id),
                None => self.start(&id),
            }
            changed = true;
        }
        changed
    }
}
