//! `tachi edit` with editors that are scripts: what they write is judged, merged with what others wrote meanwhile, and never lost.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tachi_shared::os::{Disk, Storage as _};

use crate::folder::{Folder, Said, said};

const CONFIG: &str = "[fleet]\ncount = 0\n[roles.sleeper]\ncommand = [\"sleep\", \"1000\"]\ngrace = \"2s\"\n\
                      [[instances]]\nnames = [\"a\", \"b\"]\nrole = \"sleeper\"\n";
const STOP_B: &str = "sed '/\"instance_id\": \"b\"/,/\"desired\"/ s/\"running\"/\"stopped\"/'";

/// A directory with `fact` 1 and one finding.
fn known() -> Folder {
    let folder = Folder::new();
    tachi_shared::store::Store::create(&folder.state()).unwrap();
    folder.ok(&["memory", "set", "fact", "1"]);
    folder.ok(&["memory", "add", "finding", "the first"]);
    folder
}

/// A fleet of two.
fn started() -> Folder {
    let folder = Folder::new();
    folder.write("tachi.toml", CONFIG);
    folder.ok(&["up", "--detach"]);
    folder
}

/// Edits with a shell script that finds the copy in `$1`.
fn edit(folder: &Folder, what: &str, script: &str) -> Said {
    folder.write("editor.sh", script);
    let editor = format!("sh '{}'", folder.path().join("editor.sh").display());
    said(&folder.command(&["edit", what]).env("EDITOR", editor).output().unwrap())
}

/// The editor as a filter: `jq …`.
fn through(filter: &str) -> String {
    format!("{filter} \"$1\" > \"$1.new\" && mv \"$1.new\" \"$1\"")
}

fn memory(folder: &Folder) -> Value {
    serde_json::from_slice(&fs::read(folder.state().join("memory.json")).unwrap()).unwrap()
}

/// Names of what was refused, without the reasons.
fn kept(folder: &Folder) -> Vec<std::path::PathBuf> {
    let rejected = folder.state().join("rejected");
    let names = Disk.list(&rejected).unwrap_or_default();
    names.iter().filter(|name| name.ends_with(".bad")).map(|name| rejected.join(name)).collect()
}

/// Nothing lies about, whatever happened.
fn is_tidy(folder: &Folder) -> bool {
    Disk.list(&folder.state().join(".tachi/tmp")).unwrap().is_empty()
}

fn wait_until(what: &str, mut cond: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !cond() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn row(folder: &Folder, id: &str) -> Value {
    let status = folder.json(&["status"]);
    let rows = status["instances"].as_array().unwrap();
    rows.iter().find(|row| row["instance_id"] == id).cloned().unwrap_or_default()
}

#[test]
fn s14_what_the_editor_saved_is_taken_over_and_told() {
    let folder = known();
    let run = edit(&folder, "memory", &through("sed 's/\"fact\": 1/\"fact\": 2, \"more\": true/'"));
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (0, "fact fact changed\nfact more added\n", "")
    );
    assert_eq!(
        (&memory(&folder)["facts"]["fact"], &memory(&folder)["facts"]["more"]),
        (&2.into(), &true.into())
    );
    let told = folder.json(&["messages"]);
    let newest = told["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(newest["content"], "edit by hand: fact fact changed, fact more added");
    assert!(is_tidy(&folder));
}

#[test]
fn c01_an_editor_is_a_command_with_words_and_visual_comes_first() {
    let folder = known();
    let with = |name: &str, editor: &str, other: &str| {
        let mut command = folder.command(&["edit", "memory", "--json"]);
        let run = said(&command.env(name, editor).env("EDITOR", other).output().unwrap());
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{editor}");
        serde_json::from_str::<Value>(&run.out).unwrap()
    };
    let changed = with("VISUAL", "sed -i 's/the first/the 1st/'", "false");
    assert!(changed["edit"]["changed"][0].as_str().unwrap().ends_with(" changed"), "{changed}");
    let changed = with("VISUAL", "sh -c 'sed -i \"s/the 1st/the first one/\" \"$1\"' sh", "false");
    assert_eq!(changed["edit"]["changed"].as_array().unwrap().len(), 1);
    let changed = with("VISUAL", "  ", "sed -i s/one/1/");
    assert_eq!((&changed["schema"], changed["edit"]["changed"].as_array().unwrap().len()), (&1.into(), 1));
}

#[test]
fn s14_an_unchanged_copy_changes_nothing() {
    let folder = known();
    let before = fs::read(folder.state().join("memory.json")).unwrap();
    for script in ["true", "touch \"$1\"", "cp \"$1\" \"$1~\"; cat \"$1~\" > \"$1\""] {
        let run = edit(&folder, "memory", script);
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "nothing changed\n", ""), "{script}");
    }
    assert_eq!(fs::read(folder.state().join("memory.json")).unwrap(), before);
    assert!(is_tidy(&folder) && kept(&folder).is_empty());
}

