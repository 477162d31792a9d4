//! `tachi-bench`, the program that outside harnesses time: what it sends and what it says.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs and stops at the first surprise"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    go: ChildStdin,
}

fn program(state: &Path, words: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tachi-bench"));
    command.args(words.split(' ')).arg("--state").arg(state).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let go = child.stdin.take().unwrap();
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "READY\n");
    Program { child, out, go }
}

fn figures(mut program: Program) -> Value {
    let mut line = String::new();
    program.out.read_line(&mut line).unwrap();
    assert!(program.child.wait().unwrap().success());
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_sender_writes_lines_of_200_bytes_and_a_receiver_times_each() {
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("state");
    let mut sender = program(&state, "send --id s1 --n 1200 --batch 8");
    let mut receiver = program(&state, "recv --id r1 --n 1200");
    receiver.go.write_all(b"\n").unwrap();
    sender.go.write_all(b"\n").unwrap();
    let (sent, received) = (figures(sender), figures(receiver));
    assert_eq!((&sent["n"], sent["lats"].as_array().unwrap().len()), (&1200.into(), 150));
    assert_eq!((&received["n"], received["lats"].as_array().unwrap().len()), (&1200.into(), 1200));
    let all = sent["t0"].as_u64().unwrap() <= received["t0"].as_u64().unwrap();
    assert!(all && received["t1"].as_u64() >= received["t0"].as_u64() && sent["cpu"].as_u64() > Some(0));
    let segment = std::fs::read_dir(state.join("messages")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(segment).unwrap();
    assert!(text.lines().all(|line| line.len() == 199) && text.lines().count() == 1200);
}
