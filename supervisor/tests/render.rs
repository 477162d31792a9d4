//! What people see, letter by letter: tables at three widths, problems, lines, the live screen.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests stop at the first surprise")]

use proptest::prelude::*;
use serde_json::{Value, json};
use tachi::render::{self, Header, Progress, Shown, Supervisor};
use tachi_shared::clock::Timestamp;
use tachi_shared::event::Event;
use tachi_shared::id::{Incarnation, InstanceId, Recipient, Seq};
use tachi_shared::queue::{Draft, Message, MessageKind};
use tachi_shared::registry::{Death, DeathKind, Row};
use tachi_shared::task::Board;

const NOW: i64 = 1_700_000_000;

fn at(ago: i64) -> Timestamp {
    Timestamp::from_unix(NOW - ago)
}

fn row(id: &str, role: &str, status: &str, more: Value) -> Row {
    let mut row = json!({
        "instance_id": id, "role": role, "pid": 4201, "pid_start": 1, "boot_id": "b", "incarnation": 1,
        "status": status, "desired": "running", "started_at": at(187), "last_heartbeat": null, "restarts": 0,
        "next_restart_at": null, "backend": "builtin", "doing": null, "last_death": null,
    });
    for (key, value) in more.as_object().unwrap() {
        row[key] = value.clone();
    }
    serde_json::from_value(row).unwrap()
}

fn death(signal: &str, ago: i64) -> Value {
    let death = Death {
        at: at(ago),
        kind: DeathKind::Signal,
        code: None,
        signal: Some(signal.to_owned()),
        cause: "external".to_owned(),
        uptime_s: 12.0,
        last_line: None,
    };
    json!(death)
}

fn header() -> Header {
    Header {
        supervisor: Supervisor::Running { pid: 4200, since: at(190) },
        state: "/data/state".to_owned(),
        workspace: Some("/data".to_owned()),
        containment: "subreaper".to_owned(),
        progress: Some(Progress { done: 312, total: 1024 }),
        latched: None,
        unapplied: None,
        troubles: Vec::new(),
        now: at(0),
    }
}

fn four() -> Vec<Row> {
    vec![
        row("instance_1", "explorer", "ready", json!({ "doing": "surveying shared/src/ (12/40)" })),
        row(
            "instance_2",
            "builder",
            "ready",
            json!({ "pid": 4310, "started_at": at(3), "restarts": 1, "last_death": death("SIGKILL", 3), "doing": "Waiting" }),
        ),
        row(
            "instance_3",
            "reflector",
            "backoff",
            json!({ "pid": null, "restarts": 4, "next_restart_at": at(-8), "last_death": death("SIGSEGV", 2), "reason": "crashed: SIGSEGV" }),
        ),
        row(
            "instance_4",
            "coordinator",
            "failed",
            json!({ "pid": null, "restarts": 5, "last_death": death("SIGABRT", 61), "reason": "5 restarts in 60s" }),
        ),
    ]
}

fn shown(rows: &[Row]) -> Vec<Shown> {
    rows.iter().map(Shown::supervised).collect()
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let text = plain(text);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "\n{text}");
}

#[test]
fn c01_status_fits_a_wide_terminal() {
    check(
        &render::status(&header(), &shown(&four()), 200),
        &[
            "supervisor 4200, up 3m10s, state /data/state, workspace /data, containment subreaper, surveyed 312/1,024 files",
            "ID          ROLE         STATE       PID   UPTIME  RESTARTS  LAST-DEATH  DOING",
            "instance_1  explorer     ready       4201  3m07s   0         -           surveying shared/src/ (12/40)",
            "instance_2  builder      ready       4310  3s      1         SIGKILL 3s  Waiting",
            "instance_3  reflector    backoff 8s  -     -       4         SIGSEGV 2s  crashed: SIGSEGV",
            "instance_4  coordinator  failed      -     -       5         SIGABRT 1m  5 restarts in 60s",
            "! instance_3 waits before its next start: crashed: SIGSEGV; next: tachi why instance_3",
            "! instance_4 failed: 5 restarts in 60s; next: tachi why instance_4, tachi start instance_4",
        ],
    );
}

