//! What a dead leader left behind: found, killed, waited for.
//!
//! The supervisor is a subreaper, so whatever a dead leader had started becomes our child at once, and what *that* had
//! started when it dies. A tree of ours is therefore empty when no child is left that belongs to it, and it is emptied by
//! killing such children until there are none: one read in the usual case, and nothing that forks while it is hunted can
//! slip through a search. The list of our children is exact because nobody else reaps them. Children belong by our mark
//! in their environment or by the session their leader led; a child that hides both came out of some instance and goes
//! with the first tree that is killed.
//!
//! Trees of leaders an earlier supervisor started do not fall to us. `/proc` is searched for them, newest process first,
//! until a search finds nobody and nobody vanished meanwhile.
//!
//! Everything is signalled through a pidfd whose process is checked to be the recognised one. A tree that is not empty is
//! looked at again at every SIGCHLD and after a growing pause.

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
/// Looks in a row while there is something new to see: a tree that forks as fast as it is killed is chased this often
/// before the loop goes on.
const CHASES: usize = 50;

/// The leader a tree had.
#[derive(Debug, Clone)]
struct Led {
    incarnation: Incarnation,
    process: ProcessRef,
    adopted: bool,
}

/// A tree somebody waits for.
#[derive(Debug)]
struct Wait {
    id: InstanceId,
    incarnation: Incarnation,
}

/// Trees being emptied.
#[derive(Debug)]
pub(super) struct Trees {
    state: PathBuf,
    waits: Vec<Wait>,
    led: BTreeMap<InstanceId, Led>,
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
        self.led.insert(id.clone(), Led { incarnation, process: process.clone(), adopted });
    }

    /// Kills a tree until it is empty; a later request for the same tree replaces an earlier one.
    pub(super) fn empty(&mut self, id: InstanceId, incarnation: Incarnation) {
        self.waits.retain(|wait| wait.id != id);
        self.waits.push(Wait { id, incarnation });
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
        let mut empty = Vec::new();
        let mut known = BTreeSet::new();
        for round in 1..=CHASES {
            if self.waits.is_empty() {
                break;
            }
            let mut fresh = false;
            let children = Found::children(&self.state, table);
            let searched = self.waits.iter().any(|wait| self.fell_to_others(wait));
            let everybody = if searched { Found::everybody(&self.state, table) } else { Found::default() };
            for wait in std::mem::take(&mut self.waits) {
                if leader_lives(&wait, table) {
                    self.waits.push(wait);
                    continue;
                }
                let found = if self.fell_to_others(&wait) { &everybody } else { &children };
                let members = members(&wait, self.led.get(&wait.id), &found.processes);
                members.iter().for_each(kill);
                let news = members.iter().filter(|it| known.insert((it.pid, it.pid_start))).count();
                // Somebody who died while we looked may have left children that we did not see.
                let unsure = found.vanished && round < CHASES;
                fresh |= news > 0 || unsure;
                if members.is_empty() && !unsure {
                    empty.push(Event::TreeEmpty { id: wait.id, incarnation: wait.incarnation });
                } else {
                    self.waits.push(wait);
                }
            }
            if !fresh {
                break;
            }
        }
        self.again = (!self.waits.is_empty()).then(|| now.after(self.pause));
        self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        empty
    }

    /// Whether this tree never became ours to reap.
    fn fell_to_others(&self, wait: &Wait) -> bool {
        self.led.get(&wait.id).is_none_or(|led| led.adopted || led.incarnation != wait.incarnation)
    }
}

/// What a look found.
#[derive(Debug, Default)]
struct Found {
    processes: Vec<Seen>,
    /// Whether somebody was gone before it could be recognised.
    vanished: bool,
}

impl Found {
    /// Our live children that are nobody's leader.
    fn children(state: &Path, table: &Table) -> Self {
        Self::of(reap::strays(table), state)
    }

    /// Every live process but ourselves and the leaders, newest first.
    fn everybody(state: &Path, table: &Table) -> Self {
        let own = std::process::id();
        let mut pids = process::all();
        pids.retain(|pid| *pid != own && !table.leads(*pid));
        pids.sort_unstable_by(|a, b| b.cmp(a));
        Self::of(pids, state)
    }

    fn of(pids: Vec<u32>, state: &Path) -> Self {
        let boot_id = process::boot_id();
        let mut found = Self::default();
        for pid in pids {
            match process::stat(pid) {
                None => found.vanished = true,
                // Dead since long, waiting for somebody else to reap it.
                Some(stat) if stat.is_zombie() => found.vanished |= stat.ppid == std::process::id(),
                Some(stat) => found.processes.push(Seen {
                    process: ProcessRef { pid, pid_start: stat.start, boot_id: boot_id.clone() },
                    ppid: stat.ppid,
                    session: stat.session,
                    mark: mark::read(pid, state),
                }),
            }
        }
        found
    }
}

