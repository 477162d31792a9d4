//! `tachi.toml` as written: shapes and spelling, no judgement — pure. Unknown keys are errors everywhere.
//!
//! One [`InstanceTable`] serves `[[instances]]` and `[roles.NAME]`: the keys of an instance override those of its role.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use tachi_shared::id::{InstanceId, Role};
use toml::Spanned;

use super::limits_table::LimitsTable;
use super::ready_table::ReadyTable;
use super::store_table::StoreTable;
use super::{Limit, OnFailed, OnLoss, RestartPolicy, time};

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The fleet as a whole.
    #[serde(default)]
    pub fleet: FleetTable,
    /// Templates per role.
    #[serde(default)]
    pub roles: BTreeMap<Role, Spanned<InstanceTable>>,
    /// Any program.
    #[serde(default)]
    pub instances: Vec<Spanned<InstanceTable>>,
    /// What thinks; shape only, the worker reads it.
    #[serde(default)]
    pub llm: Option<LlmTable>,
    /// Who may do what.
    #[serde(default)]
    pub authority: BTreeMap<String, Vec<String>>,
    /// How much is kept.
    #[serde(default)]
    pub store: StoreTable,
    /// The web page.
    #[serde(default)]
    pub dashboard: DashboardTable,
}

/// `[fleet]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetTable {
    /// Workers to run; 0 only beside `[[instances]]`.
    pub count: Option<Spanned<i64>>,
    /// Cycle of roles.
    pub roles: Option<Spanned<Vec<Role>>>,
    /// What happens when the supervisor dies.
    pub on_supervisor_loss: Option<OnLoss>,
    /// Whether a correlated failure of many brakes all.
    pub brake: Option<Brake>,
    /// Orphans end themselves after this.
    pub orphan_grace: Option<Time>,
    /// What the fleet works on.
    pub workspace: Option<PathBuf>,
    /// What the team pursues.
    pub goal: Option<String>,
    /// What thinks.
    pub backend: Option<Spanned<String>>,
}

/// `[[instances]]` and `[roles.NAME]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceTable {
    /// Which; `[[instances]]` only.
    pub id: Option<Spanned<InstanceId>>,
    /// Several ids; `{name}` is filled in.
    pub names: Option<Vec<Spanned<InstanceId>>>,
    /// What for.
    pub role: Option<Role>,
    /// argv, no shell.
    pub command: Option<Vec<String>>,
    /// Working directory, from the file's folder.
    pub cwd: Option<String>,
    /// Environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `KEY=VALUE` files, from the file's folder; later ones win.
    #[serde(default)]
    pub env_file: Vec<String>,
    /// Port.
    pub port: Option<Spanned<Port>>,
    /// First port for `auto`.
    pub port_base: Option<u16>,
    /// Distance between automatic ports.
    pub port_step: Option<u16>,
    /// Offsets that must be free too.
    #[serde(default)]
    pub port_also: Vec<u16>,
    /// When it is started again.
    pub restart: Option<RestartPolicy>,
    /// Delays.
    pub backoff: Option<BackoffTable>,
    /// Automatic restarts allowed.
    pub limit: Option<LimitKey>,
    /// Between stop signal and KILL.
    pub grace: Option<Time>,
    /// How it is asked to end.
    pub stop_signal: Option<StopSignal>,
    /// What thinks.
    pub backend: Option<Spanned<String>>,
    /// What it can do, for people and other instances.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Silence after which it is called stalled.
    pub stall_soft: Option<Time>,
    /// Silence after which it is restarted.
    pub stall_hard: Option<Time>,
    /// What it does when the supervisor dies.
    pub on_supervisor_loss: Option<OnLoss>,
    /// Ids or roles that must be ready before it starts.
    pub needs: Option<Vec<Spanned<String>>>,
    /// When a command counts as ready.
    pub ready: Option<Spanned<ReadyTable>>,
    /// What it may use.
    pub limits: Option<LimitsTable>,
    /// What happens to others when it is given up.
    pub on_failed: Option<OnFailed>,
}

