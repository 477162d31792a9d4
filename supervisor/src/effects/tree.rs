//! What a dead leader left behind: found, killed, waited for.
//!
//! The supervisor is a subreaper, so whatever a dead leader had started becomes our child, however often it forked. The
//! usual case costs one read: no child outside the table means every tree of a dead leader is empty. Otherwise `/proc` is
//! searched for the session the leader led, for our mark in the environment, and for descendants of those. Trees of
//! adopted leaders do not fall to us and are always searched for.
//!
//! Everything is signalled through a pidfd whose process is checked to be the recognised one. A tree that is not empty is looked
//! at again at every SIGCHLD and, for the processes that are not ours to wait for, after a growing pause.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::clock::Mono;
use tachi_shared::id::{Incarnation, InstanceId, ProcessRef};
use tachi_shared::os::process;

use super::mark::{self, Mark};
use super::reap;
use super::table::{KILL, Table};
use crate::fleet::Event;

/// First pause between two looks.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// Longest pause: a stray that ignores nothing but time is seen within this.
const PAUSE_LONGEST: Duration = Duration::from_millis(500);
/// Looks in a row while new members turn up: a tree that forks as fast as it is killed is chased this often before the
/// loop goes on.
const CHASES: usize = 20;

/// Whose leader is known to have led a session, for recognising members.
#[derive(Debug, Clone)]
struct Led {
    process: ProcessRef,
    adopted: bool,
}

/// A tree somebody waits for.
#[derive(Debug)]
struct Wait {
    id: InstanceId,
    incarnation: Incarnation,
    kill: bool,
}

/// Trees being emptied.
#[derive(Debug)]
pub(super) struct Trees {
    state: PathBuf,
    waits: Vec<Wait>,
    led: BTreeMap<InstanceId, (Incarnation, Led)>,
    pause: Duration,
    again: Option<Mono>,
}

/// One process found in `/proc`.
#[derive(Debug)]
struct Seen {
    process: ProcessRef,
    ppid: u32,
    session: u32,
    mark: Option<Mark>,
}

impl Trees {
    /// Nothing to empty; `state` is what marks processes as ours.
    pub(super) fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            waits: Vec::new(),
            led: BTreeMap::new(),
            pause: PAUSE_FIRST,
            again: None,
        }
    }

    /// Remembers the leader of this start: its session outlives it.
    pub(super) fn led(
        &mut self,
        id: &InstanceId,
        incarnation: Incarnation,
        process: &ProcessRef,
        adopted: bool,
    ) {
        self.led.insert(id.clone(), (incarnation, Led { process: process.clone(), adopted }));
    }

    /// Waits for a tree to be empty, killing it if asked; a later request for the same tree replaces an earlier one.
    pub(super) fn wait_for(&mut self, id: InstanceId, incarnation: Incarnation, kill: bool) {
        let kill = kill || self.waits.iter().any(|wait| wait.id == id && wait.kill);
        self.waits.retain(|wait| wait.id != id);
        self.waits.push(Wait { id, incarnation, kill });
        self.pause = PAUSE_FIRST;
    }

    /// Kills a process that was started and cannot be led; it is reaped as a stray.
    pub(super) fn abandon(&self, process: &ProcessRef) {
        kill(process);
    }

    /// When to look again without being told.
    pub(super) fn again(&self) -> Option<Mono> {
        self.again.filter(|_| !self.waits.is_empty())
    }

    /// Whether anything is waited for.
    pub(super) fn is_idle(&self) -> bool {
        self.waits.is_empty()
    }

    /// Kills what is to be killed and tells which trees are empty now.
    pub(super) fn look(&mut self, table: &mut Table, now: Mono) -> Vec<Event> {
        if self.waits.is_empty() {
            return Vec::new();
        }
        let mut empty = Vec::new();
        let mut killed = BTreeSet::new();
        for _ in 0..CHASES {
            let strays = reap::strays(table);
            let seen = if self.needs_search(&strays) { search(&self.state, table) } else { Vec::new() };
            let mut fresh = false;
            let (led, waits) = (&self.led, std::mem::take(&mut self.waits));
            for wait in waits {
                if leader_lives(&wait, table) {
                    self.waits.push(wait);
                    continue;
                }
                let members = members(&wait, led, &seen, table);
                if members.is_empty() {
                    empty.push(Event::TreeEmpty { id: wait.id, incarnation: wait.incarnation });
                    continue;
                }
                if wait.kill {
                    members.iter().for_each(kill);
                    fresh |=
                        members.iter().fold(false, |any, it| killed.insert((it.pid, it.pid_start)) || any);
                }
                self.waits.push(wait);
            }
            if !fresh {
                break;
            }
        }
        self.again = (!self.waits.is_empty()).then(|| now.after(self.pause));
        self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        empty
    }

    /// Whether `/proc` must be searched: something is left that might belong to a tree, or a tree never fell to us.
    fn needs_search(&self, strays: &[u32]) -> bool {
        !strays.is_empty()
            || self.waits.iter().any(|wait| match self.led.get(&wait.id) {
                Some((incarnation, led)) => led.adopted || *incarnation != wait.incarnation,
                None => true,
            })
    }
}

/// Kills the leader if the tree is to be killed; says whether it still lives.
fn leader_lives(wait: &Wait, table: &mut Table) -> bool {
    let Some(leader) = table.get_mut(&wait.id).filter(|leader| leader.incarnation <= wait.incarnation) else {
        return false;
    };
    if wait.kill && !leader.killed {
        leader.kill();
    }
    true
}

