//! The shell scripts, run as a person runs them, in a copy of the tree's outline with a false `cargo` in front: what is
//! tested is what they decide, not the compiler.
#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a test of scripts runs them on real files")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

/// What the scripts may use besides the shell itself.
const TOOLS: [&str; 11] =
    ["sh", "dirname", "readlink", "find", "head", "mkdir", "mv", "rm", "cat", "touch", "chmod"];

/// Stands in for cargo: notes the call and builds two programs that tell how they were called.
const FALSE_CARGO: &str = r#"
echo "cargo $* in $PWD" >> "$CALLS"
mkdir -p "$CARGO_TARGET_DIR/release"
for name in tachi tachi-worker; do
    printf '#!/bin/sh\necho "$* | $PWD | ${TACHI_STATE_DIR-none}"\n' > "$CARGO_TARGET_DIR/release/$name"
    chmod +x "$CARGO_TARGET_DIR/release/$name"
done"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// An outline of the repository with a false toolchain.
struct Outline {
    _dir: tempfile::TempDir,
    base: PathBuf,
}

impl Outline {
    /// Scripts, manifests and one source per crate; a `PATH` with nothing but plain tools, `cc` and the false `cargo`.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let outline = Self { base: dir.path().canonicalize().expect("a folder"), _dir: dir };
        fs::create_dir_all(outline.root().join("infrastructure")).expect("made");
        for name in ["infrastructure/start-multi.sh", "infrastructure/cluster.sh"] {
            fs::copy(repository().join(name), outline.root().join(name)).expect("copied");
        }
        for name in ["Cargo.toml", "Cargo.lock"] {
            outline.write(name, "");
        }
        for name in ["shared", "supervisor", "worker"] {
            outline.write(&format!("{name}/Cargo.toml"), "");
            outline.write(&format!("{name}/src/lib.rs"), "");
        }
        fs::create_dir(outline.path()).expect("made");
        for tool in TOOLS {
            let places = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(tool));
            let from = places.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {tool}"));
            symlink(from, outline.path().join(tool)).expect("linked");
        }
        outline.program("cc", "exit 0");
        outline.program("cargo", FALSE_CARGO);
        outline
    }

    fn root(&self) -> PathBuf {
        self.base.join("tachi")
    }

    fn path(&self) -> PathBuf {
        self.base.join("bin")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn without(&self, tool: &str) {
        fs::remove_file(self.path().join(tool)).expect("removed");
    }

    fn command(&self, script: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.root().join(script));
        command.args(arguments).current_dir(self.root()).env_clear();
        command.env("PATH", self.path()).env("CALLS", self.base.join("calls")).env("HOME", &self.base);
        command
    }

    fn start(&self, arguments: &[&str]) -> Output {
        self.command("infrastructure/start-multi.sh", arguments).output().expect("started")
    }

    /// How often cargo was called.
    fn builds(&self) -> usize {
        fs::read_to_string(self.base.join("calls")).map(|calls| calls.lines().count()).unwrap_or_default()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

#[test]
fn m01_scripts_are_plain_posix_shell() {
    let mut scripts = vec![repository().join(".ci/run")];
    for entry in fs::read_dir(repository().join("infrastructure")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "sh") {
            scripts.push(path);
        }
    }
    assert!(scripts.len() >= 5, "{scripts:?}");
    for script in scripts {
        for shell in [&["sh"][..], &["dash"], &["busybox", "sh"]] {
            let checked = Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(&script).output();
            // A shell that is not installed judges nothing; `sh` always is.
            let Ok(checked) = checked else { continue };
            assert!(checked.status.success(), "{shell:?} {}: {}", script.display(), err(&checked));
        }
        let text = fs::read_to_string(&script).expect("read");
        for bashism in ["[[", "function ", "local ", "pipefail", "<<<", "&>", "$RANDOM", "\nsource "] {
            assert!(!text.contains(bashism), "{} uses {bashism}", script.display());
        }
    }
}

