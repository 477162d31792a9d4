//! Stages with real workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::stage::Stage;

/// Quick restarts without limit for every role: a storm is not a crash loop here.
const QUICK: &str = "backoff = { first = \"0s\", base = \"20ms\", max = \"200ms\" }\nlimit = \"none\"\n";

impl Stage {
    /// `count` workers on a workspace of a few files, not started yet.
    pub(crate) fn workers(count: usize) -> Self {
        Self::workers_at(count, None)
    }

    /// As [`Stage::workers`], with the state directory somewhere else.
    pub(crate) fn workers_at(count: usize, state: Option<PathBuf>) -> Self {
        build_worker();
        let roles = ["explorer", "builder", "reflector", "coordinator"]
            .map(|role| format!("[roles.{role}]\n{QUICK}"));
        let fleet = format!("count = {count}\nbrake = \"none\"\n{}", roles.concat());
        let stage = Self::at(tempfile::tempdir().unwrap(), state, &fleet);
        for n in 0..4 {
            fs::write(stage.file(&format!("work/{n}.rs")), "// TODO look\n").unwrap();
        }
        stage
    }

    /// Live workers of this stage: pid and id.
    pub(crate) fn living_workers(&self) -> Vec<(u32, String)> {
        let Ok(state) = fs::canonicalize(self.state()) else { return Vec::new() };
        let mark = format!("TACHI_STATE_DIR={}", state.display());
        let workers = self.processes_with("tachi-worker --id").into_iter().filter_map(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let mut pairs = environ.split(|byte| *byte == 0);
            let id =
                environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"TACHI_INSTANCE_ID="))?;
            pairs.any(|pair| pair == mark.as_bytes()).then(|| (pid, String::from_utf8(id.to_vec()).unwrap()))
        });
        workers.filter(|(pid, _)| super::stage::lives(*pid)).collect()
    }
}

/// `cargo test -p tachi` alone makes no worker: made once then.
fn build_worker() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let tachi = Path::new(env!("CARGO_BIN_EXE_tachi"));
        if tachi.with_file_name("tachi-worker").exists() {
            return;
        }
        let target = tachi.parent().and_then(Path::parent).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "-p", "tachi-worker", "--bin", "tachi-worker", "--target-dir"])
            .arg(target);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(
            build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(),
            "the worker cannot be built"
        );
    });
}
