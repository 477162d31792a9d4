//! A voter's own look at the tree: counts again what a proposal says, from the file and from git, not from any artifact.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use std::process::Stdio;

use serde_json::Value;

use super::git::{self, Said};
use super::{Beat, Halt, Scanner};
use crate::backend::builtin::Site;
use crate::backend::builtin::fact::Listed;
use crate::backend::builtin::history::LIMIT;
use crate::backend::builtin::path::unescape;
use crate::backend::builtin::proposal::Found;

/// Counts what the figure names.
///
/// # Errors
/// [`Halt::Interrupted`].
pub(crate) fn recount(site: &Site, figure: &Value, beat: &mut Beat<'_>) -> Result<Found, Halt> {
    let trouble = |text: &str| Ok(Found { trouble: Some(text.to_owned()), ..Found::default() });
    let Some(name) = figure.get("path").and_then(Value::as_str) else {
        return trouble("it names no file");
    };
    let bytes = unescape(name);
    let path = Path::new(OsStr::from_bytes(&bytes));
    if !path.components().all(|part| matches!(part, Component::Normal(_))) || !is_inside(site, path) {
        return trouble("there is no such file in the tree");
    }
    let listed = Listed { path: name.to_owned(), bytes: 0, stamp: 0 };
    let doing = || format!("counting {name} again");
    let fact = match Scanner::new(&site.workspace)?.scan(&listed, beat, &doing)? {
        (Some(fact), _) => fact,
        (None, skipped) => {
            return trouble(&skipped.map_or("it cannot be read".to_owned(), |skipped| skipped.reason));
        }
    };
    let mut marked: Vec<u64> = fact.marks.iter().map(|mark| mark.line).collect();
    marked.dedup();
    let churn = match figure.get("churn") {
        Some(_) => churn(&site.workspace, path, beat)?,
        None => None,
    };
    let markers = u64::try_from(marked.len()).ok();
    Ok(Found { trouble: None, lines: fact.lines, markers, churn })
}

/// Whether the path leads to something below the workspace, links considered, and not into the state directory.
fn is_inside(site: &Site, path: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let Some(root) = real(&site.workspace) else { return false };
    real(&root.join(path)).is_some_and(|found| {
        found.starts_with(&root) && !real(&site.state).is_some_and(|s| found.starts_with(s))
    })
}

/// Commits among those a survey reads that touch the file.
fn churn(workspace: &Path, path: &Path, beat: &mut Beat<'_>) -> Result<Option<u64>, Halt> {
    let doing = "counting commits again";
    let most = LIMIT.to_string();
    let mut list = git::command(workspace, ["rev-list", "--no-merges", "-n", &most, "HEAD"]);
    let Ok(mut list) = list.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else { return Ok(None) };
    let args =
        ["diff-tree", "--stdin", "-r", "--root", "--name-only", "--no-commit-id", "--no-renames", "-z"];
    let args = args.map(OsString::from).into_iter().chain(["--".into(), path.as_os_str().to_owned()]);
    let mut touched = git::command(workspace, args);
    if let Some(commits) = list.stdout.take() {
        touched.stdin(commits);
    }
    let said = git::collect(touched, beat, doing);
    if said.is_err() {
        // Interrupted: the list is of no use to anybody.
        let _ = list.kill();
    }
    let listed = list.wait().is_ok_and(|status| status.success());
    match said? {
        Said::Output(names) if listed => Ok(u64::try_from(memchr::memchr_iter(0, &names).count()).ok()),
        Said::Output(_) | Said::Refused(_) => Ok(None),
    }
}