/// Kills the leader; says whether it still lives.
fn leader_lives(wait: &Wait, table: &mut Table) -> bool {
    let Some(leader) = table.get_mut(&wait.id).filter(|leader| leader.incarnation <= wait.incarnation) else {
        return false;
    };
    if !leader.killed {
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

/// The processes of one dead leader's tree.
fn members(wait: &Wait, led: Option<&Led>, seen: &[Seen]) -> Vec<ProcessRef> {
    let own = std::process::id();
    // The session's number belongs to somebody else once a new process has it.
    let session = led
        .filter(|led| led.incarnation == wait.incarnation)
        .filter(|led| process::stat(led.process.pid).is_none_or(|stat| stat.start == led.process.pid_start))
        .map(|led| led.process.pid);
    let belongs = |seen: &Seen| match &seen.mark {
        Some(mark) => mark.id == wait.id && mark.incarnation <= wait.incarnation,
        None => Some(seen.session) == session || seen.ppid == own,
    };
    let mut pids: BTreeSet<u32> =
        seen.iter().filter(|seen| belongs(seen)).map(|seen| seen.process.pid).collect();
    loop {
        let born: Vec<u32> = seen
            .iter()
            .filter(|seen| pids.contains(&seen.ppid) && !pids.contains(&seen.process.pid))
            .map(|seen| seen.process.pid)
            .collect();
        if born.is_empty() {
            break;
        }
        pids.extend(born);
    }
    seen.iter().filter(|seen| pids.contains(&seen.process.pid)).map(|seen| seen.process.clone()).collect()
}

/// Kills what earlier starts left that nobody leads any more, and tells whom.
pub(super) fn sweep(state: &Path, table: &Table) -> Vec<(Mark, ProcessRef)> {
    let left: Vec<_> = Found::everybody(state, table)
        .processes
        .into_iter()
        .filter_map(|seen| Some((seen.mark?, seen.process)))
        .filter(|(mark, _)| table.get(&mark.id).is_none_or(|leader| mark.incarnation < leader.incarnation))
        .collect();
    left.iter().for_each(|(_, process)| kill(process));
    left
}

/// Whether anything lives that was started here, by its mark.
pub(crate) fn has_marked(state: &Path) -> bool {
    Found::everybody(state, &Table::new()).processes.iter().any(|seen| seen.mark.is_some())
}

/// Kills everything that was started here and lives, until a search finds nobody; for callers who know that nobody
/// supervises it. Returns how many were killed; some may need a moment to be gone.
pub(crate) fn end_marked(state: &Path) -> usize {
    let table = Table::new();
    let mut killed = BTreeSet::new();
    for _ in 0..CHASES {
        let left = sweep(state, &table);
        let known = killed.len();
        killed.extend(left.into_iter().map(|(_, process)| (process.pid, process.pid_start)));
        if killed.len() == known {
            break;
        }
    }
    killed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: u32 = 1 << 23;

    fn seen(pid: u32, ppid: u32, session: u32, mark: Option<(&str, u32)>) -> Seen {
        let process = ProcessRef { pid, pid_start: u64::from(pid), boot_id: "b".to_owned() };
        let mark = mark.map(|(id, n)| Mark { id: InstanceId::new(id).unwrap(), incarnation: Incarnation(n) });
        Seen { process, ppid, session, mark }
    }

    fn found(all: &[Seen]) -> Vec<u32> {
        let id = InstanceId::new("a").unwrap();
        // No process has this pid: the kernel's largest is 2^22.
        let process = ProcessRef { pid: LEADER, pid_start: 1, boot_id: "b".to_owned() };
        let led = Led { incarnation: Incarnation(3), process, adopted: false };
        let wait = Wait { id, incarnation: Incarnation(3) };
        members(&wait, Some(&led), all).iter().map(|process| process.pid).collect()
    }

    #[test]
    fn members_are_known_by_mark_session_or_descent() {
        let all = [
            seen(101, 1, LEADER, None),
            seen(102, 1, 102, Some(("a", 3))),
            seen(103, 1, 103, Some(("a", 2))),
            seen(104, 102, 104, None),
            seen(105, 104, 105, None),
        ];
        assert_eq!(found(&all), [101, 102, 103, 104, 105]);
    }

    #[test]
    fn strangers_successors_and_other_instances_are_left_alone() {
        let all = [
            seen(201, 1, 201, None),
            seen(202, 1, 202, Some(("a", 4))),
            seen(203, 1, 203, Some(("b", 3))),
            seen(204, 1, LEADER, Some(("b", 3))),
        ];
        assert_eq!(found(&all), [0; 0]);
    }

    #[test]
    fn p18_a_session_number_handed_out_again_is_a_strangers() {
        let wait = Wait { id: InstanceId::new("a").unwrap(), incarnation: Incarnation(3) };
        let mut process = process::current();
        let all = [seen(101, 1, process.pid, None)];
        process.pid_start -= 1;
        let led = Led { incarnation: Incarnation(3), process, adopted: false };
        assert_eq!(members(&wait, Some(&led), &all), []);
    }

    #[test]
    fn a_child_of_ours_that_hides_its_origin_goes_with_the_tree_being_killed() {
        let all = [seen(301, std::process::id(), 301, None)];
        assert_eq!(found(&all), [301]);
    }
}
