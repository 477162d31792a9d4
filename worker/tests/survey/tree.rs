//! Generated trees and the tools they are compared with.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

/// Runs git in `dir` with fixed people and dates.
pub(crate) fn git(dir: &Path, at: u64, args: &[&str]) {
    let date = format!("{} +0000", 1_700_000_000 + at);
    let status = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"])
        .args(args)
        .current_dir(dir)
        .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
        .envs([("GIT_AUTHOR_EMAIL", "a@example.org"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .envs([
            ("GIT_AUTHOR_NAME", if at.is_multiple_of(3) { "Ann" } else { "Bob" }),
            ("GIT_COMMITTER_NAME", "Ann"),
        ])
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .output()
        .unwrap();
    assert!(status.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&status.stderr));
}

/// Output of a command, whatever its exit code.
pub(crate) fn output<A: AsRef<OsStr>>(
    dir: &Path,
    program: &str,
    args: impl IntoIterator<Item = A>,
) -> Vec<u8> {
    Command::new(program).args(args).current_dir(dir).env("LC_ALL", "C").output().unwrap().stdout
}

pub(crate) fn write(dir: &Path, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A repository of some hundred files in several areas, with a history of a few commits. Made once and copied: the commits
/// take longer than most surveys. Another version of this file makes another one.
pub(crate) fn repository(dir: &Path) {
    let mut hasher = DefaultHasher::new();
    include_str!("tree.rs").hash(&mut hasher);
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("survey-tree-{:016x}", hasher.finish()));
    if !made.exists() {
        let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        make_repository(fresh.path());
        // Somebody else may have been faster; theirs is the same.
        if std::fs::rename(fresh.path(), &made).is_ok() {
            let _moved = fresh.keep();
        }
    }
    let copied = Command::new("cp").arg("-a").arg(made.join(".")).arg(dir).status().unwrap();
    assert!(copied.success());
}

fn make_repository(dir: &Path) {
    git(dir, 0, &["init", "-q"]);
    for n in 0..240_usize {
        let area = ["src", "lib", "tests", "docs"][n % 4];
        let extension = ["rs", "py", "rs", "md"][n % 4];
        let lines: String = (0..n * 3 % 170 + 1)
            .map(|line| match line % 40 {
                7 if n % 5 == 0 => format!("// TODO: line {line}\n"),
                9 if n % 7 == 0 => "x = 1 # FIXME and HACK\n".to_owned(),
                11 => "TODOS XXXX notTODO _HACK\n".to_owned(),
                _ => format!("let value_{line} = {n};\n"),
            })
            .collect();
        write(dir, format!("{area}/module_{}/file_{n}.{extension}", n % 6), lines);
    }
    write(dir, "README.md", "# Readme\nno newline at the end");
    write(dir, ".gitignore", "ignored/\n*.log\n");
    write(dir, "ignored/secret.rs", "TODO\n");
    write(dir, "debug.log", "TODO\n");
    git(dir, 1, &["add", "."]);
    git(dir, 1, &["commit", "-qm", "first"]);
    for at in 2..9_u64 {
        let long: String = (0..600 + at).map(|line| format!("fn f_{line}() {{}} // XXX {at}\n")).collect();
        write(dir, "src/module_0/hot.rs", long);
        if at % 2 == 0 {
            write(dir, "lib/warm.py", format!("# TODO {at}\n").repeat(20));
        }
        git(dir, at, &["add", "."]);
        git(dir, at, &["commit", "-qm", "change"]);
    }
    write(dir, "lib/untracked.py", "# HACK: not added\n");
}
