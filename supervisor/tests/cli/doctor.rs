//! `tachi doctor`: each thing is broken first, and the sentence about it is read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tachi_shared::clock;
use tachi_shared::event::Event;
use tachi_shared::id::{Incarnation, InstanceId, Role, TaskId};
use tachi_shared::instance::InstanceState;
use tachi_shared::os::{AliveLock, process};
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::registry::{Registry, Row};
use tachi_shared::store::Store;
use tachi_shared::task::{Change, NewTask};

use crate::folder::Folder;

const WAIT: Duration = Duration::from_secs(5);

/// A healthy store with one stopped instance, three messages, a task done, an event, a memory entry.
struct Patient {
    folder: Folder,
    store: Store,
}

fn instance() -> InstanceId {
    InstanceId::new("instance_1").unwrap()
}

fn draft(k: u64) -> Draft {
    let mut value = json!({"to": "operator", "from": "instance_1", "type": "finding", "content": "found"});
    value["id"] = json!(format!("instance_1.1.{k}"));
    value["timestamp"] = json!(clock::now().wall);
    value["metadata"] = json!({});
    serde_json::from_value(value).unwrap()
}

impl Patient {
    fn new() -> Self {
        let folder = Folder::new();
        let store = Store::create(&folder.state()).unwrap();
        let row = json!({
            "instance_id": "instance_1", "role": "explorer", "pid": null, "pid_start": null, "incarnation": 1,
            "status": "stopped", "desired": "stopped", "started_at": null, "last_heartbeat": null, "restarts": 0,
            "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null,
        });
        let row: Row = serde_json::from_value(row).unwrap();
        let add = |registry: &mut Registry| {
            registry.instances.push(row);
            Ok(())
        };
        store.registry().update(WAIT, add).unwrap();
        store.queue().send(&[draft(1), draft(2), draft(3)], WAIT).unwrap();
        let now = clock::now();
        store.events().record(&[Event::new(now.wall, "supervisor-up", "took the directory")], WAIT).unwrap();
        store.memory().set_fact("answer", json!(42)).unwrap();
        let (mut tasks, id) = (store.tasks(), instance());
        let name = TaskId::new("t").unwrap();
        let (title, by) = ("a task".to_owned(), "operator".to_owned());
        let task = NewTask { id: name.clone(), title, needs: Vec::new(), payload: Value::Null, by };
        tasks.change(&Change::Add(vec![task]), now, WAIT).unwrap();
        let boot_id = process::boot_id();
        let claim =
            Change::Claim { task: name.clone(), by: id.clone(), incarnation: Incarnation(1), boot_id };
        let fence = tasks.change(&claim, now, WAIT).unwrap().unwrap();
        let done = Change::Done { task: name, fence, result: json!(1), by: id.clone() };
        tasks.change(&done, now, WAIT).unwrap();
        let role = Role::new("explorer").unwrap();
        let mut state = InstanceState::new(&id, &role, Incarnation(1), &process::current(), now);
        state.inbox = Some(store.queue().end().unwrap());
        store.instance(&id).replace(&state).unwrap();
        Self { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.state().join(name)
    }

    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(text)).unwrap();
    }

    fn edit_json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.edit(name, |text| {
            let mut value = serde_json::from_str(&text).unwrap();
            change(&mut value);
            serde_json::to_string_pretty(&value).unwrap()
        });
    }

    /// Code 1 and this sentence, once.
    #[track_caller]
    fn has(&self, expected: &str) -> String {
        let said = self.folder.run(&["doctor"]);
        assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
        let lines: Vec<&str> = said.out.lines().filter(|line| line.contains(expected)).collect();
        assert_eq!(lines.len(), 1, "wanted {expected}\ngot {}", said.out);
        assert!(lines[0].starts_with("problem ") && lines[0].contains("; next: "), "{}", lines[0]);
        lines[0].to_owned()
    }

    #[track_caller]
    fn is_well(&self) -> String {
        let out = self.folder.ok(&["doctor"]);
        assert!(!out.contains("problem"), "{out}");
        out
    }

    /// `--fix` mends it: the run says so and finds nothing more.
    #[track_caller]
    fn mends(&self, expected: &str) {
        let out = self.folder.ok(&["doctor", "--fix"]);
        assert!(out.lines().any(|line| line.starts_with("fixed ") && line.contains(expected)), "{out}");
        self.is_well();
    }
}

