//! P37, P41, P53: when a command counts as ready, what it may use, who waits for whom, and when a run is over.

use std::fs;
use std::net::TcpListener;

use super::stage::Stage;

/// Event kinds of one instance, in order.
fn kinds(stage: &Stage, id: &str) -> Vec<String> {
    let of = stage.events().into_iter().filter(|event| event["instance"] == id);
    of.filter_map(|event| event["kind"].as_str().map(str::to_owned)).collect()
}

#[test]
fn p37_a_command_is_ready_when_its_sign_was_seen_and_not_before() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut stage = Stage::new(&format!(
        "[[instances]]\nid = \"log\"\ncommand = [\"sh\", \"-c\", \"until test -e sign-seen; do sleep 0.02; done; echo now listening; exec sleep TOKEN\"]\n\
         ready = {{ log = \"listening\" }}\n\
         [[instances]]\nid = \"probe\"\ncommand = [\"sleep\", \"TOKEN\"]\nready = {{ command = [\"test\", \"-e\", \"sign-seen\"], every = \"20ms\" }}\n\
         [[instances]]\nid = \"port\"\ncommand = [\"sleep\", \"TOKEN\"]\nport = {free}\nready = {{ port = \"own\", every = \"20ms\" }}\n\
         [[instances]]\nid = \"plain\"\ncommand = [\"sleep\", \"TOKEN\"]\n"
    ));
    stage.up();
    stage.wait("plain is ready", |stage| (stage.row("plain")["status"] == "ready").then_some(()));
    for id in ["log", "probe", "port"] {
        stage.wait("it says what it waits for", |stage| {
            let path = stage.state().join(format!("instances/{id}.json"));
            let state: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            state["current_task"].as_str()?.starts_with("Waiting for").then_some(())
        });
        assert_eq!(stage.row(id)["status"], "starting");
    }
    let _server = TcpListener::bind(("127.0.0.1", free)).unwrap();
    fs::write(stage.file("work/sign-seen"), "").unwrap();
    stage.wait("all have shown their signs", |stage| {
        stage.rows().iter().all(|row| row["status"] == "ready").then_some(())
    });
    assert_eq!(kinds(&stage, "probe"), ["started", "ready"]);
}

#[test]
fn p37_what_does_not_become_ready_in_time_is_ended_and_tried_again() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ncommand = [\"sleep\", \"TOKEN\"]\nready = { log = \"never\", within = \"200ms\" }\n\
         limit = { burst = 1, period = \"60s\" }\n",
    );
    stage.up();
    let row = stage.wait("it is given up", |stage| {
        let row = stage.row("a");
        (row["status"] == "failed").then_some(row)
    });
    assert_eq!((&row["last_death"]["cause"], &row["restarts"]), (&"watchdog".into(), &1.into()), "{row}");
    let told = stage.events().into_iter().find(|event| event["kind"] == "watchdog").unwrap();
    assert!(told["text"].as_str().unwrap().contains("was not ready after"), "{told}");
}

