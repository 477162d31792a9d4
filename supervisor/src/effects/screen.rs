//! What a person sees of a running fleet: nothing, lines, or a live table.
//!
//! The loop only hands over; a thread prints. The channel between them is bounded and full means dropped, so neither a
//! slow terminal nor a reader that went away ever holds the loop up.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tachi_shared::clock;
use tachi_shared::event::Event;
use tachi_shared::registry::Row;

use crate::render::line;

/// Updates waiting to be printed; what does not fit is dropped.
const WAITING_MAX: usize = 1024;
/// Shortest time between two redraws of the table.
const REDRAW_EVERY: Duration = Duration::from_millis(250);
/// Ages in the table are renewed this often when nothing happens.
const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Lines have nothing to renew.
const NEVER: Duration = Duration::from_secs(86_400);
/// Events kept for the table.
const EVENTS_KEPT: usize = 8;
/// Patience with the terminal at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Width of a terminal that does not tell, in columns.
const COLUMNS: usize = 80;

/// Turns rows and newest events into the lines of a table; told the width of the terminal. Runs on the screen's thread.
pub type Draw = Box<dyn Fn(&[Row], &[Event], usize) -> String + Send>;

#[derive(Debug)]
enum Update {
    Note(String),
    Event(Box<Event>),
    Rows(Vec<Row>),
    Resized,
    End,
}

/// How it is shown.
enum Mode {
    Silent,
    Lines,
    Live(Draw),
}

/// A thread that prints.
struct Printer {
    updates: SyncSender<Update>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// The screen of one supervisor.
pub struct Screen {
    mode: Mode,
    live: bool,
    printer: Option<Printer>,
}

impl Screen {
    /// Shows nothing (detached: the supervisor's log has it all).
    #[must_use]
    pub fn silent() -> Self {
        Self { mode: Mode::Silent, live: false, printer: None }
    }

    /// One plain line per event.
    #[must_use]
    pub fn lines() -> Self {
        Self { mode: Mode::Lines, live: false, printer: None }
    }

    /// A table that is redrawn when something changes, at most four times a second.
    #[must_use]
    pub fn live(draw: Draw) -> Self {
        Self { mode: Mode::Live(draw), live: true, printer: None }
    }

    /// Starts to show. Must come after the signals were blocked, so that none is delivered to the thread.
    pub(super) fn begin(&mut self) {
        let draw = match std::mem::replace(&mut self.mode, Mode::Silent) {
            Mode::Silent => return,
            Mode::Lines => None,
            Mode::Live(draw) => Some(draw),
        };
        let (updates, receiver) = sync_channel(WAITING_MAX);
        let (end, ended) = sync_channel(1);
        let show = move || {
            Shower { draw, rows: Vec::new(), events: Vec::new(), drawn: 0, dirty: false }.run(&receiver);
            let _ = end.send(());
        };
        // Without a thread nothing is shown; the fleet runs on.
        let thread = std::thread::Builder::new().name("screen".to_owned()).spawn(show);
        self.printer = thread.ok().map(|thread| Printer { updates, ended, thread });
    }

    /// One line for people that is no event.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.tell(Update::Note(text.into()));
    }

    /// Something was recorded.
    pub(super) fn event(&self, event: &Event) {
        self.tell(Update::Event(Box::new(event.clone())));
    }

    /// The rows changed.
    pub(super) fn rows(&self, rows: impl FnOnce() -> Vec<Row>) {
        if self.live {
            self.tell(Update::Rows(rows()));
        }
    }

    /// The terminal has another size.
    pub(super) fn resized(&self) {
        self.tell(Update::Resized);
    }

    /// Shows what is left and ends; a terminal that takes no more is left behind.
    pub(super) fn end(&mut self) {
        self.tell(Update::End);
        if let Some(printer) = self.printer.take()
            && printer.ended.recv_timeout(LAST_WORDS).is_ok()
        {
            let _ = printer.thread.join();
        }
    }

    fn tell(&self, update: Update) {
        if let Some(printer) = &self.printer {
            let _ = printer.updates.try_send(update);
        }
    }
}

/// The thread's side: a table with `draw`, lines without.
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
            Update::Event(event) if self.draw.is_none() => {
                self.print(&line::event(&event, clock::now().wall));
            }
            Update::Event(event) => {
                if self.events.len() == EVENTS_KEPT {
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
        let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map(|size| usize::from(size.ws_col));
        let columns = columns.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS);
        let text = draw(&self.rows, &self.events, columns);
        let text = text.trim_end_matches('\n');
        let erase = erase(std::mem::replace(&mut self.drawn, text.lines().count()));
        let mut out = anstream::stdout();
        let _ = writeln!(out, "{erase}{text}");
        let _ = out.flush();
    }
}

/// Takes back the lines of the last table.
fn erase(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}