const MESSAGES: &str = "messages/00000000000000000001.jsonl";
const TASKS: &str = "tasks/00000000000000000001.jsonl";

fn replace_line(text: &str, number: usize, line: &str) -> String {
    let lines = text.lines().enumerate().map(|(n, old)| if n + 1 == number { line } else { old });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn c01_doctor_finds_a_healthy_directory_healthy_and_changes_nothing() {
    let patient = Patient::new();
    let before: Vec<Vec<u8>> = [MESSAGES, TASKS, "registry.json", "memory.json"]
        .map(|name| fs::read(patient.path(name)).unwrap())
        .into();
    let out = patient.is_well();
    assert!(
        out.contains("ok      every complete line of the logs can be read (3 segments, 7 records)"),
        "{out}"
    );
    assert!(out.contains("ok      every message is stored once (3 ids)"), "{out}");
    let value = patient.folder.json(&["doctor"]);
    assert_eq!((&value["schema"], &value["ok"]), (&json!(1), &json!(true)));
    patient.folder.ok(&["doctor", "--fix"]);
    let after: Vec<Vec<u8>> = [MESSAGES, TASKS, "registry.json", "memory.json"]
        .map(|name| fs::read(patient.path(name)).unwrap())
        .into();
    assert_eq!(before, after);
    assert_eq!(Folder::new().run(&["doctor"]).code, 1, "no directory is no healthy one");
}

#[test]
fn s03_a_line_that_cannot_be_read_is_named_with_its_number() {
    let patient = Patient::new();
    patient.edit(MESSAGES, |text| replace_line(&text, 2, "{\"seq\":2,\"to\":"));
    let line =
        patient.has("00000000000000000001.jsonl:2: the line cannot be read: EOF while parsing a value");
    assert!(line.contains("gap notice"), "{line}");
    patient.has("record 3 follows record 1");
}

#[test]
fn s04_numbers_out_of_order_and_misnamed_segments_are_named() {
    let patient = Patient::new();
    patient.edit(MESSAGES, |text| text.replace("{\"seq\":3,", "{\"seq\":2,"));
    patient.has("00000000000000000001.jsonl:3: record 2 follows record 2");
    let patient = Patient::new();
    fs::rename(patient.path(MESSAGES), patient.path("messages/00000000000000000007.jsonl")).unwrap();
    patient.has("00000000000000000007.jsonl:1: the first record is 1, the name says 7");
    let patient = Patient::new();
    fs::rename(patient.path(MESSAGES), patient.path("messages/1.jsonl")).unwrap();
    patient.has("messages/1.jsonl: the name is not a number of 20 digits");
}

#[test]
fn s08_records_missing_between_segments_are_counted_and_a_new_epoch_is_none() {
    let patient = Patient::new();
    let next = patient.path("messages/00000000000000000009.jsonl");
    fs::write(&next, "{\"seq\":9}\n").unwrap();
    patient.has("00000000000000000009.jsonl: records 4 to 8 are missing before it");
    fs::rename(&next, patient.path("messages/00000000000002000009.jsonl")).unwrap();
    fs::write(patient.path("messages/00000000000002000009.jsonl"), "{\"seq\":2000009}\n").unwrap();
    patient.is_well();
}

#[test]
fn s02_a_torn_end_is_told_and_mended_under_the_lock_with_its_bytes_kept() {
    let patient = Patient::new();
    let whole = fs::read_to_string(patient.path(MESSAGES)).unwrap();
    fs::write(patient.path(MESSAGES), format!("{whole}{{\"seq\":4,\"to")).unwrap();
    let line = patient.has("00000000000000000001.jsonl:4: 12 bytes behind the last complete line");
    assert!(line.contains("--fix"), "{line}");
    patient.mends("12 bytes behind the last complete line");
    assert_eq!(fs::read_to_string(patient.path(MESSAGES)).unwrap(), whole);
    let out = patient.is_well();
    assert!(out.contains("note    ") && out.contains("refused: the line was torn by a crash"), "{out}");
}

#[test]
fn s02_a_torn_end_before_the_newest_segment_is_left_to_a_person() {
    let patient = Patient::new();
    let whole = fs::read_to_string(patient.path(MESSAGES)).unwrap();
    fs::write(patient.path(MESSAGES), format!("{whole}{{\"se")).unwrap();
    fs::write(patient.path("messages/00000000000000000004.jsonl"), "{\"seq\":4}\n").unwrap();
    patient.has("nobody writes here any more");
    assert_eq!(patient.folder.run(&["doctor", "--fix"]).code, 1);
}

#[test]
fn s01_a_message_stored_twice_is_named_with_both_places() {
    let patient = Patient::new();
    patient.store.queue().send(&[draft(2)], WAIT).unwrap();
    let line = patient.has("00000000000000000001.jsonl:4: message instance_1.1.2 is also at ");
    assert!(line.contains("00000000000000000001.jsonl:2;"), "{line}");
    // Ids given by hand may come again.
    let patient = Patient::new();
    let by_hand = Draft { id: "note".to_owned(), kind: MessageKind::Human, ..draft(9) };
    patient.store.queue().send(&[by_hand.clone(), by_hand], WAIT).unwrap();
    patient.is_well();
}

#[test]
fn s07_a_position_beyond_the_end_is_named_unless_a_boot_lies_between() {
    let patient = Patient::new();
    patient.edit_json("instances/instance_1.json", |state| state["inbox"]["seq"] = json!(99));
    patient.has("instance_1.json: its position is message 99, the log ends at 3");
    patient.edit_json(".tachi/epoch.json", |epoch| epoch["topics"]["messages"]["boot_id"] = json!("other"));
    patient.is_well();
}

#[test]
fn s13_files_that_cannot_be_taken_are_named_with_line_and_column() {
    let patient = Patient::new();
    patient.edit("memory.json", |text| text.replacen("\"rev\": 1", "\"rev\": \"x\"", 1));
    patient.has("memory.json:3:12: it cannot be taken: rev: invalid type: string \"x\", expected u64");
    let patient = Patient::new();
    patient.edit_json("registry.json", |registry| registry["schema"] = json!(7));
    patient.has("has schema 7, this program knows up to 1");
    let patient = Patient::new();
    fs::write(patient.path("instances/instance_1.json"), "{").unwrap();
    patient.has("instance_1.json:1:1: it cannot be taken: EOF while parsing an object");
    let patient = Patient::new();
    fs::write(patient.path(".tachi/epoch.json"), "[]").unwrap();
    patient.has("epoch.json: it has no schema");
    let patient = Patient::new();
    fs::copy(patient.path("instances/instance_1.json"), patient.path("instances/instance_2.json")).unwrap();
    patient.has("instance_2.json: it is the state of instance_1");
    fs::rename(patient.path("instances/instance_2.json"), patient.path("instances/a b.json")).unwrap();
    patient.has("a b.json: the name is no instance id");
}

#[test]
fn s10_a_revision_that_went_back_is_named() {
    let patient = Patient::new();
    for k in 0..3 {
        patient.store.memory().set_fact("k", json!(k)).unwrap();
    }
    patient.edit_json("memory.json", |memory| memory["rev"] = json!(1));
    patient.has("memory.json: its rev is 1, but revision 4 was written before");
}

#[test]
fn s22_two_rows_of_one_id_or_one_pid_are_named() {
    let patient = Patient::new();
    patient.edit_json("registry.json", |registry| {
        let row = registry["instances"][0].clone();
        registry["instances"].as_array_mut().unwrap().push(row);
    });
    patient.has("registry.json: instance_1 has more than one row");
    patient.edit_json("registry.json", |registry| {
        registry["instances"][1]["instance_id"] = json!("instance_2");
        registry["instances"][0]["pid"] = json!(4_000_000);
        registry["instances"][1]["pid"] = json!(4_000_000);
    });
    patient.has("instance_1 and instance_2 both have pid 4000000");
    patient.has("instance_2 is said to run as pid 4000000, which does not live");
}

#[test]
fn s17_a_process_without_its_lock_and_a_lock_without_its_row_are_named() {
    let patient = Patient::new();
    let alive = |id: &str| AliveLock::take(&patient.path(&format!(".tachi/locks/{id}.alive"))).unwrap();
    let here = process::current();
    let run = |pid: u32, start: Option<u64>| {
        patient.edit_json("registry.json", |registry| {
            let row = &mut registry["instances"][0];
            (row["pid"], row["pid_start"], row["status"]) = (json!(pid), json!(start), json!("ready"));
        });
    };
    run(here.pid, Some(here.pid_start));
    patient.has(&format!("instance_1 runs as pid {} without its alive lock", here.pid));
    let lock = alive("instance_1");
    patient.is_well();
    run(1, None);
    patient.has(&format!("instance_1 is pid 1, but pid {} holds its alive lock", here.pid));
    patient.edit_json("registry.json", |registry| {
        (registry["instances"][0]["pid"], registry["instances"][0]["status"]) =
            (Value::Null, json!("stopped"));
    });
    patient.has("instance_1 is said to be stopped, but lives as pid ");
    drop(lock);
    let _stranger = alive("instance_9");
    patient.has("instance_9 lives as pid ");
}

#[test]
fn s16_changes_of_a_task_that_were_not_allowed_are_named() {
    let patient = Patient::new();
    patient.edit(TASKS, |text| {
        let again = text.lines().last().unwrap().replace("{\"seq\":3,", "{\"seq\":4,");
        let claim = text.lines().nth(1).unwrap().replace("{\"seq\":2,", "{\"seq\":5,");
        format!("{text}{again}\n{claim}\n{{\"seq\":6,\"kind\":\"eaten\"}}\n")
    });
    patient.has("00000000000000000001.jsonl:4: task t is done under claim 2, which nobody holds any more");
    patient.has("00000000000000000001.jsonl:5: instance_1 claims task t, which is done");
    patient.has("00000000000000000001.jsonl:6: it is no change of a task: unknown variant `eaten`");
}

fn age(path: &Path, hours: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
}

#[test]
fn s18_old_temporary_files_and_doorbells_of_nobody_are_told_and_removed() {
    let patient = Patient::new();
    let temporary = patient.path(".tachi/tmp/memory.json.1.1.tmp");
    fs::write(&temporary, "{}").unwrap();
    fs::write(patient.path(".tachi/tmp/young.tmp"), "{}").unwrap();
    age(&temporary, 3);
    patient.has("memory.json.1.1.tmp: a temporary file of 2 bytes, 3 h old");
    patient.mends("a temporary file of 2 bytes");
    assert!(!temporary.exists() && patient.path(".tachi/tmp/young.tmp").exists());
    for name in ["instance_1", "instance_7", "supervisor"] {
        fs::write(patient.path(&format!(".tachi/wake/{name}")), "").unwrap();
    }
    patient.has("wake/instance_7: a doorbell of nobody in the registry");
    patient.mends("instance_7");
    assert!(
        !patient.path(".tachi/wake/instance_7").exists() && patient.path(".tachi/wake/instance_1").exists()
    );
}

#[test]
fn files_that_others_can_reach_are_named_with_the_command_that_closes_them() {
    let patient = Patient::new();
    let chmod = |name: &str, mode| {
        fs::set_permissions(patient.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("memory.json", 0o644);
    patient.is_well();
    chmod("", 0o755);
    let line = patient.has("memory.json: its mode is 0644: others of this machine reach it");
    assert!(line.contains("next: chmod 600 "), "{line}");
    chmod("memory.json", 0o600);
    patient.is_well();
    chmod("messages", 0o755);
    patient.has("messages: its mode is 0755");
    chmod("", 0o777);
    patient.has("st: its mode is 0777");
}

#[test]
fn s19_a_log_beyond_its_bound_is_named() {
    let patient = Patient::new();
    patient.is_well();
    let limits = r#"{"schema":1,"keep_time_s":86400,"keep_bytes":10,"max_bytes":100}"#;
    fs::write(patient.path(".tachi/limits.json"), limits).unwrap();
    let line = patient.has("00000000000000000001.jsonl: the log has ");
    assert!(line.contains("its bound is 100") && line.contains("next: start the fleet"), "{line}");
}

#[test]
fn s12_a_lock_whose_holder_is_stopped_is_named_with_the_command_that_continues_it() {
    let patient = Patient::new();
    let lock = patient.path(".tachi/locks/messages.lock");
    let mut holder = std::process::Command::new("flock")
        .arg("--no-fork")
        .arg(&lock)
        .args(["sh", "-c", "kill -STOP $$"])
        .spawn()
        .unwrap();
    let stat = format!("/proc/{}/stat", holder.id());
    let is_stopped = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is_stopped() {
        assert!(std::time::Instant::now() < deadline, "it is not stopped");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let line = patient.has(&format!("messages.lock: it is held by pid {}, which is stopped", holder.id()));
    assert!(line.contains(&format!("next: continue it: kill -CONT {}", holder.id())), "{line}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    patient.is_well();
}
