//! `registry.json`: who is in the fleet, and why it is in the state it is in.
//!
//! Format: `{"schema":1,"rev":n,"supervisor":{…}|null,"instances":[row…]}`, replaced whole under `registry.lock`.
//! Writers: the supervisor any row; a worker its own row at ready and leave, if the incarnation is still its own.
//! By hand only `desired` is an input. A crash leaves the old or the new file, whole.

mod edit;
pub mod row;
mod select;
mod store;

pub use edit::not_taken;
pub use row::{Backoff, Death, DeathKind, Desired, Kind, Registry, Row, Status, SupervisorRow};
pub use select::{hand_edits, near, select, unknown};
pub use store::RegistryStore;
