//! stub
use crate::id::ProcessRef;
/// This kernel boot's id (`/proc/sys/kernel/random/boot_id`).
#[must_use]
pub fn boot_id() -> String {
    todo!()
}
/// The calling process.
#[must_use]
pub fn current() -> ProcessRef {
    todo!()
}
/// A process by pid, if it lives (zombies do not).
#[must_use]
pub fn find(_pid: u32) -> Option<ProcessRef> {
    todo!()
}