#[test]
fn p37_an_instance_starts_only_after_what_it_needs_and_ends_before_it() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"app\"\ncommand = [\"sleep\", \"TOKEN\"]\nneeds = [\"base\"]\n\
         [[instances]]\nid = \"db\"\nrole = \"base\"\ncommand = [\"sleep\", \"TOKEN\"]\nready = { command = [\"test\", \"-e\", \"go\"], every = \"20ms\" }\n",
    );
    stage.up();
    stage.wait("app waits", |stage| {
        let row = stage.row("app");
        let reason = row["reason"].as_str()?;
        (row["status"] == "starting" && reason == "it waits for db, which is starting").then_some(())
    });
    assert!(stage.row("app")["pid"].is_null());
    fs::write(stage.file("work/go"), "").unwrap();
    stage.wait("both are ready", |stage| {
        stage.rows().iter().all(|row| row["status"] == "ready").then_some(())
    });
    stage.ask(&["down"]);
    let stops: Vec<String> = stage
        .events()
        .into_iter()
        .filter(|event| event["kind"] == "died" || (event["kind"] == "ready"))
        .map(|event| format!("{} {}", event["instance"].as_str().unwrap(), event["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(stops, ["db ready", "app ready", "app died", "db died"]);
}

#[test]
fn p41_limits_hold_for_the_command_and_our_own_words_are_not_for_it() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ncommand = [\"sh\", \"-c\", \"ulimit -n > n; ulimit -c > c; ulimit -v > v; env > e; exec sleep TOKEN\"]\n\
         limits = { nofile = 77, core = \"0B\", as = \"512MiB\" }\n\
         [[instances]]\nid = \"b\"\ncommand = [\"sh\", \"-c\", \"ulimit -n > n2; exec sleep TOKEN\"]\n",
    );
    stage.up_and_ready(2);
    let read = |name: &str| {
        stage.wait("it has written", |stage| {
            let text = fs::read_to_string(stage.file(&format!("work/{name}"))).ok()?;
            text.ends_with('\n').then(|| text.trim().to_owned())
        })
    };
    assert_eq!([read("n"), read("c"), read("v")], ["77", "0", "524288"]);
    for ours in ["TACHI_LIMITS", "TACHI_READY", "TACHI_NOFILE"] {
        assert!(!read("e").contains(ours), "{ours} was passed on");
    }
    let own = rustix_soft_limit();
    assert_eq!(read("n2"), own, "what the supervisor raised for itself is given back");
}

/// Open files as this test was given them.
fn rustix_soft_limit() -> String {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().to_owned()
}

#[test]
fn p53_a_run_of_jobs_ends_by_itself_with_their_outcome() {
    for (command, code) in [("true", 0), ("false", 1)] {
        let mut stage = Stage::new(&format!(
            "[[instances]]\nid = \"job\"\ncommand = [\"{command}\"]\nrestart = \"job\"\nlimit = {{ burst = 1, period = \"60s\" }}\n\
             [[instances]]\nid = \"server\"\ncommand = [\"sleep\", \"TOKEN\"]\n"
        ));
        stage.up_with(&["--until", "all-jobs-done"]);
        assert_eq!(stage.ended(), Some(code), "{command}");
        assert_eq!(stage.survivors(), Vec::<String>::new());
    }
}

#[test]
fn p54_any_failure_may_end_the_run_with_exit_code_1() {
    let mut stage = Stage::new(
        "[[instances]]\nid = \"a\"\ncommand = [\"false\"]\nrestart = \"never\"\non_failed = \"stop-run\"\n\
         [[instances]]\nid = \"server\"\ncommand = [\"sleep\", \"TOKEN\"]\n",
    );
    stage.up();
    assert_eq!(stage.ended(), Some(1));
    assert_eq!(stage.survivors(), Vec::<String>::new());
}

#[test]
fn p45_a_rolling_restart_goes_on_when_the_asker_has_left() {
    let mut stage = Stage::new(&["a", "b", "c"].map(|id| {
        format!(
            "[[instances]]\nid = \"{id}\"\ncommand = [\"sleep\", \"TOKEN\"]\nready = {{ command = [\"test\", \"-e\", \"go\"], every = \"20ms\" }}\n"
        )
    }).concat());
    let go = stage.file("work/go");
    fs::write(&go, "").unwrap();
    stage.up_and_ready(3);
    fs::remove_file(&go).unwrap();
    let asked = stage.tachi(&["rolling", "all", "--timeout", "50ms"]);
    assert_eq!(asked.status.code(), Some(6), "{asked:?}");
    stage.wait("a waits, the others were not touched", |stage| {
        let starts = ["a", "b", "c"].map(|id| stage.row(id)["incarnation"].as_u64());
        (starts == [Some(2), Some(1), Some(1)] && stage.row("a")["status"] == "starting").then_some(())
    });
    fs::write(&go, "").unwrap();
    stage.wait("all were replaced", |stage| {
        stage.rows().iter().all(|row| row["incarnation"] == 2 && row["status"] == "ready").then_some(())
    });
    let done = stage.wait("it is told", |stage| {
        stage.events().into_iter().rfind(|event| event["kind"] == "rolling" && event["instance"].is_null())
    });
    assert_eq!(done["text"], "replaced 3 instances, one after the other");
}