#[test]
fn s14_an_editor_that_fails_or_is_missing_changes_nothing_and_loses_nothing() {
    let folder = known();
    let before = fs::read(folder.state().join("memory.json")).unwrap();
    let run =
        |editor: &str| said(&folder.command(&["edit", "memory"]).env("EDITOR", editor).output().unwrap());
    for (editor, why) in [
        ("false", "nothing changed: the editor `false` ended with code 1; next: name another: EDITOR=nano"),
        (
            "no-such-editor -w",
            "the editor `no-such-editor -w` was not found; next: name another: EDITOR=nano",
        ),
        ("sh -c 'kill -9 $$'", "ended with code 137; next: "),
        ("rm", "nothing changed: the editor removed the copy"),
    ] {
        let run = run(editor);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{editor}: {}", run.err);
        // The shell may have said something, too.
        assert!(run.err.lines().last().unwrap_or_default().contains(why), "{editor}: {}", run.err);
        assert!(kept(&folder).is_empty() && is_tidy(&folder), "{editor}");
    }
    let half = edit(&folder, "memory", "sed -i 's/: 1/: 2/' \"$1\"; exit 7");
    let left = kept(&folder);
    assert!(half.code == 1 && left.len() == 1, "{}", half.err);
    assert!(half.err.contains(&format!("what you wrote is kept as {}", left[0].display())), "{}", half.err);
    assert_eq!(fs::read(folder.state().join("memory.json")).unwrap(), before);
    assert!(is_tidy(&folder));
}

#[test]
fn s13_garbage_is_kept_with_its_place_and_can_be_put_back_corrected() {
    let folder = known();
    let run = edit(&folder, "memory", "sed -i 's/\"fact\": 1/\"fact\": 1,, /; s/the first/edited/' \"$1\"");
    let left = kept(&folder);
    assert_eq!((run.code, run.out.as_str(), left.len()), (1, "", 1), "{}", run.err);
    let text = fs::read_to_string(&left[0]).unwrap();
    let line = 1 + text.lines().position(|line| line.contains(",,")).unwrap();
    let place = format!("tachi: {}:{line}:", left[0].display());
    assert!(
        run.err.starts_with(&place) && run.err.contains("; next: correct it, then `mv` it to "),
        "{}",
        run.err
    );
    assert!(fs::read_to_string(left[0].with_extension("why")).unwrap().contains(&format!(":{line}:")));
    assert_eq!(memory(&folder)["facts"]["fact"], 1);
    // The way out that the refusal shows, while others write.
    folder.ok(&["memory", "set", "other", "2"]);
    fs::write(&left[0], text.replace(",,", "")).unwrap();
    fs::rename(&left[0], folder.state().join("memory.json")).unwrap();
    folder.ok(&["memory", "set", "third", "3"]);
    let now = memory(&folder);
    assert_eq!((&now["findings"][0]["content"], &now["facts"]["other"]), (&"edited".into(), &2.into()));
    for garbage in ["printf '\\000\\377' >", ": >", "echo '[]' >", "echo '{\"schema\":1,\"rev\":\"x\"}' >"] {
        let run = edit(&folder, "memory", &format!("{garbage} \"$1\""));
        assert_eq!((run.code, run.err.lines().count()), (1, 1), "{garbage}: {}", run.err);
    }
    assert!(
        edit(&folder, "memory", "echo '{\"schema\":99,\"rev\":1}' > \"$1\"").err.contains("has schema 99")
    );
    assert_eq!(memory(&folder)["facts"]["third"], 3);
    assert!(is_tidy(&folder));
}

