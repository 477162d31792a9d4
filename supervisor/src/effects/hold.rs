//! `tachi __hold`: the small parent of an instance that is not our worker.
//!
//! It is for a command what a worker is for itself: session leader, subreaper of everything the command starts, keeper of
//! the alive lock, the log, the state file and the last words. It reads the command's output through pipes, so the log
//! outlives the supervisor and is rotated. A signal it gets goes to the command's group. When the command has ended by
//! itself, so does the holder, with its code (or 128 + signal); asked to end, it ends when its tree is empty.
//!
//! Grace is the supervisor's business; without a supervisor it is kept here. Deliberately absent: restarting anything.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal as Received;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    setsid, waitid,
};
use tachi_shared::clock::{Mono, now};
use tachi_shared::id::{InstanceId, ProcessRef};
use tachi_shared::layout::StateDir;
use tachi_shared::os::doorbell::{Ring, ring};
use tachi_shared::os::{AliveLock, limits, process};
use tachi_shared::store::Store;

use super::held::{End, Files, Given};
use super::output::Output;
use super::probe::{self, Probing};
use super::rotate::{Rotated, SIZE};
use super::signals;
use crate::error::{Error, Result};

/// How long output may still come after the command has ended (something it left holds the pipe).
const DRAIN: Duration = Duration::from_millis(100);
/// Between two looks for a new supervisor while there is none.
const ORPHAN_TICK: Duration = Duration::from_secs(1);
/// Between two rounds of killing what does not end at once.
const KILL_TICK: Duration = Duration::from_millis(50);
/// How much longer than its grace a holder waits before it kills by itself: the supervisor comes first.
const AFTER_SUPERVISOR: Duration = Duration::from_secs(2);
/// Rounds a wait up, so that a look is due when we wake for it.
const PROBE_LATE: Duration = Duration::from_micros(100);
/// Exit code when the instance's lock is held: somebody of this name lives already.
const HELD: u8 = 75;
/// Exit code when the command could not be started, as a shell has it.
const NOT_STARTED: u8 = 127;

/// Runs `argv` as instance `id` until it ends; returns the exit code.
///
/// # Errors
/// [`Error::Store`] when the environment names no state directory, [`Error::System`] when signals cannot be listened to.
pub fn hold(id: &InstanceId, argv: &[String]) -> Result<u8> {
    close_inherited();
    let signals = signals::holder()?;
    let given = Given::read(id)?;
    // Refused only if we lead a session already, which is what is wanted.
    let _ = setsid();
    set_child_subreaper(Some(getpid())).map_err(|e| Error::system("become a subreaper", e.into()))?;
    let store = Store::open(&given.state)?;
    let mut log = Rotated::open(&store.dir().log_file(id), SIZE);
    let _alive = match AliveLock::take(&store.dir().alive(id)) {
        Ok(alive) => alive,
        Err(error) => {
            log.write(format!("tachi: {error}\n").as_bytes());
            return Ok(HELD);
        }
    };
    for words in limits::take_over() {
        log.write(format!("tachi: {words}\n").as_bytes());
    }
    let mut child = match signals::unblocked(|| start(argv))? {
        Ok(child) => child,
        Err(error) => {
            let words = format!("cannot run {}: {error}", argv.first().map_or("nothing", String::as_str));
            log.write(format!("tachi: {words}\n").as_bytes());
            let end = End::Code(i32::from(NOT_STARTED));
            Files::new(&store, id, &given, &process::current(), now()).ended(
                end,
                &format!("error: {words}"),
                Some(words),
                now().wall,
            );
            return Ok(NOT_STARTED);
        }
    };
    let pid_start = process::stat(child.id()).map_or(0, |stat| stat.start);
    let command = ProcessRef { pid: child.id(), pid_start, boot_id: process::boot_id() };
    let mut files = Files::new(&store, id, &given, &command, now());
    let (mut out, mut err) = (Output::new(child.stdout.take()), Output::new(child.stderr.take()));
    let probing = Probing::read(now().mono);
    if let Some(probing) = &probing {
        files.not_ready(probing.words());
        out.look_for(probing.needle());
        err.look_for(probing.needle());
    }
    let pid = raw_pid(&child);
    let supervisor = supervisor_of(store.dir());
    let mut holder = Holder {
        dir: store.dir().clone(),
        given,
        signals,
        pid,
        files,
        log,
        out,
        err,
        supervisor,
        orphaned: None,
        asked: None,
        requested: false,
        end: None,
        last_line: None,
        probing,
    };
    Ok(holder.run())
}

