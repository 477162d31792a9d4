//! Ports of instances: fixed or `port_base + k * port_step`, free on the loopback interface and kept apart.

use tachi_shared::id::InstanceId;

use super::file::{InstanceTable, Port};
use super::surroundings;

/// First automatic port without any wish.
const BASE: u16 = 18_800;
/// Distance without any wish.
const STEP: u16 = 10;
/// Most steps tried before giving up.
const STEPS_MAX: u16 = 1000;

/// Ports given so far.
pub(super) struct Ports<'a> {
    taken: Vec<u16>,
    alive: Alive<'a>,
}

/// Whether an instance lives already, and on which port.
pub(super) type Alive<'a> = &'a dyn Fn(&InstanceId) -> Option<Option<u16>>;

impl<'a> Ports<'a> {
    /// Nothing given yet. Of an instance that lives already the port is rightly busy, and it keeps one that would do.
    pub(super) fn new(alive: Alive<'a>) -> Self {
        Self { taken: Vec::new(), alive }
    }

    /// Gives a port out; reason and next step otherwise.
    pub(super) fn claim(
        &mut self,
        id: &InstanceId,
        wish: Port,
        table: &InstanceTable,
    ) -> Result<u16, (String, String)> {
        let alive = (self.alive)(id);
        let lives = alive.is_some();
        match wish {
            Port::Fixed(port) => match self.obstacle(port, table, lives) {
                None => Ok(self.take(port, table)),
                Some(reason) => {
                    Err((format!("port of {id}: {reason}"), "choose another port, or \"auto\"".to_owned()))
                }
            },
            Port::Auto => {
                let (base, step) = (table.port_base.unwrap_or(BASE), table.port_step.unwrap_or(STEP).max(1));
                let fits = |port: &u16| port.checked_sub(base).is_some_and(|far| far % step == 0);
                let steps =
                    (0..STEPS_MAX).map_while(|k| k.checked_mul(step).and_then(|far| base.checked_add(far)));
                let free = alive
                    .flatten()
                    .filter(fits)
                    .into_iter()
                    .chain(steps)
                    .find(|port| self.obstacle(*port, table, lives).is_none());
                free.map(|port| self.take(port, table)).ok_or_else(|| {
                    (
                        format!("no free port for {id} from {base} on in steps of {step}"),
                        "choose another port_base".to_owned(),
                    )
                })
            }
        }
    }

    /// Why this port cannot be had, offsets included.
    fn obstacle(&self, port: u16, table: &InstanceTable, lives: bool) -> Option<String> {
        std::iter::once(0).chain(table.port_also.iter().copied()).find_map(|offset| {
            let Some(port) = port.checked_add(offset) else {
                return Some(format!("{port} + {offset} is above 65535"));
            };
            if self.taken.contains(&port) {
                return Some(format!("{port} is given to another instance"));
            }
            (!lives && !surroundings::port_is_free(port))
                .then(|| format!("{port} is in use by another program"))
        })
    }

    fn take(&mut self, port: u16, table: &InstanceTable) -> u16 {
        self.taken.push(port);
        self.taken.extend(table.port_also.iter().filter_map(|offset| port.checked_add(*offset)));
        port
    }
}