#[test]
fn s14_what_others_wrote_while_the_editor_was_open_stays() {
    let folder = known();
    let tachi = env!("CARGO_BIN_EXE_tachi");
    let script = format!(
        "{tachi} memory add finding 'by a worker' >/dev/null && {tachi} memory set other 7 >/dev/null || exit 9\n{}",
        through("sed 's/\"fact\": 1/\"fact\": 2/; s/the first/my first/'")
    );
    let run = edit(&folder, "memory", &script);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    let now = memory(&folder);
    assert_eq!((&now["facts"]["fact"], &now["facts"]["other"]), (&2.into(), &7.into()));
    assert_eq!(
        (&now["findings"][0]["content"], &now["findings"][1]["content"]),
        (&"my first".into(), &"by a worker".into())
    );
}

#[test]
fn s13_what_others_changed_too_stays_theirs_and_the_edit_is_kept() {
    let folder = known();
    let tachi = env!("CARGO_BIN_EXE_tachi");
    let script = format!(
        "{tachi} memory set fact 5 >/dev/null || exit 9\n{}",
        through("sed 's/\"fact\": 1/\"fact\": 2/; s/the first/my first/'")
    );
    let run = edit(&folder, "memory", &script);
    assert_eq!(run.code, 1);
    assert!(run.out.starts_with("finding operator.") && run.out.ends_with(" changed\n"), "{}", run.out);
    assert!(
        run.err
            .contains("tachi: not taken over: fact \"fact\" was changed by others too, differently; next: "),
        "{}",
        run.err
    );
    let now = memory(&folder);
    assert_eq!((&now["facts"]["fact"], &now["findings"][0]["content"]), (&5.into(), &"my first".into()));
    let left = kept(&folder);
    assert_eq!(left.len(), 1);
    assert!(run.err.contains(&left[0].display().to_string()), "{}", run.err);
    assert!(fs::read_to_string(&left[0]).unwrap().contains("\"fact\": 2"));
}

#[test]
fn s14_two_editors_at_once_both_count_and_neither_holds_a_lock_while_it_is_open() {
    let folder = known();
    // Both are open before either saves, and a third party writes while they are.
    let script = |me: &str, other: &str| {
        format!(
            ": > here.{me}; while [ ! -e here.{other} ] || [ ! -e go ]; do read -r _ < tick; done\n{}",
            through(&format!("sed 's/\"fact\": 1/\"fact\": 1, \"{me}\": 1/'"))
        )
    };
    let fifo = folder.path().join("tick");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let editors = ["one", "two"].map(|me| {
        let other = if me == "one" { "two" } else { "one" };
        folder.write(&format!("{me}.sh"), &script(me, other));
        folder.command(&["edit", "memory"]).env("EDITOR", format!("sh ./{me}.sh")).spawn().unwrap()
    });
    let mut tick = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    wait_until("both are open", || {
        let _ = tick.write_all(b"\n");
        ["one", "two"].iter().all(|me| folder.path().join(format!("here.{me}")).exists())
    });
    folder.ok(&["memory", "set", "meanwhile", "1"]);
    folder.write("go", "");
    for editor in editors {
        tick.write_all(b"\n\n\n\n").unwrap();
        let run = said(&editor.wait_with_output().unwrap());
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    }
    let facts = memory(&folder)["facts"].clone();
    assert!(["fact", "meanwhile", "one", "two"].iter().all(|name| facts[name] == 1), "{facts}");
}

#[test]
fn s14_a_damaged_memory_can_be_corrected_in_the_editor() {
    let folder = known();
    let path = folder.state().join("memory.json");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("\"fact\": 1", "\"fact\": 4 oops")).unwrap();
    // Nobody is in the middle of writing it.
    let past = std::time::SystemTime::now() - Duration::from_secs(60);
    fs::File::options().append(true).open(&path).unwrap().set_modified(past).unwrap();
    let run = edit(&folder, "memory", "true");
    assert!(
        run.code == 0 && run.err.contains(": expected `,` or `}`; this is the damaged file"),
        "{}",
        run.err
    );
    let run = edit(&folder, "memory", "sed -i 's/ oops//' \"$1\"");
    assert_eq!((run.code, run.out.as_str()), (0, "fact fact changed\n"), "{}", run.err);
    assert_eq!(folder.ok(&["memory", "get", "fact"]), "4\n");
    assert_eq!(memory(&folder)["findings"][0]["content"], "the first");
    assert_eq!(kept(&folder).len(), 1, "the damaged bytes are kept");
}

