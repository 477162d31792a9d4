//! Tidiness is a test: sizes, names, headers, fences, versions, links. Each rule looks at the tree as it is on disk and
//! names every offender at once; the rules themselves are tried on planted offenders.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
#![expect(clippy::disallowed_methods, reason = "a test of the tree reads the tree")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Lines of a file before its tests.
const FILE_MAX: usize = 400;
/// Lines from `fn` to the closing brace.
const FUNCTION_MAX: usize = 70;
/// Names that say nothing about what a module owns.
const BANNED_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "misc", "imp", "prelude"];
const CRATES: [&str; 3] = ["shared", "supervisor", "worker"];
const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "state/README.md"];
/// This file names what it forbids.
const SELF: &str = "shared/tests/tidy.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// One Rust file: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines before the tests.
    fn production(&self) -> Vec<&str> {
        self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").collect()
    }

    /// Not in a test room, and no module of nothing but tests.
    fn is_production(&self) -> bool {
        self.path.contains("/src/") && !self.path.ends_with("tests.rs") && !self.path.contains("/tests/")
    }

    /// Lines that are not comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for name in CRATES {
        for room in ["src", "tests", "benches", "examples"] {
            walk(&root.join(name).join(room), &mut paths);
        }
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "rs"));
    paths.sort();
    assert!(paths.len() > 40, "the walk found only {} files", paths.len());
    let source = |path: &PathBuf| Source {
        path: path.strip_prefix(&root).expect("below the root").display().to_string(),
        text: read(path),
    };
    paths.iter().map(source).collect()
}

/// Runs one rule over all files and fails with every offence.
#[track_caller]
fn check(rule: impl Fn(&Source) -> Vec<String>) {
    none(&sources().iter().flat_map(rule).collect::<Vec<_>>());
}

#[track_caller]
fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.production().len();
    if source.is_production() && lines > FILE_MAX {
        return vec![format!("{}: {lines} lines before its tests, {FILE_MAX} are allowed", source.path)];
    }
    Vec::new()
}

fn starts_function(line: &str) -> bool {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = match after.strip_prefix('(') {
            Some(inner) => inner.split_once(')').map_or("", |(_, rest)| rest),
            None => after,
        }
        .trim_start();
    }
    for word in ["const ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.starts_with("fn ")
}

fn long_functions(source: &Source) -> Vec<String> {
    let lines = source.production();
    let mut offences = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        if !source.is_production() || !starts_function(line) {
            continue;
        }
        let ends_head = |line: &&str| line.trim_end().ends_with(['{', '}', ';']);
        let Some(head) = lines.iter().skip(start).position(ends_head) else { continue };
        if !lines[start + head].trim_end().ends_with('{') {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent(line)));
        let length = match lines.iter().skip(start).position(|line| line.trim_end() == closing) {
            Some(end) => end + 1,
            None => lines.len() - start,
        };
        if length > FUNCTION_MAX {
            let place = format!("{}:{}", source.path, start + 1);
            offences.push(format!("{place}: a function of {length} lines, {FUNCTION_MAX} are allowed"));
        }
    }
    offences
}

fn headless(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//!").map(str::trim).unwrap_or_default();
    if said.len() < 10 || said.contains("owner completes") {
        return vec![format!("{}: begins without a header that says what it is for", source.path)];
    }
    Vec::new()
}

