//! The mark every instance carries in its environment, and by which what it left behind is recognised.
//!
//! The environment a process was started with is inherited by everything it starts, survives `setsid` and double forks,
//! and can be read by the same user. It proves *ours*: the state directory is part of it, so another fleet's processes,
//! and instances of the same name elsewhere, never match.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tachi_shared::id::{Incarnation, InstanceId};

/// Who started a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The instance it belongs to.
    pub(super) id: InstanceId,
    /// And which start of it.
    pub(super) incarnation: Incarnation,
}

/// Reads the mark of a process; `None` if it has none of this state directory, or cannot be read.
pub(super) fn read(pid: u32, state: &Path) -> Option<Mark> {
    parse(&fs::read(format!("/proc/{pid}/environ")).ok()?, state)
}

fn parse(environ: &[u8], state: &Path) -> Option<Mark> {
    let value = |name: &[u8]| {
        environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
    };
    if Path::new(OsStr::from_bytes(value(b"TACHI_STATE_DIR")?)) != state {
        return None;
    }
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let id = InstanceId::new(text(value(b"TACHI_INSTANCE_ID")?)?).ok()?;
    let incarnation = text(value(b"TACHI_INCARNATION")?)?.parse().ok()?;
    Some(Mark { id, incarnation: Incarnation(incarnation) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRON: &[u8] =
        b"A=1\0TACHI_STATE_DIR=/s\0TACHI_INSTANCE_ID=instance_1\0TACHI_INCARNATION=7\0XTACHI_STATE_DIR=/t\0";

    #[test]
    fn a_mark_names_instance_and_start() {
        let mark = parse(ENVIRON, Path::new("/s"));
        let id = InstanceId::new("instance_1").unwrap();
        assert_eq!(mark, Some(Mark { id, incarnation: Incarnation(7) }));
    }

    #[test]
    fn another_fleets_instance_of_the_same_name_is_a_stranger() {
        assert_eq!(parse(ENVIRON, Path::new("/t")), None);
        assert_eq!(
            parse(b"TACHI_STATE_DIR=/s\0TACHI_INSTANCE_ID=../x\0TACHI_INCARNATION=1\0", Path::new("/s")),
            None
        );
        assert_eq!(parse(b"", Path::new("/s")), None);
    }
}
