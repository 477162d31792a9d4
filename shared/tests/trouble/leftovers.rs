//! What a crash leaves behind.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tachi_shared::clock::now;
use tachi_shared::log::Cursor;
use tachi_shared::os::doorbell::{Doorbell, Ring, ring};
use tachi_shared::store::Store;

use crate::place::{id, state};

#[test]
fn s18_s23_42_what_a_crash_left_is_cleaned_or_taken_once() {
    let (_temp, store) = state();
    let dir = store.dir().clone();
    let (old, young) = (dir.tmp().join("memory.json.1.0.tmp"), dir.tmp().join("memory.json.2.0.tmp"));
    fs::write(&old, "{").unwrap();
    fs::write(&young, "{").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3700);
    fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
    // A doorbell whose owner was killed, full of rings nobody took.
    let bell = dir.doorbell(&id("instance_2"));
    assert!(Command::new("mkfifo").arg(&bell).status().unwrap().success());
    (0..3).for_each(|_| ring(&bell, Ring::Messages));
    // A message that was placed while nobody kept the house.
    fs::write(dir.spool().join("m.json"), r#"{"to":"instance_2","content":"late"}"#).unwrap();

    let store = Store::create(dir.root()).unwrap();
    assert!(!old.exists(), "an old temporary file stayed");
    assert!(young.exists(), "a temporary file that may be in use was removed");
    let heard = Doorbell::open(&bell).unwrap();
    ring(&bell, Ring::Tasks);
    assert_eq!(heard.drain().unwrap(), [Ring::Tasks]);
    for imported in [1, 0] {
        assert_eq!(store.view().refresh(None, now()).unwrap().imported, imported);
    }
    assert_eq!(store.queue().messages(Cursor::default(), 10).unwrap().0.len(), 1);
    assert_eq!(fs::read_dir(dir.spool()).unwrap().count(), 0);
}
