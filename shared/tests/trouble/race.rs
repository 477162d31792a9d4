//! Many want one thing.

use std::sync::Barrier;

use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::id::{Incarnation, TaskId};
use tachi_shared::task::{Change, NewTask, TaskStatus};

use crate::place::{WAIT, id, state};

const RACERS: usize = 64;

#[test]
fn s16_s23_40_of_sixty_four_one_gets_the_task_and_a_late_done_of_a_dead_owner_is_refused() {
    let (_temp, store) = state();
    let task = TaskId::new("only").unwrap();
    let new = NewTask {
        id: task.clone(),
        title: "only".to_owned(),
        needs: Vec::new(),
        payload: json!(null),
        by: "t".to_owned(),
    };
    store.tasks().change(&Change::Add(vec![new]), now(), WAIT).unwrap();
    let start = Barrier::new(RACERS);
    let claimed: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|k| {
                let (store, start, task) = (&store, &start, &task);
                scope.spawn(move || {
                    let mut tasks = store.tasks();
                    let (by, incarnation, boot_id) =
                        (id(&format!("w{k}")), Incarnation(1), "boot".to_owned());
                    start.wait();
                    let claim = Change::Claim { task: task.clone(), by: by.clone(), incarnation, boot_id };
                    match tasks.change(&claim, now(), WAIT) {
                        Ok(fence) => Some((by, fence.unwrap())),
                        Err(Error::Refused(_)) => None,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect()
    });
    let [(owner, fence)] = claimed.as_slice() else { panic!("{} got it", claimed.len()) };
    let mut tasks = store.tasks();
    // The owner dies and its tree is empty: at once somebody else has it, under a higher fence.
    let (reason, by) = ("killed".to_owned(), "supervisor".to_owned());
    let release = Change::ReleaseOwner { owner: owner.clone(), incarnation: Incarnation(1), reason, by };
    tasks.change(&release, now(), WAIT).unwrap().unwrap();
    let heir = (&id("heir"), Incarnation(1), "boot");
    let taken = tasks.claim_first(heir, now(), WAIT, |_, _| true).unwrap().unwrap();
    assert!(taken.owner.unwrap().fence > *fence);
    let late = Change::Done { task: task.clone(), fence: *fence, result: json!(1), by: owner.clone() };
    let refused = tasks.change(&late, now(), WAIT).unwrap_err().to_string();
    assert!(refused.contains("lost lease"), "{refused}");
    assert_eq!(tasks.board().unwrap().tasks[&task].status, TaskStatus::Claimed);
}
