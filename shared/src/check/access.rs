//! Permission bits: only the owner reaches what the team says and knows — pure.

use super::finding::{Finding, Outcome};
use super::surroundings::Surroundings;
use crate::layout::StateDir;

/// Bits of group and others.
const FOREIGN: u32 = 0o077;
/// Write bits of group and others.
const FOREIGN_WRITE: u32 = 0o022;
/// Reach bits of group and others on a directory.
const FOREIGN_REACH: u32 = 0o011;

/// Directories of ours are 0700, and no file of ours can be reached by others. The root itself may be open for reading: it
/// often was there before us.
#[must_use]
pub fn private(dir: &StateDir, around: &Surroundings) -> Outcome {
    let root = around.access.iter().find(|(path, _)| path == dir.root());
    let reachable = root.is_none_or(|(_, found)| found.mode & FOREIGN_REACH != 0);
    let ours = dir.directories();
    let mut findings = Vec::new();
    for (path, found) in &around.access {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_root = path == dir.root();
        let bad = if is_root {
            found.mode & FOREIGN_WRITE != 0
        } else if found.is_dir {
            reachable && found.mode & FOREIGN != 0 && ours.contains(path)
        } else {
            reachable && found.mode & FOREIGN != 0 && (name.ends_with(".json") || name == "stop")
        };
        if bad {
            let what = format!("its mode is {:04o}: others of this machine reach it", found.mode);
            let why = "messages and memory may hold what only you should see or change";
            let right = match (is_root, found.is_dir) {
                (true, _) => "go-w",
                (false, true) => "700",
                (false, false) => "600",
            };
            findings.push(Finding::problem(path, what, why, format!("chmod {right} {}", path.display())));
        }
    }
    Outcome::new("only the owner reaches the files", format!("{} paths", around.access.len()), findings)
}