/// Descriptors that leaked through the supervisor from whoever started it are nobody's here. Nothing of ours is open yet.
fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one the list was read with is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

fn start(argv: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    without_our_words(&mut command);
    command.spawn()
}

/// What the supervisor told the holder is not for the command.
pub(super) fn without_our_words(command: &mut Command) {
    for ours in [limits::OPEN_FILES, limits::LIMITS, probe::VARIABLE, "TACHI_STOP_SIGNAL", "TACHI_GRACE_MS"] {
        command.env_remove(ours);
    }
}

fn raw_pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// The living supervisor, pinned.
fn supervisor_of(dir: &StateDir) -> Option<OwnedFd> {
    let holder = AliveLock::holder(&dir.supervisor_alive()).and_then(process::find)?;
    process::open_pidfd(&holder).ok().flatten()
}

/// A running command.
struct Holder {
    dir: StateDir,
    given: Given,
    signals: SignalFd,
    pid: Option<Pid>,
    files: Files,
    log: Rotated,
    out: Output<ChildStdout>,
    err: Output<ChildStderr>,
    supervisor: Option<OwnedFd>,
    /// Since when there has been no supervisor.
    orphaned: Option<Mono>,
    /// To end: when to kill.
    asked: Option<Mono>,
    /// Whether somebody asked for that.
    requested: bool,
    end: Option<End>,
    last_line: Option<String>,
    /// The sign of readiness, until it was seen.
    probing: Option<Probing>,
}

impl Holder {
    fn run(&mut self) -> u8 {
        let told = self.files.running();
        ring(&self.dir.supervisor_doorbell(), Ring::Instance);
        let mut untold = !told;
        let end = loop {
            self.wait(untold);
            if untold && self.files.running() {
                untold = false;
                ring(&self.dir.supervisor_doorbell(), Ring::Instance);
            }
            self.out.copy(&mut self.log, &mut self.last_line);
            self.err.copy(&mut self.log, &mut self.last_line);
            for signal in signals::take(&self.signals) {
                self.receive(signal);
            }
            self.look_for_supervisor();
            let looked = self.reap();
            untold |= self.is_ready_now(looked);
            self.kill_if_due();
            if let Some(end) = self.end
                && (self.asked.is_none() || process::children().is_empty())
            {
                break end;
            }
        };
        self.drain();
        let reason = if self.requested { "requested" } else { "ended" };
        // Our own end says it to the supervisor: a ring would only make it read the state file first.
        self.files.ended(end, reason, self.last_line.take(), now().wall);
        // Whoever starts it again at once waits for our end: two files cost it a third of the time.
        if self.requested || self.supervisor.is_none() {
            self.files.rests();
        }
        end.code()
    }

