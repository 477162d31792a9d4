//! `apply`: the configuration as it is now, carried out where it differs from what is in force.
//!
//! Everything was settled and judged before the first instance is touched; a configuration that cannot be taken changes
//! nothing. Removed instances are drained and their rows go, changed ones are replaced (or only get new rules), added ones
//! start. Who a person has stopped stays down under its new rules.

use serde_json::Map;
use tachi_shared::id::{CommandId, InstanceId};
use tachi_shared::registry::Desired;

use super::diff::{Change, Diff};
use super::next::Step;
use super::phase::{Phase, StopCause};
use super::reply::Goal;
use super::state::Instance;
use crate::settings::{Settings, Spec};

impl Step<'_> {
    pub(super) fn reread(
        &mut self,
        command: CommandId,
        dry_run: bool,
        outcome: Result<Box<Settings>, String>,
    ) {
        let read = match outcome {
            Ok(read) => *read,
            Err(why) => {
                self.note("apply", format!("nothing was changed: {why}"));
                return self.refuse(command, 2, why);
            }
        };
        let diff = Diff::new(self.fleet, &read);
        if dry_run {
            let details = Map::from_iter([("diff".to_owned(), diff.json())]);
            return self.answer(command, diff.summary(), details);
        }
        if self.fleet.ending() {
            return self.refuse(command, 1, "the supervisor is leaving".to_owned());
        }
        if !diff.is_empty() {
            self.note("apply", format!("the configuration was read again: {}", diff.summary()));
        }
        let order: Vec<InstanceId> = read.specs.iter().map(|spec| spec.id.clone()).collect();
        self.save = true;
        self.fleet.config = read.config;
        self.fleet.brake.enable(read.brake);
        self.fleet.specs = read.specs;
        self.fleet.templates = read.roles;
        let value = diff.json();
        let goals = self.carry_out(diff);
        self.reorder(order);
        self.promise_with(command, "applied:", goals, Some(("diff", value)));
    }

    fn carry_out(&mut self, diff: Diff) -> Vec<(InstanceId, Goal)> {
        let mut goals = Vec::new();
        for id in diff.removed {
            self.discharge(&id);
            goals.push((id, Goal::Down));
        }
        let mut to_start = Vec::new();
        for spec in diff.added {
            to_start.push(spec.id.clone());
            goals.push((spec.id.clone(), self.take_on(spec)));
        }
        // New rules first: who starts or ends below may need somebody else than before.
        let mut to_replace = Vec::new();
        for Change { spec, restart, .. } in diff.changed {
            let id = spec.id.clone();
            self.give_rules(spec, restart);
            if restart {
                to_replace.push(id);
            } else {
                goals.push((id, Goal::Taken));
            }
        }
        for id in to_replace {
            let goal = self.replace_by_hand(&id);
            goals.push((id, goal));
        }
        to_start.iter().for_each(|id| self.start(id));
        goals
    }

    /// One more member; one that is still leaving comes back once it is down.
    fn take_on(&mut self, spec: Spec) -> Goal {
        let id = spec.id.clone();
        if let Some(instance) = self.fleet.instances.get_mut(&id) {
            instance.leaving = false;
            instance.desired = Desired::Running;
            instance.next_spec = Some(Box::new(spec));
            instance.history.clear();
            let above = Some(instance.incarnation);
            self.moved(&id);
            return Goal::Ready { above };
        }
        let mut instance = Instance::new(spec);
        instance.incarnation = self.fleet.retired.remove(&id).unwrap_or_default();
        self.fleet.instances.insert(id.clone(), instance);
        self.fleet.order.push(id);
        Goal::Ready { above: None }
    }

    /// What it is run by from now on; what its process is told only counts from its next start on.
    fn give_rules(&mut self, spec: Spec, restart: bool) {
        let id = spec.id.clone();
        let Some(instance) = self.fleet.instances.get_mut(&id) else { return };
        if instance.next_spec.is_some() || (restart && instance.occupied()) {
            instance.next_spec = Some(Box::new(spec));
        } else {
            instance.spec = spec;
        }
        self.moved(&id);
    }

    /// As a person would: forgiven and replaced; who is kept down stays so.
    fn replace_by_hand(&mut self, id: &InstanceId) -> Goal {
        let Some(instance) = self.fleet.get(id) else { return Goal::Down };
        if !self.fleet.wants_up(instance) {
            return Goal::Taken;
        }
        let lives = matches!(instance.phase, Phase::Spawning { .. } | Phase::Alive(_) | Phase::Stopping(_));
        let above = lives.then_some(instance.incarnation);
        self.want_restart(id);
        Goal::Ready { above }
    }

    /// Ends a member and lets its row go.
    pub(super) fn discharge(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.instances.get_mut(id) else { return };
        instance.leaving = true;
        if instance.occupied() {
            self.stop_one(id, StopCause::Scale);
        } else {
            self.remove(id);
        }
    }

    /// The order of the configuration; who is not in it keeps its place behind.
    fn reorder(&mut self, mut order: Vec<InstanceId>) {
        order.retain(|id| self.fleet.instances.contains_key(id));
        let others: Vec<_> = self.fleet.order.iter().filter(|id| !order.contains(id)).cloned().collect();
        order.extend(others);
        self.fleet.order = order;
    }
}
