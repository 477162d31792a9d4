//! What a process is told by its environment, and the messages everybody can make again from their ids.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::clock::Timestamp;
use tachi_shared::id::{Incarnation, InstanceId, Recipient, Role};
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::store::Store;

use crate::dice::{Dice, chain};

pub(crate) const ROOT: &str = "TACHI_TORTURE_ROOT";
pub(crate) const LEDGERS: &str = "TACHI_TORTURE_LEDGERS";
pub(crate) const SLOT: &str = "TACHI_TORTURE_SLOT";
pub(crate) const START: &str = "TACHI_TORTURE_START";
pub(crate) const SEED: &str = "TACHI_TORTURE_PROCESS_SEED";
/// Longest wait for a lock; nobody holds one longer than a killed process lives.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// One process's place in the torture.
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) ledgers: PathBuf,
    /// `w0`, `r2`, …: which kind, and which of it.
    pub(crate) slot: String,
    pub(crate) start: u32,
    seed: u64,
    parent: Option<rustix::process::Pid>,
}

impl Scene {
    /// `None` in an ordinary test run.
    pub(crate) fn from_environment() -> Option<Self> {
        let root = std::env::var(ROOT).ok()?;
        Some(Self {
            store: Store::create(root.as_ref()).unwrap(),
            ledgers: PathBuf::from(std::env::var(LEDGERS).unwrap()),
            slot: std::env::var(SLOT).unwrap(),
            start: std::env::var(START).unwrap().parse().unwrap(),
            seed: std::env::var(SEED).unwrap().parse().unwrap(),
            parent: rustix::process::getppid(),
        })
    }

    /// A last start of `slot` that finishes what its predecessors left, in this process.
    pub(crate) fn last(store: &Store, ledgers: &Path, slot: &str, start: u32) -> Self {
        let (store, ledgers, slot) = (store.clone(), ledgers.to_owned(), slot.to_owned());
        Self { store, ledgers, slot, start, seed: 0, parent: rustix::process::getppid() }
    }

    pub(crate) fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }

    pub(crate) fn id(&self) -> InstanceId {
        InstanceId::new(&self.slot).unwrap()
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation(self.start)
    }

    /// Tells the killer that this process is at work and may be killed.
    pub(crate) fn at_work(&self) {
        std::fs::write(self.ledgers.join(format!("{}.at-work", self.slot)), self.start.to_string()).unwrap();
    }

    /// Whether the killer still lives: nobody outlives it.
    pub(crate) fn goes_on(&self) -> bool {
        rustix::process::getppid() == self.parent
    }

    /// Does nothing until the kill comes.
    pub(crate) fn await_death(&self) {
        while self.goes_on() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

pub(crate) fn role() -> Role {
    Role::new("torture").unwrap()
}

/// Message `k` of one start of a writer: the same whoever makes it.
pub(crate) fn message(slot: &str, start: u32, k: u64) -> Draft {
    let id = format!("{slot}.{start}.{k}");
    let mut dice = Dice::new(chain(0, id.as_bytes()));
    // Some cross a page, a few cross several: that is where a killed write is cut.
    let length = match dice.below(100) {
        0..=79 => 20 + dice.below(300),
        80..=96 => 300 + dice.below(4_000),
        _ => 4_000 + dice.below(20_000),
    };
    let to = match dice.below(8) {
        0 => Recipient::Instance(InstanceId::new("r0").unwrap()),
        1 => Recipient::Instance(InstanceId::new("r1").unwrap()),
        _ => Recipient::Broadcast,
    };
    let letter = char::from(b'a' + u8::try_from(dice.below(26)).unwrap());
    let text: String = std::iter::repeat_n(letter, usize::try_from(length).unwrap()).collect();
    Draft::new(to, slot, MessageKind::Finding, id, Timestamp::EPOCH, &text)
}
