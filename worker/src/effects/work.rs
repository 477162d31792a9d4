//! Work on the board: look, claim, list the tree, perform, record the outcome, let go.

use tachi_shared::clock::{self, Now};
use tachi_shared::id::{Seq, TaskId};
use tachi_shared::instance::Hook;
use tachi_shared::os::AliveLock;
use tachi_shared::task::{Board, Change, Task, TaskStatus};

use super::children;
use super::hands::BOARD_PATIENCE;
use super::run_loop::Runner;
use crate::backend::builtin::{self, Duty, Outcome, Remember};
use crate::turn::action::{Plan, PlanEnd};
use crate::turn::{Event, HookFate, Identity, Look, Settlement, Work};

impl Runner {
    /// Does one piece of work and says what came of it.
    pub(super) fn work(&mut self, work: Work) -> Event {
        self.hands.journal.flush();
        match work {
            Work::Look => self.look(),
            Work::Claim(task) => self.claim(task),
            Work::Survey => self.survey(),
            Work::Perform(hook) => self.perform(&hook),
            Work::Settle(plan) => self.settle(&plan),
            Work::LetGo => self.let_go(),
        }
    }

    fn look(&mut self) -> Event {
        let now = clock::now();
        let peers = self.hands.team.peers(now);
        let mut freed = false;
        loop {
            let board = match self.tasks.board() {
                Ok(board) => board,
                Err(error) => {
                    return Event::Unreadable {
                        inbox: false,
                        why: format!("cannot read the board: {error}"),
                    };
                }
            };
            let who = &self.turn.who;
            let hook = self.turn.file.hook.as_ref();
            let look = Look {
                hook: fate(board, who, hook),
                left_behind: left_behind(board, who, hook),
                duty: builtin::next_duty(board, &who.me, &peers, self.turn.surveyed),
                unfinished: board.ready().next().is_some() || board.in_work().next().is_some(),
            };
            if freed || look.duty != Duty::Rest || !self.free_the_dead(now) {
                return Event::Board(look);
            }
            freed = true;
        }
    }

    /// Frees what dead owners hold: the lease ran out *and* nobody holds their alive lock. While a supervisor lives it does
    /// that itself, at once. Whether anything was freed.
    fn free_the_dead(&mut self, now: Now) -> bool {
        let Ok(board) = self.tasks.board() else { return false };
        let dir = self.hands.store.dir();
        let dead = board
            .overdue(now.mono, &self.turn.who.boot_id)
            .filter_map(|task| task.owner.as_ref())
            .find(|owner| !AliveLock::is_held(&dir.alive(&owner.instance)));
        let Some(owner) = dead else { return false };
        let change = Change::ReleaseOwner {
            owner: owner.instance.clone(),
            incarnation: owner.incarnation,
            reason: format!("{} is gone and its lease ran out", owner.instance),
            by: self.turn.who.me.id.to_string(),
        };
        self.tasks.change(&change, now, BOARD_PATIENCE).is_ok()
    }

    fn claim(&mut self, task: TaskId) -> Event {
        let now = clock::now();
        let who = &self.turn.who;
        let change = Change::Claim {
            task: task.clone(),
            by: who.me.id.clone(),
            incarnation: who.incarnation,
            boot_id: who.boot_id.clone(),
        };
        if let Some(hook) = self.own_claim(&task) {
            return Event::Claimed(hook);
        }
        if let Err(error) = self.tasks.change(&change, now, BOARD_PATIENCE) {
            return Event::ClaimLost { task, reason: error.to_string() };
        }
        match self.own_claim(&task) {
            Some(hook) => Event::Claimed(hook),
            None => Event::ClaimLost { task, reason: "somebody else has it".to_owned() },
        }
    }

    /// The claim of this very start on `task`, if it has it.
    fn own_claim(&mut self, task: &TaskId) -> Option<Hook> {
        let who = &self.turn.who;
        let task = self.tasks.board().ok()?.tasks.get(task)?;
        let owner = task.owner.as_ref().filter(|_| task.status == TaskStatus::Claimed)?;
        (owner.instance == who.me.id && owner.incarnation == who.incarnation).then(|| Hook {
            task: task.id.clone(),
            fence: owner.fence.0,
            title: task.title.clone(),
            since: owner.since,
            owed: Vec::new(),
        })
    }

    fn survey(&mut self) -> Event {
        let Self { hands, turn, site, tasks } = self;
        let board = match tasks.board() {
            Ok(board) => board,
            Err(error) => {
                return Event::Unreadable { inbox: false, why: format!("cannot read the board: {error}") };
            }
        };
        let me = turn.who.me.clone();
        let mut go_on = |what: &str| hands.breathe(turn, site, board, what);
        Event::Ended(builtin::survey(site, &me, board, &mut go_on))
    }

