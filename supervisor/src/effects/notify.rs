//! Telling a service manager how we are: one datagram per word on the socket named by `NOTIFY_SOCKET`, no library needed.
//!
//! `READY=1` once the directory is ours and the instances were asked to start, `WATCHDOG=1` from the one loop (a loop that
//! hangs is a supervisor that hangs), `STATUS=` when the counts change, `STOPPING=1` when everything is to end. Without a socket
//! nothing is said; a manager that does not listen is no trouble of ours. Instances never see the variables.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tachi_shared::clock::Mono;

/// A service manager that listens, or nobody.
#[derive(Debug)]
pub(super) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often the manager hears that the loop goes round.
    every: Option<Duration>,
    due: Mono,
    status: String,
    told: Told,
}

/// What has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Ready,
    Stopping,
}

impl Notify {
    /// Reads the environment.
    pub(super) fn open() -> Self {
        let text = |name: &str| std::env::var(name).ok();
        let socket = text("NOTIFY_SOCKET").and_then(|name| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address(&name)?))
        });
        let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        // Half of what is allowed, so that one late round is forgiven.
        let every = number("WATCHDOG_USEC").filter(|_| ours && socket.is_some()).map(|us| us / 2);
        let every = every.filter(|us| *us > 0).map(Duration::from_micros);
        Self { socket, every, due: Mono::ZERO, status: String::new(), told: Told::Nothing }
    }

    /// When the manager must hear from us again.
    pub(super) fn due(&self) -> Option<Mono> {
        self.every.map(|_| self.due)
    }

    /// One round of the loop; `status` is asked for only if somebody listens.
    pub(super) fn round(&mut self, now: Mono, ending: bool, status: impl FnOnce() -> String) {
        if self.socket.is_none() {
            return;
        }
        if self.told == Told::Nothing {
            self.told = Told::Ready;
            self.say("READY=1");
        }
        if ending && self.told < Told::Stopping {
            self.told = Told::Stopping;
            self.say("STOPPING=1");
        }
        if let Some(every) = self.every.filter(|_| self.due <= now) {
            self.due = now.after(every);
            self.say("WATCHDOG=1");
        }
        let status = status();
        if status != self.status {
            self.say(&format!("STATUS={status}"));
            self.status = status;
        }
    }

    fn say(&self, text: &str) {
        if let Some((socket, address)) = &self.socket {
            // Full or gone: the next word comes.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

/// A path, or a name of the abstract space behind `@`.
fn address(name: &str) -> Option<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(name).ok(),
    }
}