fn nameless(source: &Source) -> Vec<String> {
    let parts = source.path.split(['/', '.', '_']);
    let banned = parts.filter(|part| BANNED_NAMES.contains(part));
    banned.map(|name| format!("{}: `{name}` names no noun", source.path)).collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    if source.path == SELF {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let mut offences = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let place = format!("{}:{}", source.path, n + 1);
        for word in ["#[ignore", "todo!(", "unimplemented!(", "dbg!("] {
            if line.contains(word) {
                offences.push(format!("{place}: {word}"));
            }
        }
        // A module that several tests share may not be needed whole by each: `expect` cannot say that, `allow` can.
        let reason = lines.iter().skip(n).take(6).any(|line| line.contains("reason = "));
        let waved = ["#[allow(", "#![allow("].iter().any(|word| line.trim_start().starts_with(word));
        if waved && (source.is_production() || !reason) {
            offences.push(format!("{place}: waves a lint through; say `expect` with a reason"));
        }
        let comment = line.trim_start().strip_prefix("//").unwrap_or_default();
        let comment = comment.trim_start_matches(['/', '!']).trim_start();
        if ["TODO", "FIXME", "XXX", "stub"].iter().any(|word| comment.starts_with(word)) {
            offences.push(format!("{place}: an unfinished thought: {}", line.trim()));
        }
    }
    offences
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether line `n` stands in a loop of its function: the nearest lines above it, each less indented than the last, say so.
fn is_in_a_loop(lines: &[&str], n: usize) -> bool {
    let mut depth = indent(lines[n]);
    for line in lines.iter().take(n).rev().filter(|line| !line.trim().is_empty()) {
        if indent(line) < depth {
            depth = indent(line);
            if ["while ", "loop ", "for "].iter().any(|word| line.trim_start().starts_with(word)) {
                return true;
            }
            if starts_function(line) {
                return false;
            }
        }
    }
    false
}

/// In tests only: in production the lints forbid it, and the rooms that may nap say why. A test naps between two looks at
/// a condition; where time itself is what it needs, the line above says so.
fn sleeps(source: &Source) -> Vec<String> {
    if source.path == SELF || source.path.contains("/benches/") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let first_test_line = if source.is_production() { source.production().len() } else { 0 };
    let explained = |n: usize| n > 0 && lines[n - 1].trim_start().starts_with("//");
    let unexplained = |n: usize| !explained(n) && !is_in_a_loop(&lines, n);
    source
        .code()
        .filter(|(n, line)| *n > first_test_line && line.contains("thread::sleep") && unexplained(*n - 1))
        .map(|(n, _)| format!("{}:{n}: waits by the clock without saying why", source.path))
        .collect()
}

/// Words only some rooms may use. Tests may reach everywhere.
const ROOMS: [(&str, &[&str]); 3] = [
    ("fs2", &["shared/src/os/lock.rs"]),
    ("ureq::", &["worker/src/effects/http.rs"]),
    (
        "expect(clippy::disallowed_methods",
        &[
            "shared/src/os/",
            "shared/src/clock.rs",
            "supervisor/src/effects/",
            "supervisor/src/command/",
            "supervisor/src/settings",
            "worker/src/effects/",
        ],
    ),
];

fn outside_its_room(source: &Source) -> Vec<String> {
    let mut offences = Vec::new();
    if !source.is_production() {
        return offences;
    }
    for (n, line) in source.code() {
        for (word, rooms) in ROOMS {
            if line.contains(word) && !rooms.iter().any(|room| source.path.starts_with(room)) {
                offences.push(format!("{}:{n}: {word} belongs into {}", source.path, rooms.join(", ")));
            }
        }
    }
    offences
}

/// The floors of `shared`, bottom to top.
const FLOORS: [&[&str]; 5] = [
    &["id", "clock", "layout", "error"],
    &["os"],
    &["log", "snapshot"],
    &["queue", "event", "task", "registry", "memory", "instance", "command"],
    &["store", "check"],
];

/// The first names of all `crate::…` paths in a line.
fn crate_paths(line: &str) -> Vec<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    line.split("crate::").skip(1).map(name).collect()
}

fn upward(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("shared/src/") else { return Vec::new() };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    let Some(floor) = FLOORS.iter().position(|floor| floor.contains(&module)) else { return Vec::new() };
    let above: Vec<&str> = FLOORS.iter().skip(floor + 1).flat_map(|floor| floor.iter().copied()).collect();
    let end = source.production().len();
    let mut offences = Vec::new();
    for (n, line) in source.code().take_while(|(n, _)| *n <= end) {
        for name in crate_paths(line).iter().filter(|name| above.contains(&name.as_str())) {
            offences.push(format!("{}:{n}: names `{name}`, which stands above it", source.path));
        }
    }
    offences
}

#[test]
fn files_stay_readable_in_one_sitting() {
    check(too_long);
    let long = Source::planted("shared/src/x.rs", &"//! x\n".repeat(401));
    assert_eq!(too_long(&long).len(), 1);
    let tests = Source::planted("shared/src/x.rs", &format!("//! x\n#[cfg(test)]\n{}", "x\n".repeat(500)));
    assert!(too_long(&tests).is_empty(), "tests do not count");
}

