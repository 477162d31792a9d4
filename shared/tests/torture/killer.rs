//! Starts every process, kills random ones at work with `kill -9` every 0.7 to 5 ms, and starts them again.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::words::{LEDGERS, ROOT, SEED, SLOT, START};

/// Who takes part: writers, readers, claimers, counters, a hand, and the keeper of the view.
pub(crate) const SLOTS: [&str; 12] = ["w0", "w1", "w2", "w3", "r0", "r1", "r2", "c0", "c1", "m0", "m1", "h0"];
const KEEPER: &str = "k0";

struct Process {
    child: Child,
    start: u32,
}

/// All processes, and the hand that kills them.
pub(crate) struct Killer {
    root: PathBuf,
    ledgers: PathBuf,
    dice: Dice,
    processes: BTreeMap<&'static str, Process>,
    kills: u64,
}

impl Killer {
    pub(crate) fn new(root: &Path, ledgers: &Path, dice: Dice) -> Self {
        let (root, ledgers) = (root.to_owned(), ledgers.to_owned());
        let mut killer = Self { root, ledgers, dice, processes: BTreeMap::new(), kills: 0 };
        for slot in SLOTS.into_iter().chain([KEEPER]) {
            let process = killer.start(slot, 1);
            killer.processes.insert(slot, process);
        }
        killer
    }

    pub(crate) fn kills(&self) -> u64 {
        self.kills
    }

    fn start(&mut self, slot: &str, start: u32) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["process_under_torture", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROOT, &self.root)
            .env(LEDGERS, &self.ledgers)
            .env(SLOT, slot)
            .env(START, start.to_string())
            .env(SEED, self.dice.roll().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process { child, start }
    }

    /// Kills until `kills` were at work when it hit them.
    pub(crate) fn run(&mut self, kills: u64, deadline: Instant) -> Result<(), String> {
        while self.kills < kills {
            if Instant::now() > deadline {
                return Err(format!("only {} kills until the deadline", self.kills));
            }
            std::thread::park_timeout(Duration::from_micros(700 + self.dice.below(4_300)));
            // Every slot alike, and the keeper, who is not in the list of those who must have been hit.
            let index = usize::try_from(self.dice.below(SLOTS.len() as u64 + 1)).unwrap();
            let slot = SLOTS.get(index).copied().unwrap_or(KEEPER);
            if self.is_at_work(slot)? {
                self.kill(slot);
                let next = self.processes[slot].start + 1;
                let process = self.start(slot, next);
                self.processes.insert(slot, process);
            }
        }
        Ok(())
    }

    /// Whether a process has begun; one that ended by itself failed.
    fn is_at_work(&mut self, slot: &str) -> Result<bool, String> {
        let process = self.processes.get_mut(slot).unwrap();
        if let Some(status) = process.child.try_wait().unwrap() {
            return Err(format!("{slot}, start {}, ended by itself: {status}", process.start));
        }
        let told = std::fs::read_to_string(self.ledgers.join(format!("{slot}.at-work"))).unwrap_or_default();
        Ok(told == process.start.to_string())
    }

    fn kill(&mut self, slot: &str) {
        let process = self.processes.get_mut(slot).unwrap();
        process.child.kill().unwrap();
        let status = process.child.wait().unwrap();
        if status.signal() == Some(9) {
            self.kills += 1;
        }
    }

    /// Kills everybody for good; tells how often each was started.
    pub(crate) fn end(&mut self) -> BTreeMap<&'static str, u32> {
        for process in self.processes.values_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        self.processes.iter().map(|(slot, process)| (*slot, process.start)).collect()
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.end();
    }
}
