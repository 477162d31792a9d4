//! `ready = { port = "own", within = "30s" }`: how a command shows that it is ready — pure.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use tachi_shared::registry::Kind;

use super::file::Time;
use super::{Probe, Sign};

/// Between two looks without any wish.
const EVERY: Duration = Duration::from_millis(200);
/// Shortest time between two looks.
const EVERY_LEAST: Duration = Duration::from_millis(10);
/// Time to become ready without any wish.
const WITHIN: Duration = Duration::from_secs(60);

/// `ready` as written: exactly one sign.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadyTable {
    port: Option<Own>,
    command: Option<Vec<String>>,
    log: Option<String>,
    every: Option<Time>,
    within: Option<Time>,
}

/// A port from 1, or `"own"`, which is 0.
#[derive(Debug, Clone, Copy)]
struct Own(u16);

impl<'de> Deserialize<'de> for Own {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Word(String),
        }
        let wrong = || de::Error::custom("port of ready is a number from 1 to 65535, or \"own\"");
        match Either::deserialize(deserializer).map_err(|_| wrong())? {
            Either::Number(number) => {
                u16::try_from(number).ok().filter(|port| *port > 0).map(Self).ok_or_else(wrong)
            }
            Either::Word(word) if word == "own" => Ok(Self(0)),
            Either::Word(_) => Err(wrong()),
        }
    }
}

impl ReadyTable {
    /// What the table amounts to, for an instance of this kind with or without a port of its own.
    pub(super) fn settle(&self, kind: Kind, has_port: bool) -> Result<Probe, (String, &'static str)> {
        let refuse = |reason: &str, hint: &'static str| Err((reason.to_owned(), hint));
        if kind == Kind::Worker {
            return refuse("ready is for commands", "leave it out: a worker says itself when it is ready");
        }
        let sign = match (&self.port, &self.command, &self.log) {
            (Some(Own(0)), None, None) if !has_port => {
                return refuse("ready waits for its own port, and it has none", "give it port = \"auto\"");
            }
            (Some(Own(port)), None, None) => Sign::Port(*port),
            (None, Some(argv), None) if argv.first().is_some_and(|program| !program.is_empty()) => {
                Sign::Command(argv.clone())
            }
            (None, None, Some(text)) if !text.is_empty() => Sign::Log(text.clone()),
            _ => {
                return refuse(
                    "ready wants exactly one sign",
                    "write ready = { port = \"own\" }, { command = [\"true\"] } or { log = \"listening\" }",
                );
            }
        };
        let every = self.every.map_or(EVERY, |time| time.0.max(EVERY_LEAST));
        let within = self.within.map_or(WITHIN, |time| time.0);
        Ok(Probe { sign, every, within })
    }
}