#[test]
fn s14_desired_is_the_only_input_of_the_registry_and_the_rest_is_told() {
    let folder = started();
    let run = edit(&folder, "registry", &through(STOP_B));
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "b: desired stopped\n", ""));
    wait_until("b is stopped", || row(&folder, "b")["status"] == "stopped");
    assert_eq!(row(&folder, "a")["status"], "ready");
    let text = fs::read(folder.state().join("registry.json")).unwrap();
    let mut mine: Value = serde_json::from_slice(&text).unwrap();
    let rows = mine["instances"].as_array_mut().unwrap();
    (rows[0]["pid"], rows[0]["role"]) = (1.into(), "king".into());
    rows.push(rows[0].clone());
    rows[2]["instance_id"] = "new".into();
    mine["x"] = 1.into();
    folder.write("mine.json", &mine.to_string());
    let run = edit(&folder, "registry", "cp mine.json \"$1\"");
    assert_eq!((run.code, run.out.as_str()), (0, "nothing changed\n"), "{}", run.err);
    let told = "tachi: warning: not taken over, only `desired` is an input: a: pid, role; row new added; x\n";
    assert_eq!(run.err, told);
    assert_ne!(row(&folder, "a")["pid"], 1);
    let run = edit(&folder, "registry", "sed -i 's/d\": \"stopped\"/d\": \"stoped\"/' \"$1\"");
    assert!(
        run.code == 1 && run.err.contains("desired: unknown variant `stoped`, expected one of `running`"),
        "{}",
        run.err
    );
    let run =
        edit(&folder, "registry", "sed -i 's/\"desired\": \"stopped\"/\"desired\": \"running\"/' \"$1\"");
    assert_eq!((run.code, run.out.as_str()), (0, "b: desired running\n"), "{}", run.err);
    wait_until("b is back", || row(&folder, "b")["status"] == "ready");
}

#[test]
fn s14_a_wish_written_while_no_fleet_runs_counts_for_the_next() {
    let folder = started();
    folder.ok(&["down"]);
    let run = edit(&folder, "registry", &through(STOP_B));
    assert_eq!((run.code, run.out.as_str()), (0, "b: desired stopped\n"), "{}", run.err);
    folder.ok(&["up", "--detach"]);
    assert_eq!(
        (row(&folder, "a")["status"].as_str(), row(&folder, "b")["status"].as_str()),
        (Some("ready"), Some("stopped"))
    );
}

#[test]
fn s13_at_a_terminal_the_person_is_asked_and_may_edit_again() {
    let folder = known();
    // The first run breaks it, the second mends it.
    let script = "if grep -q oops \"$1\"; then sed -i 's/oops//; s/\"fact\": 1/\"fact\": 3/' \"$1\"; else echo oops >> \"$1\"; fi";
    folder.write("editor.sh", script);
    for (answer, code, fact) in [("x\ne\n", 0, 3), ("g\n", 1, 3)] {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let mut person = fs::File::from(terminal.master);
        let slave: OwnedFd = terminal.slave;
        let child = folder
            .command(&["edit", "memory"])
            .env("EDITOR", "sh ./editor.sh")
            .stdin(Stdio::from(slave))
            .spawn()
            .unwrap();
        person.write_all(answer.as_bytes()).unwrap();
        let run = said(&child.wait_with_output().unwrap());
        assert_eq!(run.code, code, "{}", run.err);
        assert!(run.err.contains(": trailing characters\n"), "{}", run.err);
        assert!(run.err.contains("edit again or give up? [e/g] "), "{}", run.err);
        assert_eq!(memory(&folder)["facts"]["fact"], fact);
        let mut echo = [0_u8; 64];
        assert!(person.read(&mut echo).is_ok());
    }
    assert_eq!(kept(&folder).len(), 1, "what was given up is kept");
    assert!(is_tidy(&folder));
}

#[test]
fn s14_ctrl_c_belongs_to_the_editor_and_does_not_end_the_edit() {
    let folder = known();
    folder.write("editor.sh", ": > here; read -r _ < tick; sed -i '/fact/ s/: 1/: 6/' \"$1\"");
    let fifo = folder.path().join("tick");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut tick = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let child = folder.command(&["edit", "memory"]).env("EDITOR", "sh ./editor.sh").spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let is_listening = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim().to_owned();
        u64::from_str_radix(&blocked, 16).unwrap() & 2 != 0
    };
    wait_until("the editor is open", || folder.path().join("here").exists() && is_listening());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    tick.write_all(b"\n").unwrap();
    let run = said(&child.wait_with_output().unwrap());
    assert_eq!((run.code, run.out.as_str()), (0, "fact fact changed\n"), "{}", run.err);
}