#[test]
fn functions_fit_on_a_screen() {
    check(long_functions);
    let body = "        work();\n".repeat(69);
    for head in [
        "fn f() {",
        "pub(crate) fn f() {",
        "pub fn f(\n        a: u8,\n    ) -> u8 {",
        "const fn f() {",
        "pub(in crate::x) fn f<T>(x: T) {",
    ] {
        let text = format!("//! x\nimpl X {{\n    {head}\n{body}    }}\n}}\n");
        assert_eq!(long_functions(&Source::planted("worker/src/x.rs", &text)).len(), 1, "{head}");
    }
    let short = "//! x\nfn f() {\n}\nfn g();\nfn h() {}\nfn i(\n    a: u8,\n);\n";
    assert!(long_functions(&Source::planted("worker/src/x.rs", short)).is_empty());
}

#[test]
fn every_file_says_what_it_is_for() {
    check(headless);
    assert_eq!(headless(&Source::planted("x.rs", "use x;\n")).len(), 1);
    assert_eq!(headless(&Source::planted("x.rs", "//! stub\n")).len(), 1);
}

#[test]
fn modules_are_named_for_nouns() {
    check(nameless);
    for bad in ["shared/src/utils.rs", "worker/src/common/mod.rs", "worker/src/time_util.rs"] {
        assert_eq!(nameless(&Source::planted(bad, "")).len(), 1, "{bad}");
    }
}

#[test]
fn nothing_is_unfinished_waved_through_or_left_out() {
    check(unfinished);
    for bad in ["#[ignore]", "    todo!()", "// TODO later", "#[allow(dead_code)]", "/// FIXME: x"] {
        assert_eq!(unfinished(&Source::planted("worker/tests/x.rs", bad)).len(), 1, "{bad}");
    }
    for good in ["/// Counts markers such as TODO.", "#[allow(dead_code, reason = \"one test needs it\")]"] {
        assert!(unfinished(&Source::planted("x/tests/x.rs", good)).is_empty(), "{good}");
    }
}

#[test]
fn nobody_waits_by_the_clock() {
    check(sleeps);
    let nap = "std::thread::sleep(d);";
    for bad in [
        format!("fn a() {{\n    {nap}\n}}"),
        format!("fn a() {{\n    for x in y {{\n    }}\n    {nap}\n}}"),
        format!("fn a() {{\n    while x {{}}\n}}\nfn b() {{\n    {nap}\n}}"),
    ] {
        assert_eq!(sleeps(&Source::planted("worker/tests/x.rs", &bad)).len(), 1, "{bad}");
        let inline = format!("#[cfg(test)]\nmod tests {{}}\n{bad}");
        assert_eq!(sleeps(&Source::planted("worker/src/x.rs", &inline)).len(), 1, "{bad}");
    }
    for good in [
        format!("fn a() {{\n    while !done() {{\n        assert!(x);\n        {nap}\n    }}\n}}"),
        format!("fn a() {{\n    // Two idle seconds are what is measured.\n    {nap}\n}}"),
    ] {
        assert!(sleeps(&Source::planted("worker/tests/x.rs", &good)).is_empty(), "{good}");
    }
}

#[test]
fn locks_http_and_effects_stay_in_their_rooms() {
    check(outside_its_room);
    let planted = Source::planted("worker/src/turn/x.rs", "fs2::lock();\nureq::get();\n// fs2");
    assert_eq!(outside_its_room(&planted).len(), 2);
}

#[test]
fn modules_of_the_library_know_only_what_stands_below() {
    check(upward);
    assert_eq!(upward(&Source::planted("shared/src/id.rs", "use crate::queue::Draft;")).len(), 1);
    assert!(upward(&Source::planted("shared/src/queue/x.rs", "use crate::log::Log;")).is_empty());
}

/// `name = …` lines of one table of a manifest.
fn table<'a>(manifest: &'a str, header: &str) -> Vec<(&'a str, &'a str)> {
    let lines = manifest.lines().skip_while(|line| line.trim() != header).skip(1);
    let pairs = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).collect()
}

fn manifest_of(krate: &str) -> String {
    read(&root().join(krate).join("Cargo.toml"))
}

