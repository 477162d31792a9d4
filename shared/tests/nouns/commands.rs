//! The door for commands: placed once, taken once, answered once.

use std::fs;
use std::time::Duration;

use crate::place::{later, rejected, state};
use serde_json::Map;
use tachi_shared::clock::{Timestamp, now};
use tachi_shared::command::{COMMAND_TTL, Command, CommandBox, Reply, Verb, judge};
use tachi_shared::id::{CommandId, Incarnation};
use tachi_shared::os::Disk;

fn stop(target: &str) -> Command {
    Command {
        id: None,
        verb: Verb::Stop { targets: vec![target.to_owned()] },
        from: "operator".to_owned(),
        supervisor: None,
        expires_at: None,
    }
}

#[test]
fn a_command_is_taken_once_and_answered_once() {
    let (_temp, dir) = state();
    let door = CommandBox::new(Disk, &dir);
    let first = door.place(&stop("instance_1")).unwrap();
    let second = door.place(&stop("instance_2")).unwrap();
    assert_ne!(first, second);
    assert_eq!(door.take_reply(&first).unwrap(), None);
    let taken: Vec<_> = door.take(now().wall).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(taken.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&first, &second], "oldest first");
    assert_eq!(taken[0].1.verb, Verb::Stop { targets: vec!["instance_1".to_owned()] });
    assert!(door.take(now().wall).unwrap().is_empty(), "a command was taken twice");
    let reply = Reply {
        id: first.clone(),
        ok: true,
        code: 0,
        message: "stopped".to_owned(),
        details: Map::new(),
        at: now().wall,
    };
    door.answer(&reply).unwrap();
    assert!(door.take(now().wall).unwrap().is_empty(), "a reply was taken for a command");
    assert_eq!(door.take_reply(&first).unwrap(), Some(reply));
    assert_eq!(door.take_reply(&first).unwrap(), None);
    assert_eq!(fs::read_dir(dir.commands()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn a_command_written_by_hand_is_taken_whatever_its_formatting() {
    let (_temp, dir) = state();
    let door = CommandBox::new(Disk, &dir);
    let text = "{\r\n  \"targets\" : [ \"all\" ],\n\t\"verb\": \"restart\", \"note\": \"please\" }\n\n";
    fs::write(dir.commands().join("my-own-name.json"), text).unwrap();
    fs::write(dir.commands().join("half.json.tmp"), "{").unwrap();
    let taken = door.take(now().wall).unwrap();
    let (id, command) = taken.into_iter().next().unwrap().unwrap();
    assert_eq!(id.as_str(), "my-own-name");
    assert_eq!(command.verb, Verb::Restart { targets: vec!["all".to_owned()] });
    assert_eq!(command.from, "operator");
    assert_eq!(judge(&command, Incarnation(1), now().wall), Ok(()));
    assert!(judge(&command, Incarnation(1), later(COMMAND_TTL + Duration::from_secs(1)).wall).is_err());
    assert!(dir.commands().join("half.json.tmp").exists(), "an unfinished file was touched");
}

#[test]
fn what_is_no_command_is_set_aside_with_the_reason_once_its_writer_had_time_to_finish() {
    let (_temp, dir) = state();
    let door = CommandBox::new(Disk, &dir);
    fs::write(dir.commands().join("bad.json"), "{\"verb\": \"explode\"}").unwrap();
    fs::write(dir.commands().join("half.json"), "{\"verb\": \"do").unwrap();
    assert!(door.take(now().wall).unwrap().is_empty(), "a fresh file may still be in the making");
    fs::write(dir.commands().join("half.json"), "{\"verb\": \"down\"}").unwrap();
    let taken = door.take(later(Duration::from_secs(3)).wall).unwrap();
    assert_eq!(taken.len(), 2);
    let why = taken.iter().find_map(|taken| taken.as_ref().err()).unwrap();
    assert!(why.contains("bad.json") && why.contains("explode"), "{why}");
    let names = rejected(&dir);
    assert!(names.len() == 2 && names[0].ends_with(".bad") && names[1].ends_with(".why"), "{names:?}");
}

#[test]
fn a_name_that_is_no_id_a_directory_and_a_pipe_do_not_stop_the_door() {
    let (_temp, dir) = state();
    let door = CommandBox::new(Disk, &dir);
    fs::write(dir.commands().join("with space.json"), "{\"verb\":\"down\"}").unwrap();
    fs::create_dir(dir.commands().join("folder.json")).unwrap();
    fs::write(dir.commands().join("good.json"), "{\"verb\":\"down\"}").unwrap();
    let taken = door.take(later(Duration::from_secs(3)).wall).unwrap();
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1);
    assert_eq!(taken.iter().filter(|taken| taken.is_err()).count(), 2);
    assert!(door.take(later(Duration::from_secs(3)).wall).unwrap().is_empty());
}

#[test]
fn a_command_is_judged_by_its_supervisor_and_its_age() {
    let at = Timestamp::from_unix;
    for (supervisor, expires, now, allowed) in [
        (None, None, 100, true),
        (Some(7), Some(110), 110, true),
        (Some(7), Some(110), 111, false),
        (Some(6), Some(110), 100, false),
    ] {
        let command =
            Command { supervisor: supervisor.map(Incarnation), expires_at: expires.map(at), ..stop("all") };
        assert_eq!(judge(&command, Incarnation(7), at(now)).is_ok(), allowed, "{command:?} at {now}");
    }
}

#[test]
fn answers_nobody_takes_are_removed_after_a_minute() {
    let (_temp, dir) = state();
    let door = CommandBox::new(Disk, &dir);
    let id = CommandId::new("lonely").unwrap();
    let (message, details) = (String::new(), Map::new());
    door.answer(&Reply { id: id.clone(), ok: true, code: 0, message, details, at: now().wall }).unwrap();
    door.take(later(Duration::from_secs(30)).wall).unwrap();
    assert!(dir.reply(&id).exists());
    door.take(later(Duration::from_secs(62)).wall).unwrap();
    assert!(!dir.reply(&id).exists());
}
