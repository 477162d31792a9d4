//! Settings: what the flags, the environment, `tachi.toml` and the defaults amount to. Nothing else travels further.
//!
//! Two steps: typed (`args`, [`file`]) then settled ([`settle()`], one function, one precedence: flag > environment > file >
//! default; the environment arrives through the flags). Only [`surroundings`] touches the system: it reads files, looks
//! for directories and tries ports. Deliberately absent: anything that starts or creates something.

pub mod file;
pub mod lint;
pub mod near;
pub mod size;
pub mod store_table;
pub mod surroundings;
pub mod time;

mod backend;
mod env_file;
mod instance;
mod limits_table;
mod load;
mod needs;
mod port;
mod ready_table;
mod settle;
mod settled;

pub use load::parse;
pub use settle::{COUNT_MAX, Request, Settled, settle};
pub(crate) use settle::{role_count, state_dir};
pub use settled::{
    BackoffPolicy, ConfigRead, Limit, OnFailed, OnLoss, Probe, RestartPolicy, Settings, Sign, Spec, Until,
};
