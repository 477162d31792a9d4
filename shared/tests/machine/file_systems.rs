//! File systems that take no writes, have no room for another name, or copy a file when it is first written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::id::Seq;
use tachi_shared::log::Cursor;
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::skip::{Mount, run, skip};

const WAIT: Duration = Duration::from_secs(10);

fn message(k: usize) -> Draft {
    let to = "instance_2".parse().unwrap();
    Draft::new(to, "instance_1", MessageKind::Finding, format!("instance_1.1.{k}"), now().wall, "x")
}

fn ids(store: &Store) -> Vec<String> {
    let (messages, _) = store.queue().messages(Cursor::default(), usize::MAX).unwrap();
    messages.into_iter().map(|message| message.draft.id).collect()
}

/// A tmpfs with these options, or the skip is noted.
fn mounted(temp: &Path, options: &str) -> Option<Mount> {
    let at = temp.join("small");
    fs::create_dir(&at).unwrap();
    match run(&["mount", "-t", "tmpfs", "-o", options, "tmpfs", at.to_str().unwrap()]) {
        Ok(()) => Some(Mount { at }),
        Err(why) => {
            skip("file-systems", &why);
            None
        }
    }
}

#[test]
fn s23_35_on_a_read_only_file_system_everything_is_refused_clearly_and_what_is_there_can_be_read() {
    let temp = tempfile::tempdir().unwrap();
    let Some(mount) = mounted(temp.path(), "size=4m") else { return };
    let root = mount.at.join("state");
    let store = Store::create(&root).unwrap();
    store.queue().send(&[message(0)], WAIT).unwrap();
    store.memory().set_fact("k", json!(1)).unwrap();
    // The same place seen through a mount that takes no writes: the file system itself is held open by our lock files.
    let at = temp.path().join("closed");
    fs::create_dir(&at).unwrap();
    let (open, closed) = (mount.at.to_str().unwrap(), at.to_str().unwrap());
    let bound = run(&["mount", "--bind", open, closed]);
    if let Err(why) = bound.and_then(|()| run(&["mount", "-o", "remount,bind,ro", closed])) {
        return skip("file-systems", &why);
    }
    let mount = Mount { at };
    let root = mount.at.join("state");
    let new = Store::create(&mount.at.join("other")).unwrap_err().to_string();
    let old = Store::create(&root).unwrap_err().to_string();
    for said in [new, old] {
        assert!(
            said.to_lowercase().contains("read-only file system") || said.contains("is read-only"),
            "{said}"
        );
    }
    let store = Store::open(&root).unwrap();
    assert_eq!(ids(&store), ["instance_1.1.0"]);
    assert!(matches!(store.memory().load().unwrap(), Loaded::Good(memory) if memory.rev == 1));
    for refused in [store.queue().send(&[message(1)], WAIT).map(drop), store.memory().set_fact("k", json!(2))]
    {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("ead-only"), "{error}");
    }
    assert_eq!(ids(&store), ["instance_1.1.0"]);
}

#[test]
fn s18_s23_36_without_room_for_another_name_writes_are_refused_whole_and_work_again_afterwards() {
    let temp = tempfile::tempdir().unwrap();
    let Some(mount) = mounted(temp.path(), "size=4m,nr_inodes=60") else { return };
    let store = Store::create(&mount.at.join("state")).unwrap();
    let mut queue = store.queue();
    queue.send(&[message(0)], WAIT).unwrap();
    store.memory().set_fact("k", json!(1)).unwrap();
    let ballast: Vec<_> = (0..)
        .map(|k| mount.at.join(format!("b{k}")))
        .take_while(|path| fs::write(path, "").is_ok())
        .collect();
    assert!(!ballast.is_empty());
    // An append needs no name; a new segment and a replaced file do.
    assert_eq!(queue.send(&[message(1)], WAIT).unwrap(), Seq(2));
    let rotated = queue.log_mut().rotate(WAIT);
    assert!(matches!(rotated, Err(Error::DiskFull { .. })), "{rotated:?}");
    let remembered = store.memory().set_fact("k", json!(2));
    assert!(matches!(remembered, Err(Error::DiskFull { .. })), "{remembered:?}");
    assert!(matches!(store.memory().load().unwrap(), Loaded::Good(memory) if memory.facts["k"] == 1));
    assert_eq!(fs::read_dir(store.dir().tmp()).unwrap().count(), 0);
    ballast.iter().for_each(|path| fs::remove_file(path).unwrap());
    assert_eq!(queue.send(&[message(2)], WAIT).unwrap(), Seq(3));
    store.memory().set_fact("k", json!(2)).unwrap();
    assert_eq!(ids(&store), ["instance_1.1.0", "instance_1.1.1", "instance_1.1.2"]);
}

#[test]
fn s23_36_a_store_from_a_lower_layer_is_copied_up_once_and_readers_that_had_it_open_go_on() {
    let temp = tempfile::tempdir().unwrap();
    let [lower, upper, work, at] = ["lower", "upper", "work", "merged"].map(|name| temp.path().join(name));
    [&lower, &upper, &work, &at].iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let below = Store::create(&lower.join("state")).unwrap();
    below.queue().send(&[message(0)], WAIT).unwrap();
    below.memory().set_fact("k", json!(1)).unwrap();
    // The layers must lie on a file system that takes them.
    let layers =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    if let Err(why) = run(&["mount", "-t", "overlay", "-o", &layers, "overlay", at.to_str().unwrap()]) {
        return skip("file-systems", &why);
    }
    let mount = Mount { at };
    let store = Store::create(&mount.at.join("state")).unwrap();
    let mut early = store.queue().inbox(
        &tachi_shared::id::InstanceId::new("instance_2").unwrap(),
        &tachi_shared::id::Role::new("builder").unwrap(),
        Cursor::default(),
    );
    // Its file is the one below.
    assert_eq!(early.take(10, now().wall).unwrap().len(), 1);
    assert_eq!(store.queue().send(&[message(1)], WAIT).unwrap(), Seq(2));
    store.memory().set_fact("k", json!(2)).unwrap();
    let mut late = 0;
    // A reader that waits at an end which nobody sealed reads the directory at a later look.
    for _ in 0..200 {
        late += early.take(10, now().wall).unwrap().len();
    }
    assert_eq!(late, 1, "the reader stays with the file below");
    assert_eq!(ids(&store), ["instance_1.1.0", "instance_1.1.1"]);
    assert_eq!(ids(&below), ["instance_1.1.0"], "the lower layer was written");
}
