//! P59, demand 4: thousands of restarts leave no descriptor open and no zombie behind.

use std::fs;
use std::time::Instant;

use super::stage::Stage;

/// Restarts of the default run and of the long one.
const RESTARTS: (u64, u64) = (300, 10_000);

/// Files that are opened once, whenever that is: segments of the logs.
const KEPT: usize = 4;

/// Ends at once, for ever.
const HASTY: &str = "[[instances]]\nid = \"ID\"\ncommand = [\"true\"]\nlimit = \"none\"\n\
    backoff = { first = \"0s\", base = \"0s\", max = \"0s\" }\n";

/// What a process has open. Views that were replaced stay open for a while, so that the words of a hand that wrote into one
/// of them are not lost: they do not count.
pub(crate) fn open_files(pid: u32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut names: Vec<_> = open
        .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        .filter(|name| !name.contains("/replaced/"))
        .collect();
    names.sort();
    names
}

/// Children of a process that are dead and not reaped.
pub(crate) fn zombies_of(parent: u32) -> usize {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let dead = |pid: &&str| {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim().starts_with('Z')))
    };
    list.split_whitespace().filter(dead).count()
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn p59_restarts_leave_nothing_behind() {
    let wanted = if std::env::var_os("TACHI_LONG").is_some() { RESTARTS.1 } else { RESTARTS.0 };
    let hasty: String = ["a", "b", "c", "d"].map(|id| HASTY.replace("ID", id)).concat();
    let mut stage =
        Stage::new(&format!("{hasty}[[instances]]\nid = \"still\"\ncommand = [\"sleep\", \"TOKEN\"]\n"));
    let supervisor = stage.up();
    let restarts = |stage: &Stage| -> u64 {
        stage.rows().iter().map(|row| row["restarts"].as_u64().unwrap_or_default()).sum()
    };
    stage.wait("they have begun", |stage| (restarts(stage) > 40).then_some(()));
    let (files, memory) = (at_rest(&stage, supervisor), resident(supervisor));
    let (begin, first) = (Instant::now(), restarts(&stage));
    let mut done = first;
    while done < first + wanted {
        let before = done;
        done = stage.wait("they go on", |stage| Some(restarts(stage)).filter(|now| *now > before));
        // Whoever just died is reaped within the pass; a zombie that stays is a leak.
        stage.wait("the dead are reaped", |_| (zombies_of(supervisor) == 0).then_some(()));
    }
    let (took, grown) = (begin.elapsed(), resident(supervisor).saturating_sub(memory));
    println!("{} restarts in {took:.1?}, memory of its own + {grown} KiB", done - first);
    let after = at_rest(&stage, supervisor);
    // What is opened at its first use and kept may come later than our first look.
    assert!(after.len() <= files.len() + KEPT, "before {files:#?}, after {after:#?}");
    assert!(grown < 1024, "it grew by {grown} KiB");
    stage.ask(&["down"]);
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
}

/// Open files while nobody starts or ends.
fn at_rest(stage: &Stage, supervisor: u32) -> Vec<String> {
    let hasty = ["a", "b", "c", "d"];
    stage.ask(&[&["stop"][..], &hasty].concat());
    stage.wait_for_quiet();
    let names = open_files(supervisor);
    // They may have ended again before it can be told that they are there.
    stage.tachi(&[&["start"][..], &hasty].concat());
    names
}
