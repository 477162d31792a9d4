//! P46: the configuration read again.

use serde_json::{Value, json};
use tachi::fleet::{Action, Event};
use tachi::settings::{Limit, Settings};
use tachi_shared::id::CommandId;
use tachi_shared::registry::Kind;

use super::scene::{Scene, id, settings, shown, spec};

/// Gives the settings as they were read now.
fn read(scene: &mut Scene, ms: u64, dry_run: bool, outcome: Result<Settings, String>) -> Vec<String> {
    let command = CommandId::new("a").unwrap();
    shown(scene.give(ms, Event::Reread { command, dry_run, outcome: outcome.map(Box::new) }))
}

fn details(scene: &Scene) -> Value {
    let details = scene.actions.iter().find_map(|action| match action {
        Action::Reply { details, .. } => Some(details.clone()),
        _ => None,
    });
    Value::Object(details.unwrap())
}

/// Three running instances; 2 gets another command, 3 is taken out, 4 comes in.
fn changed() -> Settings {
    let mut new = settings(4);
    new.specs[1].kind = Kind::Command;
    new.specs[1].command = vec!["serve".to_owned()];
    new.specs[1].env = vec![("KEY".to_owned(), "secret".to_owned())];
    new.specs.remove(2);
    new
}

#[test]
fn p46_a_dry_run_says_what_would_be_done_and_does_nothing() {
    let mut scene = Scene::running(3);
    scene.check("1000 a asks preview => reread a");
    assert_eq!(read(&mut scene, 1001, true, Ok(changed())), ["reply a 0"]);
    let expected = json!({
        "added": ["instance_4"], "removed": ["instance_3"], "untouched": 1, "later": [],
        "changed": [{ "id": "instance_2", "keys": ["command", "env.KEY"], "restart": true }],
    });
    assert_eq!(details(&scene)["diff"], expected);
    assert!(!details(&scene).to_string().contains("secret"));
    scene.check("1002 ? 2 ready \n 1002 ? 3 ready");
    assert!(scene.fleet.get(&id(4)).is_none());
}

#[test]
fn p46_only_what_changed_is_touched_and_each_step_waits_for_an_empty_tree() {
    let mut scene = Scene::running(3);
    scene.check("1000 a asks apply => reread a");
    assert_eq!(
        read(&mut scene, 1001, false, Ok(changed())),
        ["TERM 3", "CONT 3", "TERM 2", "CONT 2", "spawn 4#1"]
    );
    assert_eq!(scene.fleet.get(&id(2)).unwrap().spec.kind, Kind::Worker, "it ends by its old rules");
    scene.check(
        "1002 exit 2#1 0   => kill 2#1
         1003 exit 3#1 0   => kill 3#1
         1004 empty 3#1    => release 3#1
         1005 empty 2#1    => spawn 2#2, release 2#1
         1006 spawned 2#2  =>
         1006 spawned 4#1  =>
         1007 ready 2#2    =>
         1008 ready 4#1    => reply a 0",
    );
    assert_eq!(scene.fleet.get(&id(2)).unwrap().spec.command, ["serve"]);
    assert!(scene.fleet.get(&id(3)).is_none());
    assert_eq!(details(&scene)["instance_1"], Value::Null, "nobody waited for the untouched");
    assert_eq!(details(&scene)["instance_2"], "ready as start 2");
    assert_eq!(details(&scene)["diff"]["added"], json!(["instance_4"]));
    assert_eq!(read(&mut scene, 2000, false, Ok(changed())), ["reply a 0"]);
    assert_eq!(details(&scene)["diff"]["untouched"], 3, "applied once is applied");
}

#[test]
fn p46_a_configuration_that_cannot_be_taken_changes_nothing_and_says_where() {
    let mut scene = Scene::running(2);
    let why = "tachi.toml:3:1: unknown key `cuont`".to_owned();
    assert_eq!(read(&mut scene, 1000, false, Err(why)), ["reply a 2"]);
    assert_eq!(scene.recorded(), ["apply"]);
    let same = settings(2);
    assert_eq!(read(&mut scene, 1001, false, Ok(same)), ["reply a 0"]);
    assert_eq!(details(&scene)["diff"]["untouched"], 2);
}

