//! What a member of the team does next — pure.
//!
//! Order: the role's own duty, votes, parts (helping), duties of roles nobody lives for. Only open tasks are chosen. Who asks
//! first gets a task anyway, so nothing here has to be exact; it makes collisions rare and shares the work out.

use tachi_shared::id::InstanceId;
use tachi_shared::task::{Board, Task, TaskStatus};

use super::digest::Digest;
use super::job::{Job, current_run, last_report, of_run, unvoted};
use super::{Duty, Peer, given_up};

/// From this many live members on nobody takes more than `SHARE_MAX` of the bytes while others could.
const TEAM: usize = 4;
/// In percent. Above a third, so that one member that is slow to come keeps nobody waiting.
const SHARE_MAX: u64 = 40;

/// Judges what `me` should do. `surveyed` = this process has already listed the tree since it started.
#[must_use]
pub fn next_duty(board: &Board, me: &Peer, peers: &[Peer], surveyed: bool) -> Duty {
    let team = Team::new(me, peers);
    if team.surveyor() == Some(&me.id) && (!surveyed || late_proposals(board) || is_stuck(board)) {
        return Duty::Survey;
    }
    let open: Vec<(&Task, Job)> =
        board.ready().filter_map(|task| Job::of(task).map(|job| (task, job))).collect();
    let own = || open.iter().find(|(_, job)| is_gather(job) && job.role() == Some(me.role.as_str()));
    let vote = || open.iter().find(|(_, job)| team.votes(board, job));
    let cover = || open.iter().find(|(_, job)| is_gather(job) && !team.has(job.role()));
    own()
        .or_else(vote)
        .or_else(|| part(board, &team, &open))
        .or_else(cover)
        .map_or(Duty::Rest, |(task, _)| Duty::Claim(task.id.clone()))
}

/// Duties that one role has for the whole team.
fn is_gather(job: &Job) -> bool {
    matches!(job, Job::Assemble { .. } | Job::Derive { .. } | Job::Report { .. })
}

/// Whether somebody put a proposal on the board after the report was written.
fn late_proposals(board: &Board) -> bool {
    unvoted(board).next().is_some()
        && current_run(board)
            .is_some_and(|run| last_report(board, &run).is_some_and(|(_, status)| status == TaskStatus::Done))
}

/// Whether the current run waits for a task that failed for good.
fn is_stuck(board: &Board) -> bool {
    current_run(board).is_some_and(|run| given_up::is_stuck(board, &run))
}

/// A part (or piece of history) to read. Explorers go from the first to the last; the others start elsewhere, each at its
/// own place, so that members rarely reach for the same one.
fn part<'a>(board: &Board, team: &Team<'_>, open: &'a [(&'a Task, Job)]) -> Option<&'a (&'a Task, Job)> {
    let readable = |job: &Job| matches!(job, Job::Part { .. } | Job::History { .. });
    let parts: Vec<&(&Task, Job)> = open.iter().filter(|(_, job)| readable(job)).collect();
    if parts.is_empty() || team.has_enough(board) {
        return None;
    }
    let start = if team.me.role.as_str() == "explorer" && team.first_of_role() {
        0
    } else {
        let count = u64::try_from(parts.len()).unwrap_or(1);
        let place = Digest::new().bytes(team.me.id.as_str().as_bytes()).finish() % count;
        usize::try_from(place).unwrap_or_default()
    };
    parts.get(start).copied()
}

/// The live members, `me` among them, in order of ids.
struct Team<'a> {
    me: &'a Peer,
    members: Vec<&'a Peer>,
}

impl<'a> Team<'a> {
    fn new(me: &'a Peer, peers: &'a [Peer]) -> Self {
        let mut members: Vec<&Peer> = peers.iter().filter(|peer| peer.id != me.id).chain([me]).collect();
        members.sort_by(|a, b| natural(&a.id).cmp(&natural(&b.id)));
        members.dedup_by(|a, b| a.id == b.id);
        Self { me, members }
    }

    fn has(&self, role: Option<&str>) -> bool {
        self.members.iter().any(|member| Some(member.role.as_str()) == role)
    }

    /// The first coordinator; without one, the first member.
    fn surveyor(&self) -> Option<&InstanceId> {
        let coordinator = self.members.iter().find(|member| member.role.as_str() == "coordinator");
        coordinator.or(self.members.first()).map(|member| &member.id)
    }

    fn first_of_role(&self) -> bool {
        self.members.iter().find(|member| member.role == self.me.role).is_some_and(|m| m.id == self.me.id)
    }

    /// Whether `me` has read its share of the current run, and enough others live to read the rest.
    fn has_enough(&self, board: &Board) -> bool {
        if self.members.len() < TEAM {
            return false;
        }
        let Some(run) = current_run(board) else { return false };
        let (mut total, mut mine) = (0_u64, 0_u64);
        for (task, job) in of_run(board, &run) {
            let Job::Part { bytes, .. } = job else { continue };
            total = total.saturating_add(bytes);
            let by = task.finished_by.as_ref().or(task.owner.as_ref().map(|owner| &owner.instance));
            if by == Some(&self.me.id) {
                mine = mine.saturating_add(bytes);
            }
        }
        mine.saturating_mul(100) > total.saturating_mul(SHARE_MAX)
    }

    /// Whether `me` should cast this vote: somebody who neither proposed nor looks already, as long as one such lives.
    fn votes(&self, board: &Board, job: &Job) -> bool {
        let Job::Vote { proposal, .. } = job else { return false };
        let fresh =
            |member: &Peer| {
                board.proposals.get(proposal).is_some_and(|known| {
                    known.by != member.id && !known.votes.contains_key(member.id.as_str())
                }) && !looks(board, proposal.as_str(), &member.id)
            };
        fresh(self.me) || !self.members.iter().any(|member| fresh(member))
    }
}

/// Whether `who` holds another vote on the proposal.
fn looks(board: &Board, proposal: &str, who: &InstanceId) -> bool {
    board.in_work().any(|task| {
        task.owner.as_ref().is_some_and(|owner| owner.instance == *who)
            && matches!(Job::of(task), Some(Job::Vote { proposal: other, .. }) if other.as_str() == proposal)
    })
}

/// Order of ids that has `instance_2` before `instance_10`.
fn natural(id: &InstanceId) -> (usize, &str) {
    (id.as_str().len(), id.as_str())
}

#[cfg(test)]
#[path = "duty_tests.rs"]
mod tests;
