//! Who writes by hand, who takes that in, and who keeps the queue small.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tachi_shared::layout::Topic;
use tachi_shared::log::{Standing, expendable};
use tachi_shared::os::{Handle as _, OpenMode, Storage as _};
use tachi_shared::queue::{Reader, View};

use crate::ledger::Hand;
use crate::plan::Part;
use crate::process::{PATIENCE, Start, WAIT, limits, queue};
use crate::storage::SimFile;

/// Messages of one hand over all its starts.
const WRITTEN: usize = 8;
/// A hand that takes longer over one file is not sure of it: it may have been set aside half-written.
const BRISK: Duration = Duration::from_millis(900);

impl Start<'_> {
    /// Adds messages to `messages.json` without a lock, as the original format allows, and drops some into the spool.
    pub(crate) fn write_by_hand(&self) {
        while let Some(name) = self.next_name() {
            let has_removed = self.machine.chance(1, 3);
            if has_removed {
                self.remove_view();
            }
            let written = match self.machine.below(6) {
                _ if has_removed => self.rewrite_beside(&name),
                0 | 1 => self.rewrite_beside(&name),
                2 | 3 => self.rewrite_in_place(&name),
                4 => self.append_line(&name),
                _ => self.drop_into_spool(&name),
            };
            self.machine.look(|inside| inside.ledger.note(|| format!("{name} written: {written:?}")));
            self.machine.pause(Duration::from_micros(self.machine.below(5_000)));
        }
    }

    fn next_name(&self) -> Option<String> {
        self.machine.look(|inside| {
            let by_hand = &mut inside.ledger.by_hand;
            let name = format!("{}.{}", self.name, by_hand.len());
            (by_hand.len() < WRITTEN).then(|| {
                by_hand.insert(name.clone(), Hand::Began);
                name
            })
        })
    }

    fn know(&self, names: &[String], hand: Hand) {
        self.machine.look(|inside| {
            inside.ledger.by_hand.extend(names.iter().map(|name| (name.clone(), hand)));
        });
    }

    /// The view with one more element, and the names of all that have no position in it.
    fn with_one_more(&self, text: &[u8], name: &str) -> io::Result<(Vec<u8>, Vec<String>)> {
        let mut view: Value = serde_json::from_slice(text).map_err(io::Error::other)?;
        let list = view["messages"].as_array_mut().ok_or_else(|| io::Error::other("no list"))?;
        list.push(element(name));
        let fresh = list.iter().filter(|element| element["seq"].is_null());
        let names = fresh.map(|element| element["content"].as_str().unwrap().to_owned()).collect();
        Ok((view.to_string().into_bytes(), names))
    }

    /// Reads, adds, writes elsewhere, moves over.
    fn rewrite_beside(&self, name: &str) -> io::Result<()> {
        let path = self.dir.view(Topic::Messages);
        let text = match self.machine.read(&path, u64::MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => br#"{"messages":[]}"#.to_vec(),
            read => read?,
        };
        let (text, names) = self.with_one_more(&text, name)?;
        let beside = self.dir.tmp().join(self.name);
        self.write_new(&beside, &text)?;
        self.machine.rename(&beside, &path)?;
        // Without an exchange what comes just before a render is lost: a known limit of such file systems.
        if self.plan.exchanges {
            self.know(&names, Hand::Placed);
        }
        Ok(())
    }

    /// Opens, reads, adds, truncates and writes into the same file, which may have lost its name meanwhile.
    fn rewrite_in_place(&self, name: &str) -> io::Result<()> {
        let began = self.machine.now().mono;
        let file = self.machine.open(&self.dir.view(Topic::Messages), OpenMode::Append)?;
        let text = file.read_first(file.stat()?.size)?;
        let (text, names) = self.with_one_more(&text, name)?;
        self.machine.pause(Duration::from_micros(self.machine.below(300)));
        // If it dies from here on it destroys what nobody has taken in yet.
        self.know(&names, Hand::Began);
        file.truncate(0)?;
        write_all(&file, &text)?;
        if self.machine.now().mono.since(began) < BRISK && self.plan.exchanges {
            self.know(&names, Hand::Placed);
        }
        Ok(())
    }

    /// Removes the view, and with it what nobody has taken in yet.
    fn remove_view(&self) {
        self.machine.look(|inside| {
            let placed = inside.ledger.by_hand.values_mut().filter(|hand| **hand == Hand::Placed);
            placed.for_each(|hand| *hand = Hand::Began);
        });
        let _ = self.machine.remove(&self.dir.view(Topic::Messages));
    }

    fn drop_into_spool(&self, name: &str) -> io::Result<()> {
        let beside = self.dir.tmp().join(self.name);
        self.write_new(&beside, element(name).to_string().as_bytes())?;
        self.machine.rename(&beside, &self.dir.spool().join(format!("{name}.json")))?;
        self.know(&[name.to_owned()], Hand::Spooled);
        Ok(())
    }

    /// Appends a line without a position to the newest segment, under the lock so that nobody's bytes are glued to it.
    fn append_line(&self, name: &str) -> io::Result<()> {
        // A writer that dies leaves half a line, to which a hand's is glued; both are set aside then.
        if self.plan.kills > 0 || self.plan.power_losses > 0 || self.plan.faults {
            return self.drop_into_spool(name);
        }
        let _lock =
            self.machine.lock(&self.dir.lock("messages"), "by hand", WAIT).map_err(io::Error::other)?;
        let dir = self.dir.segments(Topic::Messages);
        let newest = self.machine.list(&dir)?.into_iter().max().ok_or(io::ErrorKind::NotFound)?;
        let file = self.machine.open(&dir.join(newest), OpenMode::Append)?;
        let line = format!("{}\n", element(name));
        let is_whole = file.append(line.as_bytes())? == line.len();
        if is_whole {
            self.know(&[name.to_owned()], Hand::Spooled);
        }
        Ok(())
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // A predecessor may have left it.
        let _ = self.machine.remove(path);
        write_all(&self.machine.open(path, OpenMode::Create)?, bytes)
    }

    /// Takes in what hands write and renders the view.
    pub(crate) fn keep(&self) {
        let mut view = View::new(self.machine.clone(), self.dir);
        for _ in 0..PATIENCE {
            let is_last = self.is_last(Part::Keeper);
            let done = view.refresh(None, self.machine.now());
            self.machine.look(|inside| inside.ledger.note(|| format!("{} did {done:?}", self.name)));
            if is_last && done.is_ok_and(|done| done.imported == 0) {
                return;
            }
            self.machine.pause(Duration::from_micros(self.machine.below(500)));
        }
    }

    /// Begins segments and removes what everybody has read.
    pub(crate) fn guard(&self) {
        let mut queue = queue(self.machine, self.dir, self.plan);
        for _ in 0..PATIENCE {
            if self.is_last(Part::Warden) {
                return;
            }
            if self.machine.chance(1, 3) {
                let _ = queue.log_mut().rotate(WAIT);
            }
            let standing: Vec<Standing> = queue.readers().iter().map(Reader::standing).collect();
            if let Ok(pieces) = queue.log_mut().pieces() {
                let gone = expendable(&pieces, &standing, &limits(self.plan), self.machine.now().wall);
                let _ = queue.log_mut().remove(&gone);
            }
            self.machine.pause(Duration::from_micros(500));
        }
    }
}

fn element(name: &str) -> Value {
    json!({"to": "broadcast", "from": "hand", "content": name, "timestamp": "2025-12-10T02:00:00"})
}

fn write_all(file: &SimFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.append(bytes)?;
        bytes = &bytes[written..];
    }
    Ok(())
}