#[test]
fn m01_without_cargo_it_says_what_to_install_and_exits_2() {
    let outline = Outline::new();
    outline.without("cargo");
    let output = outline.start(&["4"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("cargo") && err(&output).contains("rustup.rs"), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn m01_without_a_c_compiler_it_says_what_to_install_and_exits_2() {
    let outline = Outline::new();
    outline.without("cc");
    let output = outline.start(&["4"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("C compiler") && err(&output).contains("apt install"), "{}", err(&output));
    assert_eq!(outline.builds(), 0);
}

#[test]
fn m01_the_first_run_builds_the_second_does_not_a_changed_source_does() {
    let outline = Outline::new();
    let first = outline.start(&["4", "--detach"]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert!(out(&first).starts_with("up 4 --detach |"), "{}", out(&first));
    assert_eq!(outline.builds(), 1);

    outline.start(&["4"]);
    assert_eq!(outline.builds(), 1, "nothing changed");

    // Later than the stamp whatever the grain of the file system's clock.
    let source =
        fs::File::options().write(true).open(outline.root().join("shared/src/lib.rs")).expect("opened");
    source.set_modified(SystemTime::now() + Duration::from_secs(2)).expect("touched");
    outline.start(&["4"]);
    assert_eq!(outline.builds(), 2, "a source is newer");

    fs::remove_file(outline.root().join("target/release/tachi-worker")).expect("removed");
    outline.start(&["4"]);
    assert_eq!(outline.builds(), 3, "a program is missing");
}

#[test]
fn m01_a_failed_build_starts_nothing_and_is_tried_again() {
    let outline = Outline::new();
    outline.start(&["4"]);
    // As if everything built so far were from long ago, and a source had changed since.
    let stamp = fs::File::options().write(true).open(outline.root().join("target/release/.tachi-built"));
    stamp.expect("a stamp").set_modified(SystemTime::UNIX_EPOCH).expect("touched");
    outline.program("cargo", r#"echo "cargo $*" >> "$CALLS"; echo "error: no" >&2; exit 101"#);
    for builds in 2..=3 {
        let output = outline.start(&["4"]);
        assert_eq!(output.status.code(), Some(101), "{output:?}");
        assert_eq!(out(&output), "", "what was built before is not started");
        assert!(err(&output).contains("error: no"));
        assert_eq!(outline.builds(), builds);
    }
}

#[test]
fn m01_it_runs_in_the_callers_directory_also_through_symlinks() {
    let outline = Outline::new();
    let elsewhere = outline.base.join("else where");
    fs::create_dir(&elsewhere).expect("made");
    symlink("../tachi/infrastructure/start-multi.sh", elsewhere.join("go")).expect("linked");
    symlink("else where/go", outline.base.join("go")).expect("linked");
    for link in [elsewhere.join("go"), outline.base.join("go")] {
        let output = outline.command(&link, &["2"]).current_dir(&elsewhere).output().expect("started");
        assert_eq!(out(&output), format!("up 2 | {} | none", elsewhere.display()), "{}", err(&output));
    }
    assert!(outline.root().join("target/release/tachi").exists());
}

#[test]
fn m01_inside_the_repository_the_state_is_the_repositorys() {
    let outline = Outline::new();
    let state = outline.root().join("state");
    for dir in [outline.root(), outline.root().join("worker/src")] {
        let mut command = outline.command("infrastructure/start-multi.sh", &[]);
        let output = command.current_dir(&dir).output().expect("started");
        assert_eq!(out(&output), format!("up | {} | {}", dir.display(), state.display()));
    }
    let mut chosen = outline.command("infrastructure/start-multi.sh", &[]);
    let output = chosen.env("TACHI_STATE_DIR", "/chosen").output().expect("started");
    assert!(out(&output).ends_with("| /chosen"), "{}", out(&output));
}

#[test]
fn m01_a_target_directory_of_the_callers_is_respected() {
    let outline = Outline::new();
    let mut command = outline.command("infrastructure/start-multi.sh", &[]);
    let output = command.env("CARGO_TARGET_DIR", "built").output().expect("started");
    assert!(output.status.success(), "{}", err(&output));
    assert!(outline.root().join("built/release/tachi").exists());
    assert!(!outline.root().join("target").exists());
}

#[test]
fn m02_a_wrong_n_is_one_line_and_exit_2_before_any_build() {
    let outline = Outline::new();
    for wrong in ["0", "-1", "four", "1001", "4x", "", "1e3", "99999999999999999999"] {
        for arguments in [vec![wrong], vec!["--detach", wrong], vec!["--role", "builder=2", wrong]] {
            let output = outline.start(&arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
            assert_eq!(err(&output).lines().count(), 1, "{arguments:?}: {}", err(&output));
            assert!(err(&output).contains("1 to 1000"), "{}", err(&output));
        }
        let state = outline.base.join("unborn");
        let program = Command::new(env!("CARGO_BIN_EXE_tachi"))
            .arg("up")
            .arg(wrong)
            .arg("--state")
            .arg(&state)
            .output();
        let program = program.expect("started");
        assert_eq!(program.status.code(), Some(2), "{program:?}");
        assert_eq!(err(&program), err(&outline.start(&[wrong])), "script and program say the same");
        assert!(!state.exists(), "nothing is made for a wrong N");
    }
    assert_eq!(outline.builds(), 0, "nothing was built for a wrong N");
    for right in [&["1000"][..], &["1"], &["--workspace", "0", "3"], &["--goal", "-1"], &["--no-dashboard"]] {
        assert_eq!(outline.start(right).status.code(), Some(0), "{right:?}");
        fs::remove_dir_all(outline.root().join("target")).expect("removed");
    }
}

#[test]
fn cluster_verbs_are_calls_of_tachi() {
    let outline = Outline::new();
    let call = |arguments: &[&str]| {
        let output = outline.command("infrastructure/cluster.sh", arguments).output().expect("started");
        let called = out(&output).split(" |").next().unwrap_or_default().to_owned();
        (output.status.code(), called, err(&output))
    };
    let (code, _, complaint) = call(&["status"]);
    assert_eq!(code, Some(2), "{complaint}");
    assert!(complaint.contains("start-multi.sh"), "{complaint}");
    for (given, called) in [
        (&["start"][..], "up --detach"),
        (&["start", "4"], "up 4 --detach"),
        (&["start", "instance_2"], "start instance_2"),
        (&["stop"], "down"),
        (&["stop", "instance_2"], "stop instance_2"),
        (&["restart"], "restart all"),
        (&["restart", "instance_2"], "restart instance_2"),
        (&["status"], "status"),
        (&["logs"], "logs"),
        (&["logs", "instance_2"], "logs instance_2"),
    ] {
        assert_eq!(call(given).1, called, "{given:?}");
    }
    for unknown in [&[][..], &["fly"]] {
        let (code, _, complaint) = call(unknown);
        assert_eq!((code, complaint.lines().count()), (Some(2), 1), "{complaint}");
    }
}