/// Kills exactly this process, if it is still there.
fn kill(target: &ProcessRef) {
    if let Ok(Some(pidfd)) = process::open_pidfd(target) {
        // Gone already is as good; not ours to kill is found again and shown by the wait that does not end.
        let _ = process::signal(pidfd.as_fd(), KILL);
    }
}

/// Every live process but ourselves and the leaders, with what recognises it.
fn search(state: &Path, table: &Table) -> Vec<Seen> {
    let own = std::process::id();
    let boot_id = process::boot_id();
    process::all()
        .into_iter()
        .filter(|pid| *pid != own && !table.leads(*pid))
        .filter_map(|pid| {
            let stat = process::stat(pid).filter(|stat| !stat.is_zombie())?;
            let process = ProcessRef { pid, pid_start: stat.start, boot_id: boot_id.clone() };
            Some(Seen { process, ppid: stat.ppid, session: stat.session, mark: mark::read(pid, state) })
        })
        .collect()
}

/// The processes of one dead leader's tree.
fn members(
    wait: &Wait,
    led: &BTreeMap<InstanceId, (Incarnation, Led)>,
    seen: &[Seen],
    table: &Table,
) -> Vec<ProcessRef> {
    let own = std::process::id();
    let leader =
        led.get(&wait.id).filter(|(incarnation, _)| *incarnation == wait.incarnation).map(|(_, led)| led);
    // The session's number belongs to somebody else once a new process leads it.
    let session = leader
        .map(|led| led.process.pid)
        .filter(|pid| !seen.iter().any(|other| other.process.pid == *pid) && !table.leads(*pid));
    let belongs = |seen: &Seen| match &seen.mark {
        Some(mark) => mark.id == wait.id && mark.incarnation <= wait.incarnation,
        None if Some(seen.session) == session => true,
        // A child of ours that nobody leads and that hides its origin came out of some instance: it goes with the
        // first tree that is cleared.
        None => seen.ppid == own && wait.kill,
    };
    let mut pids: BTreeSet<u32> =
        seen.iter().filter(|seen| belongs(seen)).map(|seen| seen.process.pid).collect();
    loop {
        let before = pids.len();
        let born: Vec<u32> =
            seen.iter().filter(|seen| pids.contains(&seen.ppid)).map(|seen| seen.process.pid).collect();
        pids.extend(born);
        if pids.len() == before {
            break;
        }
    }
    seen.iter().filter(|seen| pids.contains(&seen.process.pid)).map(|seen| seen.process.clone()).collect()
}

/// Kills what earlier starts left that nobody leads any more; returns how many were found.
pub(super) fn sweep(state: &Path, table: &Table) -> Vec<(Mark, ProcessRef)> {
    let left: Vec<_> = search(state, table)
        .into_iter()
        .filter_map(|seen| Some((seen.mark?, seen.process)))
        .filter(|(mark, _)| table.get(&mark.id).is_none_or(|leader| mark.incarnation < leader.incarnation))
        .collect();
    left.iter().for_each(|(_, process)| kill(process));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: u32, ppid: u32, session: u32, mark: Option<(&str, u32)>) -> Seen {
        let process = ProcessRef { pid, pid_start: u64::from(pid), boot_id: "b".to_owned() };
        let mark = mark.map(|(id, n)| Mark { id: InstanceId::new(id).unwrap(), incarnation: Incarnation(n) });
        Seen { process, ppid, session, mark }
    }

    fn found(kill: bool, all: &[Seen]) -> Vec<u32> {
        let id = InstanceId::new("a").unwrap();
        let process = ProcessRef { pid: 100, pid_start: 1, boot_id: "b".to_owned() };
        let led = BTreeMap::from([(id.clone(), (Incarnation(3), Led { process, adopted: false }))]);
        let wait = Wait { id, incarnation: Incarnation(3), kill };
        members(&wait, &led, all, &Table::new()).iter().map(|process| process.pid).collect()
    }

    #[test]
    fn members_are_known_by_mark_session_or_descent() {
        let all = [
            seen(101, 1, 100, None),
            seen(102, 1, 102, Some(("a", 3))),
            seen(103, 1, 103, Some(("a", 2))),
            seen(104, 102, 104, None),
            seen(105, 104, 105, None),
        ];
        assert_eq!(found(false, &all), [101, 102, 103, 104, 105]);
    }

    #[test]
    fn strangers_successors_and_other_instances_are_left_alone() {
        let all = [
            seen(201, 1, 201, None),
            seen(202, 1, 202, Some(("a", 4))),
            seen(203, 1, 203, Some(("b", 3))),
            seen(204, 1, 100, Some(("b", 3))),
        ];
        assert_eq!(found(true, &all), [0; 0]);
    }

    #[test]
    fn p18_a_session_number_handed_out_again_is_a_strangers() {
        assert_eq!(found(true, &[seen(100, 1, 100, None), seen(101, 100, 100, None)]), [0; 0]);
    }

    #[test]
    fn a_child_of_ours_that_hides_its_origin_goes_with_the_tree_being_killed() {
        let all = [seen(301, std::process::id(), 301, None)];
        assert_eq!(found(true, &all), [301]);
        assert_eq!(found(false, &all), [0; 0]);
    }
}
