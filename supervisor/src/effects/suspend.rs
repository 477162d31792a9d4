//! Ctrl-Z: instances lead sessions of their own and would not notice, so they are stopped first, then we stop ourselves.
//!
//! Whoever continues us (`fg`) continues them. Meanwhile no time passes for anybody: the mind finds itself late and lets all
//! silence count anew. Without a terminal nobody could ever continue us, and the signal means nothing.

use rustix::process::{Signal, getpid, kill_process};
use tachi_shared::id::InstanceId;

use super::run_loop::Supervisor;
use super::table::{CONT, STOP};

impl Supervisor {
    /// Stops everybody who runs, and us, until somebody continues us.
    pub(super) fn suspend(&mut self) {
        let running = self.table.iter_mut().filter(|(_, leader)| !leader.frozen);
        // Whoever cannot be stopped is dead or dying.
        let stopped: Vec<InstanceId> = running
            .filter_map(|(id, leader)| leader.signal(STOP).unwrap_or(false).then(|| id.clone()))
            .collect();
        let _ = kill_process(getpid(), Signal::STOP);
        // Here again.
        for id in stopped {
            if let Some(leader) = self.table.get_mut(&id) {
                let _ = leader.signal(CONT);
            }
        }
    }
}
