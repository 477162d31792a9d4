//! So many instances of a role: added with the next free numbers, drained from the highest.

use std::cmp::Reverse;

use tachi_shared::id::{CommandId, InstanceId, Role};

use super::next::Step;
use super::reply::Goal;
use super::state::{Fleet, Instance};
use crate::settings::Spec;

/// Most instances of one fleet.
const FLEET_MAX: usize = 1000;

/// The number an id ends in; ids without one count as the lowest.
pub(super) fn number(id: &InstanceId) -> u64 {
    let text = id.as_str();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    text.get(digits..).and_then(|number| number.parse().ok()).unwrap_or_default()
}

impl Fleet {
    /// How an instance of `role` is run if nothing names it; without a role, as the first template says.
    pub(super) fn template(&self, role: Option<&Role>, id: &InstanceId) -> Option<Spec> {
        Self::from_template(&self.templates, role, id).or_else(|| Self::from_template(&self.specs, role, id))
    }

    /// The same, as these templates say; the first serves roles that have none.
    pub(super) fn from_template(templates: &[Spec], role: Option<&Role>, id: &InstanceId) -> Option<Spec> {
        let known = templates.iter().find(|spec| Some(&spec.role) == role);
        let mut spec = known.or(templates.first())?.clone();
        spec.id = id.clone();
        spec.port = None;
        if let Some(role) = role {
            spec.role = role.clone();
        }
        Some(spec)
    }
}

impl Step<'_> {
    pub(super) fn scale(&mut self, command: CommandId, role: &str, count: u32) {
        let role = match Role::new(role) {
            Ok(role) => role,
            Err(error) => return self.refuse(command, 2, error.to_string()),
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let members: Vec<InstanceId> = self
            .fleet
            .in_order()
            .filter(|(_, instance)| instance.spec.role == role && !instance.leaving)
            .map(|(id, _)| id.clone())
            .collect();
        let others = self.fleet.order.len() - members.len();
        if count.saturating_add(others) > FLEET_MAX {
            let text = format!("{role}={count} would make more than {FLEET_MAX} instances");
            return self.refuse(command, 2, text);
        }
        let goals = if count > members.len() {
            self.add(&role, count - members.len())
        } else {
            self.drain(members, count)
        };
        self.promise(command, "scaled", goals);
    }

    fn add(&mut self, role: &Role, missing: usize) -> Vec<(InstanceId, Goal)> {
        let free = (1..=2 * FLEET_MAX)
            .filter_map(|k| InstanceId::new(&format!("instance_{k}")).ok())
            .filter(|id| !self.fleet.instances.contains_key(id))
            .take(missing);
        let free: Vec<InstanceId> = free.collect();
        let mut goals = Vec::new();
        for id in free {
            let Some(spec) = self.fleet.template(Some(role), &id) else { break };
            let mut instance = Instance::new(spec);
            instance.incarnation = self.fleet.retired.remove(&id).unwrap_or_default();
            self.fleet.instances.insert(id.clone(), instance);
            self.fleet.order.push(id.clone());
            self.start(&id);
            goals.push((id, Goal::Ready { above: None }));
        }
        goals
    }

    fn drain(&mut self, mut members: Vec<InstanceId>, count: usize) -> Vec<(InstanceId, Goal)> {
        members.sort_by_key(|id| Reverse((number(id), id.clone())));
        members.truncate(members.len() - count);
        for id in &members {
            self.discharge(id);
        }
        members.into_iter().map(|id| (id, Goal::Down)).collect()
    }

    /// Takes an instance that is down out of the fleet; its incarnations are remembered.
    pub(super) fn remove(&mut self, id: &InstanceId) {
        if let Some(instance) = self.fleet.instances.remove(id) {
            self.fleet.order.retain(|other| other != id);
            self.fleet.retired.insert(id.clone(), instance.incarnation);
        }
        self.moved(id);
    }
}
