//! `[store]`: how much is kept and what an append survives — pure.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use tachi_shared::log::{Durability, Limits, WhenFull};
use toml::Spanned;

use super::file::Time;
use super::size;

/// Smallest cap that leaves room for segments to come and go.
const LEAST: u64 = 64 * 1024;

/// `[store]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreTable {
    /// Younger records are kept although everybody has read them.
    pub keep_time: Option<Time>,
    /// So many of the newest bytes, too.
    pub keep_bytes: Option<Bytes>,
    /// Most bytes the queue may have.
    pub max_bytes: Option<Spanned<Bytes>>,
    /// What happens then.
    pub when_full: Option<WhenFull>,
    /// What an acknowledged send survives.
    pub durability: Option<Durability>,
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        size::parse(&text).map(Self).map_err(de::Error::custom)
    }
}

impl StoreTable {
    /// What the table amounts to; `durability` is the stronger wish of the surroundings.
    ///
    /// # Errors
    /// Where the mistake is, what it is, and what to do.
    pub fn settle(
        &self,
        durability: Option<Durability>,
    ) -> Result<Limits, (std::ops::Range<usize>, String, &'static str)> {
        let usual = Limits::default();
        if let Some(max) = &self.max_bytes
            && max.get_ref().0 < LEAST
        {
            let reason = format!("max_bytes is less than {LEAST} bytes");
            return Err((max.span(), reason, "leave it out, or write for example \"1GiB\""));
        }
        let whole_seconds = |time: Time| Duration::from_secs(time.0.as_secs());
        Ok(Limits {
            keep_time: self.keep_time.map_or(usual.keep_time, whole_seconds),
            keep_bytes: self.keep_bytes.map_or(usual.keep_bytes, |bytes| bytes.0),
            max_bytes: self.max_bytes.as_ref().map_or(usual.max_bytes, |bytes| bytes.get_ref().0),
            when_full: self.when_full.unwrap_or(usual.when_full),
            durability: durability.or(self.durability).unwrap_or(usual.durability),
        })
    }
}
