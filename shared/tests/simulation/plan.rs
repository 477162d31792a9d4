//! What a seed makes of a run.

use crate::random::Random;

/// A mistake planted into the machine or into a process, to see that it is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Locks are given to everybody.
    NoLock,
    /// A lock is let go before what it guards was done.
    UnlockBeforeWrite,
    /// Syncs do nothing.
    NoSync,
    /// A sender believes a message sent before it is written.
    AckBeforeWrite,
    /// A reader commits its position before the effect.
    CursorBeforeState,
}

impl Mutant {
    pub(crate) const ALL: [Self; 5] =
        [Self::NoLock, Self::UnlockBeforeWrite, Self::NoSync, Self::AckBeforeWrite, Self::CursorBeforeState];
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mutant: Option<Mutant>,
    /// Messages survive power losses too.
    pub(crate) durable: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) senders: u64,
    pub(crate) readers: u64,
    pub(crate) rememberers: u64,
    pub(crate) claimers: u64,
    pub(crate) kills: u64,
    pub(crate) calls_per_kill: u64,
    pub(crate) power_losses: u64,
    /// Full disks, failing syncs, short writes.
    pub(crate) faults: bool,
    /// How often the turn changes, in percent.
    pub(crate) switches: u64,
    /// A killed write ends at a multiple of this.
    pub(crate) page: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut random = Random::new(!seed);
        let what = random.below(4);
        let some = |random: &mut Random, wanted: bool| if wanted { 1 + random.below(3) } else { 0 };
        let kind = random.below(4);
        Self {
            seed,
            mutant,
            durable: random.chance(1, 2),
            segment_bytes: random.pick(&[300, 700, 2000, 1 << 20]),
            senders: some(&mut random, what < 2),
            readers: some(&mut random, what < 2),
            rememberers: some(&mut random, what == 2),
            claimers: some(&mut random, what == 3).max(u64::from(what == 3) * 2),
            kills: if kind == 0 { 0 } else { random.below(5) },
            calls_per_kill: random.pick(&[15, 40, 100]),
            power_losses: if kind == 2 { 1 + random.below(2) } else { 0 },
            faults: kind == 3,
            switches: random.pick(&[5, 20, 60]),
            page: random.pick(&[1, 16, 64, 4096]),
        }
    }

    pub(crate) fn processes(&self) -> u64 {
        self.senders + self.readers + self.rememberers + self.claimers
    }
}