/// `brake = "auto"` or `"none"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brake {
    /// On.
    Auto,
    /// Off.
    None,
}

/// `backoff = { … }`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackoffTable {
    /// Before the first restart.
    pub first: Option<Time>,
    /// Before the second.
    pub base: Option<Time>,
    /// Never longer.
    pub max: Option<Time>,
}

/// `[llm]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlmTable {
    /// Backends in order of preference.
    #[serde(default)]
    pub chain: Vec<Spanned<String>>,
    /// For one answer.
    pub deadline: Option<Time>,
    /// Limits.
    pub budget: Option<toml::Table>,
    /// By name.
    #[serde(default)]
    pub backends: BTreeMap<String, BackendTable>,
}

/// `[llm.backends.NAME]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendTable {
    /// `openai`, `anthropic` or `cli`.
    pub kind: String,
    /// A known service whose details we know.
    pub preset: Option<String>,
    /// Address.
    pub base_url: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Variable that holds the key.
    pub key_env: Option<String>,
}

/// `[dashboard]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardTable {
    /// Where it listens.
    pub port: Option<u16>,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        time::parse(&text).map(Self).map_err(de::Error::custom)
    }
}

/// A signal by name or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(pub i32);

impl StopSignal {
    /// `TERM`, `SIGTERM`, `term`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        tachi_shared::os::signal::parse(name).map(Self)
    }
}

impl<'de> Deserialize<'de> for StopSignal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            de::Error::custom(format!("{name:?} is no signal; write TERM, INT, HUP, QUIT, USR1 …"))
        })
    }
}

/// A port, or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// This one.
    Fixed(u16),
    /// The first free of `port_base + k * port_step`.
    Auto,
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;
        impl Visitor<'_> for PortVisitor {
            type Value = Port;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535 or \"auto\"")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
                match u16::try_from(number) {
                    Ok(port) if port > 0 => Ok(Port::Fixed(port)),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Port, E> {
                if word == "auto" {
                    return Ok(Port::Auto);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
        }
        deserializer.deserialize_any(PortVisitor)
    }
}

/// `limit = { burst = 5, period = "60s" }` or `"none"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKey {
    /// At most so many.
    At(Limit),
    /// Unlimited.
    None,
}

impl<'de> Deserialize<'de> for LimitKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            burst: u32,
            period: Time,
        }
        struct LimitVisitor;
        impl<'de> Visitor<'de> for LimitVisitor {
            type Value = LimitKey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ burst = 5, period = \"60s\" } or \"none\"")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<LimitKey, E> {
                if word == "none" {
                    return Ok(LimitKey::None);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LimitKey, A::Error> {
                let Table { burst, period: Time(period) } =
                    Table::deserialize(MapAccessDeserializer::new(map))?;
                if burst == 0 || period.is_zero() {
                    return Err(de::Error::custom(
                        "burst and period must be above zero; write \"none\" for no limit",
                    ));
                }
                Ok(LimitKey::At(Limit { burst, period }))
            }
        }
        deserializer.deserialize_any(LimitVisitor)
    }
}

/// Spelling of the settled enums in the file, in one place.
macro_rules! spelled {
    ($type:ty, $($word:literal => $value:expr),+) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                match word.as_str() {
                    $($word => Ok($value),)+
                    other => Err(de::Error::unknown_variant(other, &[$($word),+])),
                }
            }
        }
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $(if *self == $value { return serializer.serialize_str($word); })+
                serializer.serialize_none()
            }
        }
    };
}

spelled!(
    OnFailed,
    "keep" => OnFailed::Keep,
    "stop-dependents" => OnFailed::StopDependents,
    "stop-run" => OnFailed::StopRun
);
spelled!(OnLoss, "continue" => OnLoss::Continue, "stop" => OnLoss::Stop);
spelled!(
    RestartPolicy,
    "always" => RestartPolicy::Always,
    "on-failure" => RestartPolicy::OnFailure,
    "never" => RestartPolicy::Never,
    "job" => RestartPolicy::Job
);
