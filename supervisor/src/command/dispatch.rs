//! From the command line to the verb, and from its outcome to the exit code.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use super::context::Context;
use super::printer;
use super::{
    apply, check, completions, doctor, down, edit, events, history, inbox, kill, logs, memory, messages,
    pause, reset, restart, resume, rolling, scale, send, start, status, stop, unit, up, why,
};
use crate::args::{Cli, Color, Hold, Verb};
use crate::error::{Error, Result, exit};
use crate::{effects, render};

/// The whole program: parses, runs, says what went wrong, returns the exit code.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Hold::parse(&args) {
        Some(asked) => return told(effects::hold(&asked.id, &asked.command)),
        None => Cli::try_parse_from(args),
    };
    told(match cli {
        Ok(cli) => run(cli),
        Err(error) if !error.use_stderr() => {
            printer::text(&error.render().ansi().to_string()).map(|()| exit::OK)
        }
        Err(error) => Err(usage(&error)),
    })
}

/// The exit code, and what went wrong said.
fn told(outcome: Result<u8>) -> u8 {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            if !matches!(error, Error::BrokenPipe) {
                printer::complain(&complaint(&error));
            }
            error.exit_code()
        }
    }
}

/// Runs one verb.
///
/// # Errors
/// Whatever the verb meets; the exit code is in the error.
pub fn run(cli: Cli) -> Result<u8> {
    match cli.global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let context = Context::new(&cli.global);
    match &cli.verb {
        Verb::Up(args) => up::run(&context, args),
        Verb::Down(args) => down::run(&context, args),
        Verb::Status(args) => status::run(&context, args),
        Verb::Start(args) => start::run(&context, args),
        Verb::Stop(args) => stop::run(&context, args),
        Verb::Restart(args) => restart::run(&context, args),
        Verb::Rolling(args) => rolling::run(&context, args),
        Verb::Reset(args) => reset::run(&context, args),
        Verb::Apply(args) => apply::run(&context, args),
        Verb::Kill(args) => kill::run(&context, args),
        Verb::Scale(args) => scale::run(&context, args),
        Verb::Pause(args) => pause::run(&context, args),
        Verb::Resume(args) => resume::run(&context, args),
        Verb::Why(args) => why::run(&context, args),
        Verb::History(args) => history::run(&context, args),
        Verb::Logs(args) => logs::run(&context, args),
        Verb::Events(args) => events::run(&context, args),
        Verb::Send(args) => send::run(&context, args),
        Verb::Inbox(args) => inbox::run(&context, args),
        Verb::Messages(args) => messages::run(&context, args),
        Verb::Memory(args) => memory::run(&context, args),
        Verb::Edit(args) => edit::run(&context, args),
        Verb::Check(args) => check::run(&context, args),
        Verb::Doctor { fix } => doctor::run(&context, *fix),
        Verb::Unit { up, system } => unit::run(&context, up, *system),
        Verb::Completions { shell } => completions::run(*shell),
    }
}

/// `tachi: what: why; next: …`, on one line whatever the error carries.
fn complaint(error: &Error) -> String {
    let what = render::text::clean(&error.to_string());
    match error.hint() {
        Some(hint) => format!("tachi: {what}; next: {}", render::text::clean(&hint)),
        None => format!("tachi: {what}"),
    }
}

/// What clap has to say, on one line.
fn usage(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == ErrorKind::MissingSubcommand
    {
        return Error::usage("no verb given", "tachi --help, or `tachi up` to start a fleet");
    }
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let more: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let message = format!("{} {}", first.strip_prefix("error: ").unwrap_or(first), more.join(" "));
    let tip = lines.find_map(|line| line.strip_prefix("tip: ")).map(str::to_owned);
    let verb = std::env::args().nth(1).filter(|verb| !verb.starts_with('-')).filter(|_| tip.is_none());
    let help = verb.map_or_else(|| "tachi --help".to_owned(), |verb| format!("tachi {verb} --help"));
    Error::usage(message.trim().to_owned(), tip.unwrap_or(help))
}