#[test]
fn c01_status_fits_80_columns() {
    check(
        &render::status(&header(), &shown(&four()[..3]), 80),
        &[
            "supervisor 4200, up 3m10s, state /data/state, workspace /data,",
            "  containment subreaper, surveyed 312/1,024 files",
            "ID          ROLE       STATE       PID   UPTIME  RESTARTS  LAST-DEATH  DOING",
            "instance_1  explorer   ready       4201  3m07s   0         -           surveyin~",
            "instance_2  builder    ready       4310  3s      1         SIGKILL 3s  Waiting",
            "instance_3  reflector  backoff 8s  -     -       4         SIGSEGV 2s  crashed:~",
            "! instance_3 waits before its next start: crashed: SIGSEGV; next: tachi why instance_3",
        ],
    );
}

#[test]
fn c01_status_fits_60_columns_by_dropping_from_the_right() {
    check(
        &render::status(&header(), &shown(&four()[..2]), 60),
        &[
            "supervisor 4200, up 3m10s, state /data/state,",
            "  workspace /data, containment subreaper,",
            "  surveyed 312/1,024 files",
            "ID          ROLE      STATE  PID   UPTIME  RESTARTS",
            "instance_1  explorer  ready  4201  3m07s   0",
            "instance_2  builder   ready  4310  3s      1",
        ],
    );
}

#[test]
fn m03_a_healthy_fleet_shows_what_it_does_in_80_columns() {
    check(
        &render::status(&header(), &shown(&four()[..1]), 80),
        &[
            "supervisor 4200, up 3m10s, state /data/state, workspace /data,",
            "  containment subreaper, surveyed 312/1,024 files",
            "ID          ROLE      STATE  PID   UPTIME  RESTARTS  DOING",
            "instance_1  explorer  ready  4201  3m07s   0         surveying shared/src/ (12/~",
        ],
    );
}

#[test]
fn without_a_supervisor_rows_tell_what_really_lives() {
    let header = Header {
        supervisor: Supervisor::Gone { pid: Some(4200), since: at(600) },
        progress: None,
        ..header()
    };
    let mut rows = shown(&four()[..3]);
    for row in &mut rows {
        row.supervised = false;
    }
    rows[1].alive = false;
    rows[2].row = row("instance_3", "reflector", "stopped", json!({ "pid": null, "desired": "stopped" }));
    check(
        &render::status(&header, &rows, 200),
        &[
            "no supervisor; last one (pid 4200, started 10m00s ago) is gone without a word, state /data/state, workspace /data",
            "ID          ROLE       STATE                 PID   UPTIME  RESTARTS  LAST-DEATH  DOING",
            "instance_1  explorer   ready (unsupervised)  4201  3m07s   0         -           surveying shared/src/ (12/40)",
            "instance_2  builder    lost                  -     -       1         SIGKILL 3s  -",
            "instance_3  reflector  stopped               -     -       0         -           -",
            "! 1 instance runs without a supervisor; next: tachi up (adopts) or tachi down (ends)",
            "! instance_2 is gone and nobody saw how; next: tachi up",
        ],
    );
    assert!(rows[0].is_missing() && rows[1].is_missing() && !rows[2].is_missing());
}

#[test]
fn m10_a_latched_stop_and_damaged_files_are_told_with_the_way_out() {
    let header = Header {
        latched: Some("operator: too hot\n".to_owned()),
        troubles: vec!["registry.json:3:4: trailing comma".to_owned()],
        ..header()
    };
    check(
        &render::status(&header, &[], 200)[..],
        &[
            "supervisor 4200, up 3m10s, state /data/state, workspace /data, containment subreaper, surveyed 312/1,024 files",
            "no instances",
            "! registry.json:3:4: trailing comma; next: correct the file; the last good state stays in force",
            "! stop is latched (operator: too hot): nothing starts; next: tachi resume --all",
        ],
    );
}

#[test]
fn status_as_json_is_versioned_and_hides_pids_of_the_dead() {
    let mut rows = shown(&four()[..2]);
    rows[1].alive = false;
    let value = render::json::status(&header(), &rows);
    assert_eq!(value["schema"], 1);
    assert_eq!(value["ready"], false);
    assert_eq!(value["supervisor"]["pid"], 4200);
    assert_eq!(value["progress"], json!({ "files_done": 312, "files_total": 1024 }));
    assert_eq!(value["instances"][0]["pid"], 4201);
    assert_eq!(value["instances"][0]["uptime_s"], 187);
    assert_eq!(value["instances"][1]["pid"], Value::Null);
    assert_eq!(value["instances"][1]["last_death"]["signal"], "SIGKILL");
}