    fn perform(&mut self, hook: &Hook) -> Event {
        let Self { hands, turn, site, tasks } = self;
        let board = match tasks.board() {
            Ok(board) => board,
            Err(error) => return Event::Ended(Outcome::Failed(format!("cannot read the board: {error}"))),
        };
        let Some(task) = board.tasks.get(&hook.task) else {
            return Event::Ended(Outcome::Failed("the task is not on the board".to_owned()));
        };
        let me = turn.who.me.clone();
        let mut go_on = |what: &str| hands.breathe(turn, site, board, what);
        Event::Ended(builtin::perform(site, &me, task, board, &mut go_on))
    }

    /// Everything that is idempotent first, the task's end last: a successor who finds it open does all of it again.
    fn settle(&mut self, plan: &Plan) -> Event {
        children::bury();
        let now = clock::now();
        if let PlanEnd::Done { changes, remember, .. } = &plan.end {
            for change in changes {
                match self.tasks.change(change, now, BOARD_PATIENCE) {
                    Ok(_) => {}
                    Err(tachi_shared::Error::Refused(reason)) => {
                        self.hands.journal.note(
                            &self.turn.who,
                            now.wall,
                            "task",
                            &format!("refused: {reason}"),
                        );
                    }
                    Err(error) => return Event::Settled(Settlement::Later(error.to_string())),
                }
            }
            if let Err(error) = self.remember(remember, now) {
                return Event::Settled(Settlement::Later(error.to_string()));
            }
        }
        let settlement = self.finish(plan, now);
        if settlement == Settlement::Recorded && self.woke_others(plan) {
            self.tasks.wake(Some(&self.turn.who.me.id));
        }
        Event::Settled(settlement)
    }

    fn remember(&mut self, entries: &[Remember], now: Now) -> tachi_shared::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut memory = self.hands.store.memory();
        for entry in entries {
            memory.add(entry.kind, &entry.id, self.turn.who.me.id.as_str(), &entry.content, now)?;
        }
        Ok(())
    }

    fn finish(&mut self, plan: &Plan, now: Now) -> Settlement {
        let Some(hook) = &plan.hook else { return Settlement::Recorded };
        let (task, fence, by) = (hook.task.clone(), Seq(hook.fence), self.turn.who.me.id.clone());
        let change = match &plan.end {
            PlanEnd::Done { result, .. } => Change::Done { task, fence, result: result.clone(), by },
            PlanEnd::Failed(reason) => Change::Fail { task, fence, reason: reason.clone(), by },
        };
        match self.tasks.change(&change, now, BOARD_PATIENCE) {
            Ok(_) => Settlement::Recorded,
            Err(tachi_shared::Error::Refused(reason)) => Settlement::Lost(reason),
            Err(error) => Settlement::Later(error.to_string()),
        }
    }

    /// Whether others may have something to do now that they had not before.
    fn woke_others(&mut self, plan: &Plan) -> bool {
        let added = match &plan.end {
            PlanEnd::Done { changes, .. } => !changes.is_empty(),
            PlanEnd::Failed(_) => true,
        };
        let Some(hook) = &plan.hook else { return added };
        let Ok(board) = self.tasks.board() else { return true };
        added || board.ready().any(|task| task.needs.contains(&hook.task))
    }

    /// Leaves nothing behind: no child, no claim.
    fn let_go(&mut self) -> Event {
        children::end_all();
        if self.turn.file.hook.is_none() {
            return Event::LetGo { freed: true };
        }
        let who = &self.turn.who;
        let change = Change::ReleaseOwner {
            owner: who.me.id.clone(),
            incarnation: who.incarnation,
            reason: format!("{} left in order", who.me.id),
            by: who.me.id.to_string(),
        };
        let freed = self.tasks.change(&change, clock::now(), BOARD_PATIENCE).is_ok();
        if freed {
            self.tasks.wake(Some(&self.turn.who.me.id));
        }
        Event::LetGo { freed }
    }
}

fn fate(board: &Board, who: &Identity, hook: Option<&Hook>) -> HookFate {
    let Some(hook) = hook else { return HookFate::Empty };
    let Some(task) = board.tasks.get(&hook.task) else { return HookFate::Gone };
    let by_us = |task: &Task| task.finished_by.as_ref() == Some(&who.me.id);
    match (task.status, &task.owner) {
        (TaskStatus::Open, _) => HookFate::Live,
        (TaskStatus::Claimed, Some(owner)) if owner.instance == who.me.id => HookFate::Live,
        (TaskStatus::Done, _) if by_us(task) => HookFate::Finished,
        _ => HookFate::Gone,
    }
}

/// A claim of ours that no hook tells of: we were killed between taking it and writing it down.
fn left_behind(board: &Board, who: &Identity, hook: Option<&Hook>) -> Option<TaskId> {
    board
        .in_work()
        .filter(|task| task.owner.as_ref().is_some_and(|owner| owner.instance == who.me.id))
        .map(|task| &task.id)
        .find(|id| hook.is_none_or(|hook| hook.task != **id))
        .cloned()
}
