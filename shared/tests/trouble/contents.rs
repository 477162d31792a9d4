//! Odd contents, by way of the spool: taken escaped, or refused with the reason.

use std::fs;

use serde_json::{Value, json};
use tachi_shared::clock::now;
use tachi_shared::log::Cursor;

use crate::place::state;

fn element(content: &str) -> Vec<u8> {
    format!("{{\"to\":\"instance_2\",\"from\":\"script\",\"content\":{content}}}").into_bytes()
}

#[test]
fn s27_s23_28_odd_contents_arrive_as_they_are_or_are_refused_with_the_reason() {
    let mebibyte = 1024 * 1024;
    let taken = [
        (element("\"\""), json!("")),
        (element(r#""a\nb\u0000c\u2028d""#), json!("a\nb\0c\u{2028}d")),
        (element("\"\u{2028}\""), json!("\u{2028}")),
        (element(&format!("\"{}\"", "x".repeat(mebibyte - 600))), json!("x".repeat(mebibyte - 600))),
        (element(r#"{"a":[1,2]}"#), json!({"a": [1, 2]})),
    ];
    let refused = [
        (element(r#""\ud800""#), "hex escape"),
        ([&b"{\"to\":\"instance_2\",\"content\":\""[..], b"caf\xe9\"}"].concat(), "UTF-8"),
        (element(&format!("\"{}\"", "x".repeat(mebibyte))), "the limit is 1048576"),
        (vec![b'x'; 17 * mebibyte], "the limit is 16777216"),
        (element(&format!("{}1{}", "[".repeat(65), "]".repeat(65))), "the limit is 64"),
        (element("null"), "no \"content\""),
        (b"{\"content\":\"x\"}".to_vec(), "no \"to\""),
    ];
    for (bytes, expected) in taken {
        let (_temp, store) = state();
        fs::write(store.dir().spool().join("a.json"), bytes).unwrap();
        let done = store.view().refresh(None, now()).unwrap();
        assert_eq!((done.imported, done.rejected.len()), (1, 0), "{done:?}");
        let (messages, _) = store.queue().messages(Cursor::default(), 10).unwrap();
        assert_eq!(messages[0].draft.content, expected);
        let line =
            fs::read(&crate::place::segments(store.dir(), tachi_shared::layout::Topic::Messages)[0]).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one message is one line");
        assert!(serde_json::from_slice::<Value>(&line).is_ok() && !line.contains(&0));
    }
    for (bytes, why) in refused {
        let (_temp, store) = state();
        let path = store.dir().spool().join("a.json");
        fs::write(&path, &bytes).unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        fs::File::open(&path).unwrap().set_modified(old).unwrap();
        let done = store.view().refresh(None, now()).unwrap();
        assert_eq!((done.imported, done.rejected.len()), (0, 1), "{why}: {done:?}");
        assert!(done.rejected[0].contains(why), "{why}: {:?}", done.rejected);
        assert!(!path.exists(), "{why}: it would be refused again at every look");
        let kept = fs::read_dir(store.dir().rejected()).unwrap().count();
        assert_eq!(kept, 2, "{why}: the bytes and the reason");
    }
}