#[test]
fn m03_the_live_screen_never_outgrows_the_terminal_and_shows_trouble_first() {
    let mut rows: Vec<Row> = (1..=30)
        .map(|n| row(&format!("instance_{n}"), "explorer", "ready", json!({ "pid": n, "doing": "Waiting" })))
        .collect();
    rows[28] =
        row("instance_29", "explorer", "failed", json!({ "pid": null, "reason": "5 restarts in 60s" }));
    let events: Vec<Event> = (0..20)
        .map(|n| {
            Event::new(at(20 - n), "ready", "ready after 12 ms")
                .of(&InstanceId::new("instance_1").unwrap(), Incarnation(1))
        })
        .collect();
    for (columns, lines) in [(60, 12), (80, 24), (200, 50)] {
        let text = plain(&render::live(&header(), &rows, &events, columns, lines));
        assert!(text.lines().count() <= lines, "{columns}x{lines}\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}x{lines}\n{text}");
        assert!(text.contains("instance_29"), "{columns}x{lines}\n{text}");
    }
    let text = render::live(&header(), &rows, &events, 60, 13);
    check(
        &text,
        &[
            "supervisor 4200, up 3m10s, state /data/state,",
            "  workspace /data, containment subreaper,",
            "  surveyed 312/1,024 files",
            "ID           ROLE      STATE   PID  UPTIME  RESTARTS",
            "instance_1   explorer  ready   1    3m07s   0",
            "instance_2   explorer  ready   2    3m07s   0",
            "instance_29  explorer  failed  -    -       0",
            "and 27 more: 1 failed, 29 ready",
            "! instance_29 failed: 5 restarts in 60s; next: tachi why in~",
            "",
            "22:13:17  ready           instance_1    ready after 12 ms",
            "22:13:18  ready           instance_1    ready after 12 ms",
            "22:13:19  ready           instance_1    ready after 12 ms",
        ],
    );
}

#[test]
fn lines_of_events_and_messages_carry_nothing_that_moves_a_cursor() {
    let event = Event::new(at(1), "died", "killed by SIGKILL\u{1b}[2J from outside")
        .of(&InstanceId::new("instance_2").unwrap(), Incarnation(3));
    check(
        &render::line::event(&event, at(0)),
        &["22:13:19  died            instance_2    killed by SIGKILL\\u{1b}[2J from outside"],
    );
    let draft = Draft::new(
        Recipient::Broadcast,
        "instance_1",
        MessageKind::Finding,
        "instance_1.1.1".to_owned(),
        at(100_000),
        "first\nsecond\u{7}",
    );
    check(
        &render::line::message(&Message { seq: Seq(17), draft }, at(0)),
        &["11-13 18:26:40  #17  instance_1 -> broadcast  finding  first", "    second\\u{7}"],
    );
}

#[test]
fn colour_accompanies_words_and_disappears_without_a_trace() {
    let text = render::status(&header(), &shown(&four()), 80);
    assert!(text.contains("\u{1b}["), "nothing is painted");
    assert!(!plain(&text).contains('\u{1b}'));
    assert!(plain(&text).is_ascii(), "terminals without UTF-8 show everything");
}

#[test]
fn m04_progress_is_files_in_finished_parts_of_all_parts() {
    assert_eq!(Progress::of(&Board::default()), None);
    let task = |id: &str, status: &str, payload: Value| json!({ "id": id, "title": id, "status": status, "payload": payload, "attempts": 0, "created_at": at(0) });
    let mut board = Board::default();
    for task in [
        task("a", "done", json!({ "kind": "part", "files": 40 })),
        task("b", "claimed", json!({ "kind": "part", "files": 60 })),
        task("c", "cancelled", json!({ "kind": "part", "files": 7 })),
        task("d", "done", json!({ "kind": "report" })),
    ] {
        let task: tachi_shared::task::Task = serde_json::from_value(task).unwrap();
        board.tasks.insert(task.id.clone(), task);
    }
    assert_eq!(Progress::of(&board), Some(Progress { done: 40, total: 100 }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_an_agent_moves_the_cursor_or_outgrows_its_room(text in any::<String>(), columns in 0_usize..60) {
        let clean = render::text::clean(&text);
        prop_assert!(!clean.chars().any(char::is_control), "{clean:?}");
        prop_assert!(render::text::width(&render::text::fit(&clean, columns)) <= columns);
    }

    #[test]
    fn no_line_of_the_status_table_is_wider_than_the_terminal(doing in any::<String>(), columns in 20_usize..200) {
        let rows = [row("instance_1", "explorer", "ready", json!({ "doing": doing }))];
        let text = plain(&render::status(&header(), &shown(&rows), columns));
        for line in text.lines() {
            prop_assert!(render::text::width(line) <= columns, "{columns}: {line:?}");
        }
    }
}
