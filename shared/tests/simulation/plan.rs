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
    /// What was replaced is gone, whoever wrote into it.
    ReplacedIsGone,
    /// What appears where nothing was is replaced unseen.
    PlacesOver,
    /// A reader is not told what it missed.
    SilentGap,
    /// A reader is told of one missed record too few.
    ShortGap,
}

impl Mutant {
    pub(crate) const ALL: [Self; 9] = [
        Self::NoLock,
        Self::UnlockBeforeWrite,
        Self::NoSync,
        Self::AckBeforeWrite,
        Self::CursorBeforeState,
        Self::ReplacedIsGone,
        Self::PlacesOver,
        Self::SilentGap,
        Self::ShortGap,
    ];
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Sender,
    /// Writes messages by hand.
    Scribe,
    /// Takes them in and renders the view.
    Keeper,
    /// Begins segments and removes old ones.
    Warden,
    Reader,
    /// Writes the memory.
    Rememberer,
    /// Writes the registry.
    Registrar,
    Claimer,
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mutant: Option<Mutant>,
    /// Who takes part, with a number among its kind.
    pub(crate) cast: Vec<(Part, u64)>,
    /// Messages survive power losses too.
    pub(crate) durable: bool,
    pub(crate) segment_bytes: u64,
    /// Bytes the queue may have; 0 = no end.
    pub(crate) max_bytes: u64,
    /// What happens then: the oldest goes, read or not.
    pub(crate) drops: bool,
    /// The file system can exchange two names.
    pub(crate) exchanges: bool,
    pub(crate) kills: u64,
    pub(crate) calls_per_kill: u64,
    pub(crate) power_losses: u64,
    /// Full disks, failing syncs, short writes.
    pub(crate) faults: bool,
    /// Too many open files, failing reads.
    pub(crate) blinks: bool,
    /// How often the turn changes, in percent.
    pub(crate) switches: u64,
    /// A killed write ends at a multiple of this.
    pub(crate) page: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut random = Random::new(!seed);
        let what = match (random.below(8), mutant) {
            // Where the mistake can show at all.
            (_, Some(Mutant::ReplacedIsGone | Mutant::PlacesOver)) => 4,
            (_, Some(Mutant::SilentGap | Mutant::ShortGap)) => 3,
            (what, _) => what,
        };
        let kind = random.below(4);
        let mut cast = Vec::new();
        let mut call = |part: Part, count: u64| cast.extend((0..count).map(|k| (part, k)));
        match what {
            0..=2 => {
                call(Part::Sender, 1 + random.below(3));
                call(Part::Reader, 1 + random.below(3));
            }
            3 => {
                call(Part::Sender, 1 + random.below(2));
                call(Part::Warden, 1);
                call(Part::Reader, 1 + random.below(2));
            }
            4 => {
                call(Part::Sender, random.below(2));
                call(Part::Scribe, 1);
                call(Part::Keeper, 1 + random.below(2));
                call(Part::Reader, random.below(2));
            }
            5 => call(Part::Rememberer, 1 + random.below(3)),
            6 => call(Part::Registrar, 1 + random.below(3)),
            _ => call(Part::Claimer, 2 + random.below(2)),
        }
        let max_bytes = if what == 3 { random.pick(&[1500, 4000]) } else { 0 };
        Self {
            seed,
            mutant,
            cast,
            durable: random.chance(1, 2),
            segment_bytes: random.pick(&[300, 700, 2000, 1 << 20]),
            max_bytes,
            drops: random.chance(1, 2),
            exchanges: random.chance(3, 4),
            kills: if kind == 0 { 0 } else { random.below(5) },
            calls_per_kill: random.pick(&[15, 40, 100]),
            power_losses: if kind == 2 { 1 + random.below(2) } else { 0 },
            faults: kind == 3,
            blinks: random.chance(1, 4),
            switches: random.pick(&[5, 20, 60]),
            page: random.pick(&[1, 16, 64, 4096]),
        }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.cast.iter().any(|(found, _)| *found == part)
    }

    /// Whether anybody uses the queue.
    pub(crate) fn talks(&self) -> bool {
        self.has(Part::Sender) || self.has(Part::Scribe)
    }

    /// Who goes first of those that a process of this part waits for: everybody called before it.
    pub(crate) fn sources(&self, part: Part) -> usize {
        self.cast.iter().position(|(found, _)| *found == part).unwrap_or_default()
    }
}