    /// Sleeps until something happens or is due.
    fn wait(&self, untold: bool) {
        let at = now().mono;
        let kill = self.asked.map(|at_kill| at_kill.since(at).max(KILL_TICK));
        let look = (self.orphaned.is_some() || self.supervisor.is_none() || untold).then_some(ORPHAN_TICK);
        let probe = self.probing.as_ref().and_then(Probing::due).map(|due| due.since(at) + PROBE_LATE);
        let timeout = [kill, look, probe].into_iter().flatten().min().map(|wait| Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        let fds = [
            Some(self.signals.as_fd()),
            self.out.fd(),
            self.err.fd(),
            self.supervisor.as_ref().map(AsFd::as_fd),
        ];
        let fds: Vec<_> = fds.into_iter().flatten().collect();
        let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        // An error (interrupted) is an early wake-up; everything is looked at anyway.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    fn receive(&mut self, signal: Received) {
        match signal {
            Received::SIGCHLD | Received::SIGWINCH => {}
            Received::SIGTERM => self.ask(now().mono.after(self.given.grace + AFTER_SUPERVISOR)),
            other if other as i32 == self.given.stop_signal => {
                self.ask(now().mono.after(self.given.grace + AFTER_SUPERVISOR));
            }
            other => self.pass_on(other as i32),
        }
    }

    /// Asks the whole tree to end; whatever is left at `kill_at` is killed.
    fn ask(&mut self, kill_at: Mono) {
        self.requested = true;
        self.asked = Some(self.asked.map_or(kill_at, |earlier| earlier.min(kill_at)));
        self.pass_on(self.given.stop_signal);
        for child in strays(self.pid) {
            signal_child(child, self.given.stop_signal);
            signal_child(child, Signal::CONT.as_raw());
        }
        self.pass_on(Signal::CONT.as_raw());
    }

    /// Signals the command's group: its number is its own as long as the command is not reaped.
    fn pass_on(&self, number: i32) {
        if let (Some(pid), None, Some(signal)) = (self.pid, self.end, Signal::from_named_raw(number)) {
            // Gone already is as good.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Whether the sign of readiness has been seen just now; a command that ended is not ready.
    fn is_ready_now(&mut self, looked: bool) -> bool {
        let Some(probing) = self.probing.as_mut().filter(|_| self.end.is_none()) else { return false };
        if !(looked || self.out.found() || self.err.found() || probing.look(now().mono)) {
            return false;
        }
        self.probing = None;
        self.files.ready(now().wall);
        let told = self.files.running();
        ring(&self.dir.supervisor_doorbell(), Ring::Instance);
        !told
    }

    /// Reaps whoever died; whether one of them has seen the sign of readiness.
    fn reap(&mut self) -> bool {
        if let Some(pid) = self.pid.filter(|_| self.end.is_none())
            && let Ok(Some(status)) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
        {
            self.end = Some(match status.terminating_signal() {
                Some(number) => End::Signal(number),
                None => End::Code(status.exit_status().unwrap_or(1)),
            });
            if self.asked.is_some() {
                strays(None).into_iter().for_each(|child| signal_child(child, self.given.stop_signal));
            } else if self.supervisor.is_none() {
                // Nobody else will clear up behind it.
                self.asked = Some(now().mono);
            }
        }
        let mut looked = false;
        for child in strays(self.pid.filter(|_| self.end.is_none())) {
            let status = waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            if let (Ok(Some(status)), Some(probing)) = (status, self.probing.as_mut()) {
                looked |= probing.ended(child, status.exit_status());
            }
        }
        looked
    }

    /// Kills everything once grace is over.
    fn kill_if_due(&self) {
        if self.asked.is_some_and(|at| at <= now().mono) {
            self.pass_on(Signal::KILL.as_raw());
            strays(None).into_iter().for_each(|child| signal_child(child, Signal::KILL.as_raw()));
        }
    }

    /// Notices that the supervisor has died, and that there is a new one.
    fn look_for_supervisor(&mut self) {
        let gone = |fd: &OwnedFd| {
            let mut fds = [PollFd::new(fd, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
        };
        if self.supervisor.as_ref().is_some_and(|fd| !gone(fd)) {
            return;
        }
        let at = now().mono;
        self.supervisor = supervisor_of(&self.dir).filter(|fd| !gone(fd));
        if self.supervisor.is_some() {
            self.orphaned = None;
            return;
        }
        let since = *self.orphaned.get_or_insert(at);
        let over = at.since(since) >= self.given.orphan_grace || self.given.stop_on_loss;
        if over && self.asked.is_none() {
            self.log.write(b"tachi: no supervisor, ending\n");
            self.ask(at.after(self.given.grace));
        }
    }

    /// Takes the last output, for a moment.
    fn drain(&mut self) {
        let until = now().mono.after(DRAIN);
        while self.out.fd().is_some() || self.err.fd().is_some() {
            let left = until.since(now().mono);
            if left.is_zero() {
                break;
            }
            let fds: Vec<_> = [self.out.fd(), self.err.fd()].into_iter().flatten().collect();
            let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) }));
            self.out.copy(&mut self.log, &mut self.last_line);
            self.err.copy(&mut self.log, &mut self.last_line);
        }
        self.out.end(&mut self.log, &mut self.last_line);
        self.err.end(&mut self.log, &mut self.last_line);
    }
}

/// Our children but one: they are not reaped before we do it, so their pids are their own.
fn strays(except: Option<Pid>) -> Vec<Pid> {
    let all =
        process::children().into_iter().filter_map(|pid| i32::try_from(pid).ok().and_then(Pid::from_raw));
    all.filter(|pid| Some(*pid) != except).collect()
}

fn signal_child(child: Pid, number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        // Gone already is as good.
        let _ = kill_process(child, signal);
    }
}
