//! What a person sees of a running fleet: lines, or a live table.
//!
//! The loop only hands over; a thread prints. The channel between them is bounded and full means dropped, so neither a
//! slow terminal nor a reader that went away ever holds the loop up.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tachi_shared::event::Event;
use tachi_shared::registry::Row;

/// Updates waiting to be printed; what does not fit is dropped.
const WAITING_MAX: usize = 1024;
/// Shortest time between two redraws of the table.
const REDRAW_EVERY: Duration = Duration::from_millis(250);
/// Ages in the table are renewed this often when nothing happens.
const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Lines have nothing to renew.
const NEVER: Duration = Duration::from_secs(86_400);
/// Events shown below the table.
const EVENTS_SHOWN: usize = 8;
/// Patience with the terminal at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Turns rows and newest events into the lines of a table; told the width of the terminal.
pub type Draw = Box<dyn Fn(&[Row], &[Event], usize) -> String + Send>;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Silent,
    Lines,
    Live,
}

#[derive(Debug)]
enum Update {
    Note(String),
    Event(Box<Event>),
    Rows(Vec<Row>),
    Resized,
    End,
}

/// The screen of one `up`.
pub struct Screen {
    mode: Mode,
    draw: Option<Draw>,
    thread: Option<(SyncSender<Update>, Receiver<()>, JoinHandle<()>)>,
}

impl Screen {
    /// Shows nothing (detached: the supervisor's log has it all).
    #[must_use]
    pub fn silent() -> Self {
        Self { mode: Mode::Silent, draw: None, thread: None }
    }

    /// One plain line per event.
    #[must_use]
    pub fn lines() -> Self {
        Self { mode: Mode::Lines, draw: None, thread: None }
    }

    /// A table that is redrawn when something changes.
    #[must_use]
    pub fn live(draw: Draw) -> Self {
        Self { mode: Mode::Live, draw: Some(draw), thread: None }
    }

    /// Starts to show. Must come after the signals were blocked, so that none is delivered to the thread.
    pub(super) fn begin(&mut self) {
        if self.mode == Mode::Silent || self.thread.is_some() {
            return;
        }
        let draw = self.draw.take();
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let (done, ended) = sync_channel(1);
        let show = move || {
            Shower { draw, rows: Vec::new(), events: Vec::new(), drawn: 0, dirty: false }.run(&receiver);
            let _ = done.send(());
        };
        // Without a thread nothing is shown; the fleet runs on.
        if let Ok(thread) = std::thread::Builder::new().name("screen".to_owned()).spawn(show) {
            self.thread = Some((sender, ended, thread));
        }
    }

    /// One line for people that is no event.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.tell(|| Update::Note(text.into()));
    }

    /// Something was recorded.
    pub(super) fn event(&self, event: &Event) {
        self.tell(|| Update::Event(Box::new(event.clone())));
    }

    /// The rows changed.
    pub(super) fn rows(&self, rows: &[Row]) {
        if self.mode == Mode::Live {
            self.tell(|| Update::Rows(rows.to_vec()));
        }
    }

    /// The terminal has another size.
    pub(super) fn resized(&self) {
        self.tell(|| Update::Resized);
    }

    /// Shows what is left and ends; a terminal that takes no more is left behind.
    pub(super) fn end(&mut self) {
        if let Some((sender, ended, thread)) = self.thread.take() {
            let _ = sender.try_send(Update::End);
            drop(sender);
            if ended.recv_timeout(LAST_WORDS).is_ok() {
                let _ = thread.join();
            }
        }
    }

    fn tell(&self, update: impl FnOnce() -> Update) {
        if let Some((sender, _, _)) = &self.thread {
            let _ = sender.try_send(update());
        }
    }
}

/// One event as a line.
pub(super) fn line(event: &Event) -> String {
    let who = event.instance.as_ref().map(|id| format!("{id} ")).unwrap_or_default();
    format!("{} {:<12} {who}{}", event.timestamp.time_of_day(), event.kind, event.text)
}

/// The thread's side: lines without `draw`, a table with it.
struct Shower {
    draw: Option<Draw>,
    rows: Vec<Row>,
    events: Vec<Event>,
    drawn: usize,
    dirty: bool,
}

impl Shower {
    fn run(mut self, updates: &Receiver<Update>) {
        let mut next = Instant::now();
        loop {
            let idle = if self.draw.is_some() { REFRESH_EVERY } else { NEVER };
            let wait = if self.dirty { next.saturating_duration_since(Instant::now()) } else { idle };
            match updates.recv_timeout(wait) {
                Ok(Update::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(update) => self.take(update),
                Err(RecvTimeoutError::Timeout) => self.dirty = !self.rows.is_empty(),
            }
            if self.dirty && Instant::now() >= next {
                self.show();
                next = Instant::now() + REDRAW_EVERY;
            }
        }
        self.show();
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Note(text) => self.print(&text),
            Update::Event(event) if self.draw.is_none() => self.print(&line(&event)),
            Update::Event(event) => {
                if self.events.len() == EVENTS_SHOWN {
                    self.events.remove(0);
                }
                self.events.push(*event);
                self.dirty = true;
            }
            Update::Rows(rows) => {
                self.rows = rows;
                self.dirty = true;
            }
            Update::Resized => self.dirty = !self.rows.is_empty(),
            Update::End => {}
        }
    }

    /// Prints a line, above the table if there is one.
    fn print(&mut self, text: &str) {
        let erase = erase(std::mem::take(&mut self.drawn));
        // A reader that went away is no reason to end a fleet.
        let _ = writeln!(anstream::stdout(), "{erase}{text}");
        self.dirty |= self.draw.is_some();
    }

    fn show(&mut self) {
        let Some(draw) = self.draw.as_ref().filter(|_| std::mem::take(&mut self.dirty)) else { return };
        let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(80, |size| usize::from(size.ws_col));
        let text = draw(&self.rows, &self.events, width.max(20));
        let erase = erase(self.drawn);
        self.drawn = text.lines().count();
        let mut out = anstream::stdout();
        let _ = writeln!(out, "{erase}{}", text.trim_end_matches('\n'));
        let _ = out.flush();
    }
}

/// Takes back the lines of the last table.
fn erase(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}
