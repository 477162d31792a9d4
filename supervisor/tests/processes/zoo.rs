//! P56: whatever an instance has started, however it hid, nothing of it survives.

use std::fs;

use super::stage::{Stage, parent, signal};

/// Starts one animal of each kind, then stays. Every process carries `$1.$TACHI_INCARNATION` in its arguments.
const ZOO: &str = r#"
word="$1$TACHI_INCARNATION"
sleep "$word" &
setsid sleep "$word" &
( ( setsid sleep "$word" & ) & )
sh -c 'trap "" TERM INT HUP; sleep "$0"; sleep "$0"' "$word" &
setsid sh -c 'trap "" TERM; sleep "$0" >/dev/null 2>&1; sleep "$0"' "$word" &
sleep "$word" >&1 2>&2 &
env -i setsid sleep "$word" &
setsid sh "$2" "$2" "$word" 2000 &
: > "$3/$TACHI_INCARNATION"
sleep "$word"
"#;

/// Lives for a moment, leaves a child of its own session behind, ends; 2,000 generations at most.
const REFORK: &str = r#"
sleep 0.01
[ "$3" -gt 0 ] && setsid sh "$1" "$1" "$2" "$(($3 - 1))" &
exit 0
"#;

/// A fleet of one zoo and one bystander.
fn zoo() -> Stage {
    let scripts = tempfile::tempdir().unwrap().keep();
    fs::write(scripts.join("zoo.sh"), ZOO).unwrap();
    fs::write(scripts.join("refork.sh"), REFORK).unwrap();
    let config = format!(
        "[[instances]]\nid = \"zoo\"\ngrace = \"300ms\"\nlimit = \"none\"\nbackoff = {{ first = \"0s\", base = \"10ms\", max = \"20ms\" }}\n\
         command = [\"sh\", \"{0}/zoo.sh\", \"TOKEN\", \"{0}/refork.sh\", \"{0}\"]\n\
         [[instances]]\nid = \"other\"\ncommand = [\"sleep\", \"86399\"]\n",
        scripts.display()
    );
    let mut stage = Stage::new(&config);
    stage.up_and_ready(2);
    open(&stage, 1);
    // Kept open by name only; the system's temporary folder is cleaned by the system.
    stage
}

/// Waits until every animal of a start is out.
fn open(stage: &Stage, incarnation: u32) {
    stage.wait("the zoo is open", |stage| (animals(stage, incarnation).len() >= 9).then_some(()));
}

fn animals(stage: &Stage, incarnation: u32) -> Vec<u32> {
    stage.processes_with(&format!("{}{incarnation}", stage.token))
}

fn nobody(stage: &Stage, incarnation: u32) {
    let left = animals(stage, incarnation);
    assert_eq!(left, [0; 0], "survivors of start {incarnation}");
}

#[test]
fn p56_stop_leaves_nothing_of_the_zoo() {
    let stage = zoo();
    let other = stage.pid("other");
    stage.ask(&["stop", "zoo"]);
    nobody(&stage, 1);
    assert_eq!(stage.row("zoo")["status"], "stopped");
    assert!(stage.row("zoo")["pid"].is_null());
    assert_eq!(stage.pid("other"), other);
}

#[test]
fn p56_restart_leaves_nothing_of_the_old_zoo() {
    let stage = zoo();
    stage.ask(&["restart", "zoo"]);
    open(&stage, 2);
    nobody(&stage, 1);
}

#[test]
fn p56_a_crash_of_the_command_leaves_nothing_of_the_old_zoo() {
    let stage = zoo();
    signal(stage.pid("zoo"), "KILL");
    open(&stage, 2);
    nobody(&stage, 1);
}

#[test]
fn p56_a_crash_of_the_holder_leaves_nothing_of_the_old_zoo() {
    let stage = zoo();
    signal(parent(stage.pid("zoo")), "KILL");
    open(&stage, 2);
    nobody(&stage, 1);
}

#[test]
fn p56_ending_the_supervisor_leaves_nothing_of_the_zoo() {
    let mut stage = zoo();
    let supervisor = u32::try_from(stage.registry()["supervisor"]["pid"].as_u64().unwrap()).unwrap();
    signal(supervisor, "TERM");
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
    nobody(&stage, 1);
}
