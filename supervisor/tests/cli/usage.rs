//! Wrong use of every verb: one clear line, the documented exit code, nothing made.

use crate::folder::Folder;

#[test]
fn m02_every_wrong_number_is_refused_with_one_line() {
    let folder = Folder::new();
    for bad in ["0", "-1", "-17", "1001", "abc", "", "2.5", "1e3", "99999999999999999999"] {
        folder.refused(
            &["up", bad],
            2,
            &format!("cannot start {bad:?} instances: the number must be a whole one"),
        );
    }
    assert!(!folder.state().exists(), "a refused start made a state directory");
}

#[test]
fn c01_wrong_roles_paths_and_backends_are_refused_with_one_line() {
    let folder = Folder::new();
    for (args, expected) in [
        (vec!["up", "--role", "builder"], "\"builder\" is not of the form ROLE=N"),
        (vec!["up", "--role", "../x=1"], "role \"../x\" is not allowed"),
        (vec!["up", "--role", "x=-1"], "\"-1\" in \"x=-1\" is not a number"),
        (vec!["up", "2", "--role", "x=3"], "--role asks for 3 instances, N is 2"),
        (vec!["up", "--workspace", "missing"], "/missing cannot be used: No such file or directory"),
        (vec!["up", "--workspace", "/dev/null"], "workspace /dev/null cannot be used: not a directory"),
        (vec!["up", "--config", "missing.toml"], "/missing.toml: No such file or directory"),
        (vec!["up", "--backend", "bultin"], "there is no backend \"bultin\"; next: did you mean builtin?"),
        (vec!["check", "0"], "cannot start \"0\" instances"),
        (vec!["scale", "builder"], "\"builder\" is not of the form ROLE=N"),
        (vec!["scale", "builder=x"], "\"x\" in \"builder=x\" is not a number"),
    ] {
        folder.refused(&args, 2, expected);
    }
    assert!(!folder.state().exists());
}

#[test]
fn c01_wrong_words_and_flags_are_refused_with_one_line_and_a_way_out() {
    let folder = Folder::new();
    for (args, expected) in [
        (vec![], "no verb given; next: tachi --help"),
        (vec!["stauts"], "unrecognized subcommand 'stauts'; next: some similar subcommands exist: "),
        (
            vec!["status", "--chekc"],
            "unexpected argument '--chekc' found; next: a similar argument exists: '--check'",
        ),
        (vec!["up", "1", "2"], "unexpected argument '2' found; next: tachi up --help"),
        (
            vec!["stop"],
            "the following required arguments were not provided: <TARGET>...; next: tachi stop --help",
        ),
        (vec!["stop", "a", "--timeout", "soon"], "\"soon\" is not a length of time such as"),
        (vec!["kill", "-s", "KILLL", "a"], "\"KILLL\" is no signal; next: for example TERM"),
        (vec!["status", "--color", "sometimes"], "invalid value 'sometimes' for '--color <WHEN>'"),
        (vec!["edit", "queue"], "invalid value 'queue' for '<WHAT>'"),
        (vec!["completions", "tcsh"], "invalid value 'tcsh' for '<SHELL>'"),
    ] {
        folder.refused(&args, 2, expected);
    }
}

#[test]
fn c01_without_a_state_directory_reading_fails_and_commands_miss_a_supervisor() {
    let folder = Folder::new();
    for args in [
        vec!["status"],
        vec!["status", "--watch"],
        vec!["why", "instance_1"],
        vec!["history", "instance_1"],
        vec!["logs", "-f"],
        vec!["events", "-f"],
        vec!["messages"],
        vec!["inbox", "--wait"],
        vec!["memory", "list"],
        vec!["edit", "memory"],
        vec!["memory", "add", "finding", "x"],
        vec!["send", "instance_1", "hello"],
    ] {
        folder.refused(&args, 1, "st: nothing was started there yet; next: start a fleet with `tachi up`");
    }
    for args in [
        vec!["down"],
        vec!["start", "all"],
        vec!["stop", "all"],
        vec!["restart", "all"],
        vec!["kill", "all"],
        vec!["scale", "builder=1"],
        vec!["pause", "--all"],
        vec!["resume", "--all"],
    ] {
        folder.refused(&args, 5, "no state directory at ");
    }
    assert!(!folder.state().exists(), "a reading verb made something");
}

#[test]
fn c01_a_bad_configuration_is_refused_with_its_place() {
    let folder = Folder::new();
    folder.write("tachi.toml", "[fleet]\ncuont = 3\n");
    for verb in ["up", "check"] {
        folder.refused(&[verb], 2, "tachi.toml:2:1: unknown key `cuont`; next: did you mean `count`?");
    }
    folder.write("tachi.toml", "[[instances]]\nid = \"a\"\n[[instances]]\nid = \"a\"\n");
    folder.refused(&["up"], 2, "tachi.toml:4:6: the id a is used twice");
}

#[test]
fn s27_hostile_recipients_types_and_texts_are_refused_before_anything_is_stored() {
    let folder = Folder::new();
    for to in ["", "../x", "a\nb", "role:", "role:../x", "supervisor"] {
        folder.refused(&["send", to, "text"], 2, "is not allowed");
    }
    for kind in ["presence", "event", "memory", "vote", "proposal", "task_complete"] {
        folder.refused(
            &["send", "a", "text", "--type", kind],
            2,
            "is not allowed: only Tachi itself sends it; next: ",
        );
    }
    folder.refused(
        &["send", "a", "text", "--type", "a b"],
        2,
        "message type \"a b\" is not allowed: it must be letters",
    );
    assert!(!folder.state().exists());
}

#[test]
fn c01_every_verb_explains_itself_with_examples() {
    let folder = Folder::new();
    for verb in [
        "up",
        "down",
        "status",
        "start",
        "stop",
        "restart",
        "kill",
        "scale",
        "pause",
        "resume",
        "why",
        "history",
        "logs",
        "events",
        "send",
        "inbox",
        "messages",
        "memory",
        "edit",
        "check",
        "completions",
    ] {
        let help = folder.ok(&[verb, "--help"]);
        assert!(help.contains("Examples:"), "{verb}");
        assert!(help.contains(&format!("tachi {verb}")), "{verb}");
        assert!(!help.contains("detached") && !help.contains("__hold"), "{verb}");
    }
    assert!(folder.ok(&["--version"]).starts_with("tachi "));
    assert!(folder.ok(&["completions", "bash"]).contains("complete"));
}

#[test]
fn c01_check_shows_the_plan_and_starts_nothing() {
    let folder = Folder::new();
    folder.write(
        "tachi.toml",
        "[fleet]\ncount = 1\n[[instances]]\nid = \"clock\"\ncommand = [\"sleep\", \"9\"]\nrestart = \"job\"\n\
         limit = { burst = 9, period = \"5s\" }\n",
    );
    let out = folder.ok(&["check"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[3..],
        [
            "without a supervisor instances continue, brake auto",
            "ID          ROLE      RUNS                    RESTART  LIMIT    GRACE  PORT",
            "instance_1  explorer  tachi-worker (builtin)  always   5 in 1m  10s    -",
            "clock       command   sleep 9                 job      9 in 5s  10s    -",
            "warning: clock: limit can never trigger: 9 restarts take at least 2m3s of backoff, the period is 5s",
            "the configuration is good",
        ],
        "{out}"
    );
    let value = folder.json(&["check"]);
    assert_eq!(value["schema"], 1);
    assert_eq!(value["instances"][1]["id"], "clock");
    assert!(!folder.state().exists());
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() {
    let folder = Folder::new();
    let mut child = folder.command(&["completions", "zsh"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
