//! The programs under faults, and the judge of what they leave.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tachi_shared::check;
use tachi_shared::clock;
use tachi_shared::id::Recipient;
use tachi_shared::layout::Topic;
use tachi_shared::log::Cursor;
use tachi_shared::os::Disk;
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::store::Store;

use crate::tracer::{Fault, calls_in, chosen, program, traced};

const WAIT: Duration = Duration::from_secs(10);
/// Messages of one run of `tachi-bench`.
const BURST: usize = 6;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// `tachi send`.
    Send,
    /// `tachi send --durable`.
    SendDurable,
    /// `tachi memory add`.
    Remember,
    /// `tachi-bench send`, durable, in batches.
    Burst,
}

/// A state directory that lives through all of it.
pub(crate) struct Ground {
    temp: tempfile::TempDir,
    pub(crate) store: Store,
    seen: Cursor,
    runs: usize,
    pub(crate) killed: usize,
    pub(crate) acknowledged: usize,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::create(&temp.path().join("state")).unwrap();
        Self { temp, store, seen: Cursor::default(), runs: 0, killed: 0, acknowledged: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Runs `job` once, with a fault or without, and judges what it left; returns how many calls of `calls` were seen.
    pub(crate) fn run(&mut self, job: Job, fault: Option<(Fault, usize)>, calls: &str) -> usize {
        self.runs += 1;
        let name = format!("run_{}", self.runs);
        let log = self.temp.path().join("trace");
        let said = self.output(job, &name, fault, calls, &log);
        let what = format!("{job:?} {name} {fault:?}: {}", String::from_utf8_lossy(&said.stderr));
        assert!(said.status.code() != Some(101) && !what.contains("panicked"), "{what}");
        self.killed += usize::from(said.status.code().is_none());
        self.acknowledged += usize::from(said.status.success());
        if fault.is_none_or(|(fault, _)| fault.what.starts_with("delay") || fault.what == "error=EINTR") {
            assert!(said.status.success(), "{what}");
        }
        self.judge(job, &name, said.status.success(), &what);
        calls_in(&log)
    }

    fn output(&self, job: Job, name: &str, fault: Option<(Fault, usize)>, calls: &str, log: &Path) -> Output {
        let program = program(if job == Job::Burst { "tachi-bench" } else { "tachi" });
        let mut command = traced(&program, fault, calls, &[], log);
        match job {
            Job::Send => command.args(["send", "operator", name]),
            Job::SendDurable => command.args(["send", "operator", name, "--durable"]),
            Job::Remember => command.args(["memory", "add", "finding", name]),
            Job::Burst => {
                command.args(["send", "--id", name, "--n", &BURST.to_string(), "--batch", "2", "--durable"])
            }
        };
        command.arg("--state").arg(self.store.dir().root());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // The word to begin, for those who wait for one; it may be dead by then.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n");
        child.wait_with_output().unwrap()
    }

    /// The next who comes can work, finds what was acknowledged once, and the rest once or not at all.
    fn judge(&mut self, job: Job, name: &str, is_acknowledged: bool, what: &str) {
        let canary = Draft::new(
            Recipient::Operator,
            "judge",
            MessageKind::Finding,
            format!("judge.1.{}", self.runs),
            clock::now().wall,
            "x",
        );
        self.store.queue().send(&[canary], WAIT).unwrap_or_else(|error| panic!("{what}: {error}"));
        let (messages, seen) = self.store.queue().messages(self.seen.clone(), usize::MAX).unwrap();
        self.seen = seen;
        let texts: Vec<String> = messages.iter().map(|message| message.draft.text().into_owned()).collect();
        let found = match job {
            Job::Send | Job::SendDurable => texts.iter().filter(|text| *text == name).count(),
            Job::Remember => {
                let mut memory = self.store.memory();
                memory.set_fact("judge", self.runs.into()).unwrap_or_else(|error| panic!("{what}: {error}"));
                let memory = memory.load().unwrap().into_state();
                memory.findings.iter().filter(|entry| entry.content == name).count()
            }
            Job::Burst => {
                let ids: Vec<&str> = messages
                    .iter()
                    .filter(|message| message.draft.from == name)
                    .map(|message| message.draft.id.as_str())
                    .collect();
                let expected: Vec<String> = (0..ids.len()).map(|k| format!("{name}.1.{k}")).collect();
                assert_eq!(ids, expected, "{what}");
                assert!(!is_acknowledged || ids.len() == BURST, "{what}: {ids:?}");
                usize::from(is_acknowledged)
            }
        };
        assert!(found <= 1 && found >= usize::from(is_acknowledged), "{found} times: {what}");
        if self.runs.is_multiple_of(20) {
            self.check(what);
        }
    }

    /// Every rule of the state directory holds.
    pub(crate) fn check(&self, what: &str) {
        let outcomes = check::all(&Disk, self.store.dir()).unwrap();
        let problems: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.problems()).collect();
        assert!(problems.is_empty(), "{what}: {problems:?}");
    }

    /// Tries `fault` at the calls of `job`, at most so many of them.
    pub(crate) fn sweep(&mut self, job: Job, fault: Fault, at_most: usize) {
        let calls = self.run(job, None, fault.calls);
        for n in chosen(calls, at_most) {
            self.run(job, Some((fault, n)), fault.calls);
        }
        self.check(&format!("{job:?} {fault:?}"));
    }

    /// `tachi doctor` finds nothing wrong, and nothing that anybody was told is missing.
    pub(crate) fn doctor(&self) {
        let doctor = std::process::Command::new(program("tachi"))
            .arg("doctor")
            .arg("--state")
            .arg(self.store.dir().root())
            .output()
            .unwrap();
        assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
        let newest = self.store.queue().end().unwrap();
        let segments = self.store.dir().segments(Topic::Messages);
        assert!(newest.seq.0 as usize >= self.runs && segments.is_dir());
    }
}