#[test]
fn p46_rules_that_only_the_supervisor_keeps_need_no_restart() {
    let mut scene = Scene::running(2);
    let mut new = settings(2);
    new.specs[1].limit = Some(Limit { burst: 1, period: std::time::Duration::from_secs(60) });
    assert_eq!(read(&mut scene, 1000, false, Ok(new)), ["reply a 0"]);
    assert_eq!(details(&scene)["instance_2"], "changed without a restart");
    scene.check(
        "1001 exit 2#1 1  => kill 2#1
         1002 empty 2#1   => spawn 2#2, release 2#1, tell 2
         1003 spawned 2#2 =>
         1004 exit 2#2 1  => kill 2#2
         1005 empty 2#2   => release 2#2, tell 2
         1006 ? 2 failed",
    );
}

#[test]
fn p46_who_was_stopped_stays_down_and_who_was_given_up_is_tried_with_the_new_rules() {
    let mut scene = Scene::running(2);
    scene.check(
        "1000 b asks stop 1 => TERM 1, CONT 1
         1001 exit 1#1 0    => kill 1#1
         1002 empty 1#1     => release 1#1, reply b 0
         1003 exit 2#1 78   => kill 2#1
         1004 empty 2#1     => release 2#1, tell 2",
    );
    let mut new = settings(2);
    for spec in &mut new.specs {
        spec.env = vec![("A".to_owned(), "b".to_owned())];
    }
    assert_eq!(read(&mut scene, 1005, false, Ok(new)), ["spawn 2#2"]);
    scene.check(
        "1006 spawned 2#2   =>
         1007 ready 2#2     => reply a 0
         1008 ? 1 stopped
         1009 c asks start 1 => spawn 1#2",
    );
    assert_eq!(scene.fleet.get(&id(1)).unwrap().spec.env.len(), 1);
}

#[test]
fn p46_what_scale_did_stays_and_changes_only_with_the_template_of_its_role() {
    let mut scene = Scene::running(2);
    scene.check(
        "1000 b asks scale builder 2  => spawn 3#1
         1001 spawned 3#1             =>
         1002 ready 3#1               => reply b 0
         1003 c asks scale explorer 0 => TERM 1, CONT 1
         1004 exit 1#1 0              => kill 1#1
         1005 empty 1#1               => release 1#1, reply c 0",
    );
    assert_eq!(read(&mut scene, 1006, false, Ok(settings(2))), ["reply a 0"]);
    assert!(scene.fleet.get(&id(1)).is_none() && scene.fleet.get(&id(3)).is_some());
    let mut new = settings(2);
    new.roles[1].env = vec![("A".to_owned(), "b".to_owned())];
    assert_eq!(read(&mut scene, 1007, false, Ok(new)), ["TERM 3", "CONT 3"]);
}

#[test]
fn p46_who_is_taken_out_and_put_back_before_it_has_left_comes_back() {
    let mut scene = Scene::running(2);
    let mut without = settings(2);
    without.specs.remove(1);
    assert_eq!(read(&mut scene, 1000, false, Ok(without)), ["TERM 2", "CONT 2"]);
    assert_eq!(read(&mut scene, 1001, false, Ok(settings(2))), ["reply a 1"], "the first wish is overtaken");
    scene.check(
        "1002 exit 2#1 0  => kill 2#1
         1003 empty 2#1   => spawn 2#2, release 2#1
         1004 spawned 2#2 =>
         1005 ready 2#2   => reply a 0",
    );
}

#[test]
fn p46_what_only_a_new_supervisor_takes_over_is_said() {
    let mut scene = Scene::running(1);
    let mut new = settings(1);
    new.goal = Some("keep the build green".to_owned());
    new.specs.push(spec(2));
    assert_eq!(read(&mut scene, 1000, true, Ok(new)), ["reply a 0"]);
    assert_eq!(details(&scene)["diff"]["later"], json!(["goal"]));
    assert_eq!(details(&scene)["diff"]["added"], json!(["instance_2"]));
}

#[test]
fn p46_a_stop_meanwhile_wins_over_a_change() {
    let mut scene = Scene::running(2);
    assert_eq!(read(&mut scene, 1000, false, Ok(changed())), ["TERM 2", "CONT 2", "spawn 4#1"]);
    scene.check(
        "1001 b asks stop 2 =>
         1002 exit 2#1 0    => kill 2#1
         1003 empty 2#1     => release 2#1, reply b 0
         1003 ? 2 stopped
         1004 terminate     => TERM 1, CONT 1",
    );
    assert_eq!(read(&mut scene, 1005, false, Ok(settings(2))), ["reply a 1"]);
}
