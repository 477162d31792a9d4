//! `limits = { nofile = 1024, core = "0B", as = "2GiB", nproc = 200 }`: what one process may use — pure.

use serde::Deserialize;
use serde::de::{self, Deserializer};
use tachi_shared::os::limits::{ProcessLimit, Used};

use super::size;

/// Fewer descriptors than this leave no room for the parent of a command.
const NOFILE_LEAST: u64 = 32;
/// Less address space than this holds no program.
const SPACE_LEAST: u64 = 64 << 20;

/// `limits` as written.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    nofile: Option<Count<NOFILE_LEAST>>,
    core: Option<Amount<0>>,
    #[serde(rename = "as")]
    space: Option<Amount<SPACE_LEAST>>,
    nproc: Option<Count<1>>,
}

/// A number of things, at least `LEAST`.
#[derive(Debug, Clone, Copy)]
struct Count<const LEAST: u64>(u64);

impl<'de, const LEAST: u64> Deserialize<'de> for Count<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u64::try_from(number) {
            Ok(count) if count >= LEAST => Ok(Self(count)),
            _ => Err(de::Error::custom(format!("{number} is less than {LEAST}"))),
        }
    }
}

/// A number of bytes, at least `LEAST`.
#[derive(Debug, Clone, Copy)]
struct Amount<const LEAST: u64>(u64);

impl<'de, const LEAST: u64> Deserialize<'de> for Amount<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match size::parse(&text).map_err(de::Error::custom)? {
            bytes if bytes >= LEAST => Ok(Self(bytes)),
            _ => Err(de::Error::custom(format!("{text:?} is less than {} MiB", LEAST >> 20))),
        }
    }
}

impl LimitsTable {
    /// What the table amounts to.
    pub(super) fn settle(self) -> Vec<ProcessLimit> {
        let all = [
            (Used::OpenFiles, self.nofile.map(|limit| limit.0)),
            (Used::Core, self.core.map(|limit| limit.0)),
            (Used::AddressSpace, self.space.map(|limit| limit.0)),
            (Used::Processes, self.nproc.map(|limit| limit.0)),
        ];
        all.into_iter().filter_map(|(what, most)| Some(ProcessLimit { what, most: most? })).collect()
    }
}
