//! What processes were promised and what they saw, kept outside the machine: no kill and no power loss touches it.

use std::collections::{BTreeMap, BTreeSet};

use tachi_shared::clock::Mono;

/// A claim somebody works under.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) owner: String,
    pub(crate) fence: u64,
    pub(crate) at: Mono,
    pub(crate) until: Mono,
}

/// What is known of a message written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// May be there or not.
    Began,
    /// Stood whole in the view.
    Placed,
    /// Stood whole in the spool or in a segment.
    Spooled,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Messages somebody may have sent.
    pub(crate) tried: BTreeSet<String>,
    /// Messages whose sender was told: stored.
    pub(crate) acked: BTreeSet<String>,
    /// Messages whose sender was told: not stored.
    pub(crate) refused: BTreeSet<String>,
    /// What was ever read at a position.
    pub(crate) seen: BTreeMap<u64, String>,
    /// Positions of messages to everybody that some reader was given.
    pub(crate) delivered: BTreeSet<u64>,
    /// What was in segments that were removed: positions, with the id.
    pub(crate) dropped: BTreeMap<u64, String>,
    /// What a hand wrote and saw in its place, and what it began to write.
    pub(crate) by_hand: BTreeMap<String, Hand>,
    /// Per writer of the registry: acknowledged and tried changes.
    pub(crate) registered: BTreeMap<String, (u64, u64)>,
    /// Per writer of the memory: acknowledged and tried changes.
    pub(crate) remembered: BTreeMap<String, (u64, u64)>,
    /// Who works on which task.
    pub(crate) working: BTreeMap<String, Claim>,
    /// Tasks whose owner was told: done.
    pub(crate) done: BTreeMap<String, u64>,
    pub(crate) power_lost: bool,
    pub(crate) durable: bool,
    pub(crate) violations: Vec<String>,
    /// What happened, for who replays a seed.
    pub(crate) story: Option<Vec<String>>,
}

impl Ledger {
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            // Temporary names count on over all runs of this program.
            let what = what();
            let words = what.split(' ').map(|word| if word.contains(".tmp") { "TEMPORARY" } else { word });
            story.push(words.collect::<Vec<_>>().join(" "));
        }
    }

    pub(crate) fn blame(&mut self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    pub(crate) fn read(&mut self, reader: &str, seq: u64, id: &str) {
        let known = self.seen.entry(seq).or_insert_with(|| id.to_owned()).clone();
        if known != id {
            self.blame(format!("{reader} reads {id} at {seq}, where {known} was read before"));
        }
    }

    pub(crate) fn claimed(&mut self, task: &str, claim: Claim) {
        self.note(|| format!("{} claims {task} under {}", claim.owner, claim.fence));
        let Some(other) = self.working.remove(task) else {
            self.working.insert(task.to_owned(), claim);
            return;
        };
        // One that hears late of its own claim may hear of it after the next one.
        let (first, then) = if other.fence < claim.fence { (other, claim) } else { (claim, other) };
        if first.owner != then.owner && first.until >= then.at {
            let what = format!("{} claims {task} while {} works on it", then.owner, first.owner);
            self.blame(what);
        }
        self.working.insert(task.to_owned(), then);
    }

    pub(crate) fn finished(&mut self, task: &str, fence: u64) {
        self.note(|| format!("{task} done under {fence}"));
        self.working.remove(task);
        if let Some(before) = self.done.insert(task.to_owned(), fence) {
            self.blame(format!("{task} is done under {fence}, it was done under {before}"));
        }
    }

    /// Promises that hold on the disk alone are off; the board and the memory promise no more than that.
    pub(crate) fn power_was_lost(&mut self) {
        self.note(|| "POWER LOST".to_owned());
        self.power_lost = true;
        if !self.durable {
            self.acked.clear();
        }
        self.remembered.values_mut().for_each(|counts| counts.0 = 0);
        self.registered.values_mut().for_each(|counts| counts.0 = 0);
        self.by_hand.values_mut().for_each(|hand| *hand = Hand::Began);
        self.working.clear();
        self.done.clear();
    }
}