#[test]
fn versions_agree() {
    let manifest = read(&root().join("Cargo.toml"));
    let package = table(&manifest, "[workspace.package]");
    let version = package.iter().find(|(name, _)| *name == "version").expect("a version").1.trim_matches('"');
    let changes = read(&root().join("CHANGELOG.md"));
    let newest = changes.lines().find_map(|line| line.strip_prefix("## [")).expect("an entry");
    assert!(newest.starts_with(&format!("{version}]")), "CHANGELOG has {newest}, the workspace {version}");
    for krate in CRATES {
        let manifest = manifest_of(krate);
        for key in ["version", "edition", "rust-version", "license"] {
            assert!(manifest.contains(&format!("{key}.workspace = true")), "{krate} repeats {key}");
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{krate} has lints of its own");
    }
}

/// What is wrong with the dependencies one crate lists under `header`, used in `rooms`; takes them off `unlisted`.
fn bad_dependencies(
    krate: &str,
    header: &str,
    rooms: &[&str],
    unlisted: &mut BTreeSet<String>,
) -> Vec<String> {
    let sources = sources();
    let mut offences = Vec::new();
    for (name, value) in table(&manifest_of(krate), header) {
        let (name, inherits) = match name.strip_suffix(".workspace") {
            Some(name) => (name, value == "true"),
            None => (name, value.contains("workspace = true")),
        };
        if !inherits {
            offences.push(format!("{krate}: {name} does not inherit from the workspace"));
        }
        unlisted.remove(name);
        let word = name.replace('-', "_");
        let named = |line: &str| line.contains(&format!("{word}::")) || line.contains(&format!("use {word}"));
        let inside = |path: &str| rooms.iter().any(|room| path.starts_with(&format!("{krate}/{room}/")));
        if !sources.iter().any(|source| inside(&source.path) && source.code().any(|(_, line)| named(line))) {
            offences.push(format!("{krate}: {name} of {header} is not used"));
        }
    }
    offences
}

#[test]
fn every_dependency_is_named_once_and_used() {
    let manifest = read(&root().join("Cargo.toml"));
    let all = table(&manifest, "[workspace.dependencies]");
    let mut unlisted: BTreeSet<String> = all.into_iter().map(|(name, _)| name.to_owned()).collect();
    assert!(unlisted.len() > 10);
    let mut offences = Vec::new();
    for krate in CRATES {
        offences.extend(bad_dependencies(krate, "[dependencies]", &["src", "benches"], &mut unlisted));
        let rooms = ["src", "tests", "benches", "examples"];
        offences.extend(bad_dependencies(krate, "[dev-dependencies]", &rooms, &mut unlisted));
    }
    offences.extend(unlisted.iter().map(|name| format!("{name} is in the workspace and in no crate")));
    none(&offences);
}

/// The anchor a heading gets.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn dead_links(document: &Path) -> Vec<String> {
    let text = read(document);
    let mut dead = Vec::new();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, place) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => document.to_owned(),
            path => document.parent().expect("a folder").join(path),
        };
        let headed = || read(&target).lines().any(|line| line.starts_with('#') && anchor(line) == place);
        if !target.exists() || (!place.is_empty() && !headed()) {
            dead.push(format!("{}: {link} leads nowhere", document.display()));
        }
    }
    dead
}

#[test]
fn links_of_the_documents_are_alive() {
    none(&DOCUMENTS.iter().flat_map(|name| dead_links(&root().join(name))).collect::<Vec<_>>());
    let planted = tempfile::tempdir().expect("a folder");
    let page = planted.path().join("page.md");
    let text = "# A b\n[x](#a-b) [y](gone.md) [z](page.md#nowhere) [w](https://example.org/)";
    fs::write(&page, text).expect("written");
    assert_eq!(dead_links(&page).len(), 2);
}

#[test]
fn scripts_are_executable_and_name_the_plain_shell() {
    let mut scripts = vec![root().join(".ci/run")];
    walk(&root().join("infrastructure"), &mut scripts);
    scripts.retain(|path| path.extension().is_none_or(|end| end == "sh"));
    assert!(scripts.len() >= 5, "only {scripts:?}");
    for script in scripts {
        let mode = fs::metadata(&script).expect("a script").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} is not executable", script.display());
        assert!(read(&script).starts_with("#!/bin/sh\n"), "{} is not for the plain shell", script.display());
    }
}

#[test]
fn m12_the_first_screen_leads_from_clone_to_fleet_and_to_tests() {
    for name in DOCUMENTS.iter().chain(&["LICENSE-MIT", "LICENSE-APACHE", "state/.gitignore", ".ci/run"]) {
        assert!(root().join(name).is_file(), "{name} is missing");
    }
    let readme = read(&root().join("README.md"));
    let first_screen = readme.lines().take(40).collect::<Vec<_>>().join("\n");
    for command in ["./infrastructure/start-multi.sh 4", "./infrastructure/test.sh"] {
        assert!(first_screen.contains(command), "the first screen does not name {command}");
    }
}
