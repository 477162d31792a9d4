//! Whether a command is ready: looked at by its holder until the sign was seen once, and never again.
//!
//! A port is tried on the loopback interface, a command is run, a line of output is compared as it passes. How long all
//! this may take is the supervisor's business: it ends what does not become ready in time.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tachi_shared::clock::Mono;

use super::signals;
use crate::settings::{Probe, Sign};

/// Variable that tells a holder what to look for.
pub(super) const VARIABLE: &str = "TACHI_READY";
/// A port of this machine answers at once or not at all.
const CONNECT: Duration = Duration::from_millis(100);
/// A command that looks longer than this has not seen it.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// A sign that has not been seen yet.
#[derive(Debug)]
pub(super) struct Probing {
    probe: Probe,
    due: Mono,
    /// The command that is looking, and when it is given up.
    looking: Option<(Pid, Mono)>,
}

impl Probing {
    /// What the environment asks for, with the first look at once.
    pub(super) fn read(now: Mono) -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        let mut probe: Probe = serde_json::from_str(&text).ok()?;
        if let Sign::Port(port @ 0) = &mut probe.sign {
            *port = std::env::var("TACHI_PORT").ok()?.parse().ok()?;
        }
        Some(Self { probe, due: now, looking: None })
    }

    /// What is waited for, for people.
    pub(super) fn words(&self) -> String {
        match &self.probe.sign {
            Sign::Port(port) => format!("Waiting for port {port}"),
            Sign::Command(argv) => format!("Waiting for {} to succeed", argv.join(" ")),
            Sign::Log(text) => format!("Waiting for a line with {text:?}"),
        }
    }

    /// Text that a line of output must hold.
    pub(super) fn needle(&self) -> Option<&str> {
        match &self.probe.sign {
            Sign::Log(text) => Some(text),
            Sign::Port(_) | Sign::Command(_) => None,
        }
    }

    /// When to look next; output and the end of a command wake by themselves.
    pub(super) fn due(&self) -> Option<Mono> {
        match (&self.probe.sign, self.looking) {
            (Sign::Log(_), _) => None,
            (_, Some((_, until))) => Some(until),
            (_, None) => Some(self.due),
        }
    }

    /// Looks if it is time; whether the sign was seen.
    pub(super) fn look(&mut self, now: Mono) -> bool {
        if self.due().is_none_or(|due| due > now) {
            return false;
        }
        self.due = now.after(self.probe.every);
        if let Some((pid, _)) = self.looking.take() {
            // Gone already is as good; it is reaped like any child.
            let _ = kill_process_group(pid, Signal::KILL);
            return false;
        }
        match &self.probe.sign {
            Sign::Port(port) => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                TcpStream::connect_timeout(&address, CONNECT).is_ok()
            }
            Sign::Command(argv) => {
                self.looking = start(argv).map(|pid| (pid, now.after(LOOK_MAX)));
                false
            }
            Sign::Log(_) => false,
        }
    }

    /// A child has ended: whether it was the one that was looking, and saw the sign.
    pub(super) fn ended(&mut self, pid: Pid, code: Option<i32>) -> bool {
        self.looking.take_if(|(looking, _)| *looking == pid).is_some() && code == Some(0)
    }
}

/// Starts the command that looks; one that cannot be started has seen nothing.
fn start(argv: &[String]) -> Option<Pid> {
    use std::os::unix::process::CommandExt as _;
    let (program, arguments) = argv.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    super::hold::without_our_words(&mut command);
    let child = signals::unblocked(|| command.spawn()).ok()?.ok()?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
