//! A disk of one mebibyte that is really full.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tachi_shared::Error;
use tachi_shared::clock::now;
use tachi_shared::id::{InstanceId, Recipient};
use tachi_shared::layout::Topic;
use tachi_shared::log::Cursor;
use tachi_shared::queue::{Draft, MessageKind};
use tachi_shared::snapshot::Loaded;
use tachi_shared::store::Store;

use crate::skip::{Mount, run, skip};

const WAIT: Duration = Duration::from_secs(10);

fn message(k: usize) -> Draft {
    let to = Recipient::Instance(InstanceId::new("instance_2").unwrap());
    let id = format!("instance_1.1.{k}");
    Draft::new(to, "instance_1", MessageKind::Finding, id, now().wall, &"x".repeat(3_000))
}

fn log_bytes(store: &Store) -> Vec<u8> {
    let mut paths: Vec<_> = fs::read_dir(store.dir().segments(Topic::Messages))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Fills what is left, to the last byte.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut size = 4_096;
    while size > 0 {
        if file.write(&vec![b'x'; size]).is_err() {
            size /= 2;
        }
    }
}

#[test]
fn s23_11_on_a_full_disk_a_send_is_refused_whole_and_works_again_once_there_is_room() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path().join("small");
    fs::create_dir(&at).unwrap();
    if let Err(why) = run(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", at.to_str().unwrap()]) {
        return skip("full-disk", &why);
    }
    let mount = Mount { at };
    let store = Store::create(&mount.at.join("state")).unwrap();
    let ballast = mount.at.join("ballast");
    fs::write(&ballast, vec![0; 300 * 1024]).unwrap();
    let mut queue = store.queue();
    let mut sent = 0;
    let full = loop {
        match queue.send(&[message(sent)], WAIT) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::DiskFull { .. }), "{full}");
    fill(&mount.at.join("rest"));
    let before = log_bytes(&store);
    // The same queue, a fresh one, a batch, the memory: all refused, and nothing is different afterwards.
    assert!(matches!(queue.send(&[message(sent)], WAIT), Err(Error::DiskFull { .. })));
    let batch: Vec<Draft> = (sent..sent + 5).map(message).collect();
    assert!(matches!(store.queue().send(&batch, WAIT), Err(Error::DiskFull { .. })));
    let remembered = store.memory().set_fact("a", json!("x".repeat(8_000)));
    assert!(matches!(remembered, Err(Error::DiskFull { .. })), "{remembered:?}");
    assert!(matches!(store.memory().load().unwrap(), Loaded::Missing));
    assert_eq!(log_bytes(&store), before, "a refused send left bytes");
    let leftover = fs::read_dir(store.dir().tmp()).unwrap().count();
    assert_eq!(leftover, 0, "a refused write left a temporary file");

    fs::remove_file(&ballast).unwrap();
    assert_eq!(queue.send(&[message(sent)], WAIT).unwrap().0, sent as u64 + 1);
    store.memory().set_fact("a", json!(1)).unwrap();
    let (messages, _) = store.queue().messages(Cursor::default(), usize::MAX).unwrap();
    assert_eq!(messages.len(), sent + 1);
    assert!(messages.iter().enumerate().all(|(k, message)| message.draft.id == format!("instance_1.1.{k}")));
}
