//! The command line as typed, one variant per verb. Nothing is judged here beyond its shape: `settings` settles it.
//!
//! Every verb shows examples under `--help`; `--state`, `--json` and `--color` are accepted by all.

mod hold;
mod talk;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::time;

pub use hold::Hold;
pub use talk::{Edit, Editable, Inbox, Memory, MemoryAction, Search, Send, Stream, Urgency};

/// Runs a team of agent processes on this machine and lets them work together through plain files.
#[derive(Debug, Parser)]
#[command(
    name = "tachi",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not ready (status --check), 4 no such instance or \
recipient, 5 no supervisor, 6 timed out, 7 directory held by another supervisor.\n\nExamples:\n  tachi up 4\n  \
tachi status\n  tachi send instance_2 'look at src/ first'\n  tachi down"
)]
pub struct Cli {
    /// What every verb accepts.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb accepts.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// State directory [default: the nearest one upwards, else ./state]
    #[arg(long, global = true, value_name = "DIR", env = "TACHI_STATE_DIR", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// Machine-readable output with a schema number
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Every verb.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a fleet and watch over it
    #[command(after_help = "Examples:\n  tachi up 4\n  tachi up 8 --workspace ~/src/project --detach\n  \
        tachi up --role explorer=3 --role builder=1\n  tachi up --config jobs.toml --until all-jobs-done")]
    Up(Up),
    /// End everything: instances, then the supervisor
    #[command(after_help = "Examples:\n  tachi down\n  tachi down --timeout 60s")]
    Down(Down),
    /// Show who runs, in which state, doing what
    #[command(
        visible_alias = "ps",
        after_help = "Examples:\n  tachi status\n  tachi status --watch\n  tachi status --check || tachi why \
        instance_2\n  tachi status --json | jq '.instances[].status'"
    )]
    Status(Status),
    /// Start stopped or failed instances
    #[command(after_help = "Examples:\n  tachi start instance_2\n  tachi start all")]
    Start(Targets),
    /// Stop instances and keep them down
    #[command(
        after_help = "Examples:\n  tachi stop instance_2\n  tachi stop builder\n  tachi stop 'gateway_*'"
    )]
    Stop(Targets),
    /// Replace instances by new processes
    #[command(after_help = "Examples:\n  tachi restart instance_1\n  tachi restart all --timeout 60s")]
    Restart(Targets),
    /// Replace instances one after the other, each only once the one before is ready again
    #[command(
        after_help = "Ends at the first that does not come back; the rest is not touched. Goes on in the supervisor when \
        you leave.\n\nExamples:\n  tachi rolling builder\n  tachi rolling all --timeout 30m"
    )]
    Rolling(Rolling),
    /// Forget what failures have cost: counters, waits, given up; who is down because of them starts
    #[command(after_help = "Examples:\n  tachi reset instance_2\n  tachi reset all")]
    Reset(Targets),
    /// Read the configuration again and carry out what changed; a bad one changes nothing
    #[command(
        after_help = "Added instances start, removed ones end and leave, changed ones are replaced; what only the supervisor \
        keeps (restart, backoff, limit, needs, ...) changes without a restart. Whom a person stopped stays down.\n\n\
        Examples:\n  tachi apply --dry-run\n  tachi apply"
    )]
    Apply(Apply),
    /// Send a signal; the instance comes back
    #[command(after_help = "Examples:\n  tachi kill instance_2\n  tachi kill -s TERM instance_2")]
    Kill(Kill),
    /// Have so many instances of a role
    #[command(after_help = "Examples:\n  tachi scale builder=3\n  tachi scale explorer=0")]
    Scale(Scale),
    /// Let instances idle; with --all end them and keep them ended
    #[command(after_help = "Examples:\n  tachi pause instance_2\n  tachi pause --all")]
    Pause(Pausing),
    /// Undo pause; with --all also clear the stop
    #[command(after_help = "Examples:\n  tachi resume instance_2\n  tachi resume --all")]
    Resume(Pausing),
    /// Say why an instance is in its state, and what comes next
    #[command(after_help = "Examples:\n  tachi why instance_2")]
    Why(One),
    /// Starts and deaths of one instance
    #[command(after_help = "Examples:\n  tachi history instance_2")]
    History(One),
    /// Output of the instances, merged
    #[command(
        after_help = "Examples:\n  tachi logs\n  tachi logs -f instance_1 instance_2\n  tachi logs --since 10m --grep error builder\n  tachi logs -n 100 \
        --no-prefix instance_1"
    )]
    Logs(Logs),
    /// Lifecycle of the fleet: starts, deaths with cause, commands
    #[command(after_help = "Examples:\n  tachi events\n  tachi events -f\n  tachi events -n 50 instance_2")]
    Events(Stream),
    /// Send a message to an instance, a role, everybody, or the operator
    #[command(
        after_help = "Recipients: an instance id, role:NAME, broadcast, operator.\n\nExamples:\n  tachi send \
        instance_2 'what did you find?'\n  tachi send role:builder 'stop at 5 pm' --priority urgent --expires 10m\n  git log -5 | tachi send broadcast -"
    )]
    Send(Send),
    /// Messages to the operator, or to one instance
    #[command(
        after_help = "Examples:\n  tachi inbox\n  tachi inbox instance_2\n  tachi inbox --wait --timeout 60s\n  \
        tachi inbox --sent"
    )]
    Inbox(Inbox),
    /// All messages
    #[command(
        after_help = "Examples:\n  tachi messages\n  tachi messages -f\n  tachi messages -n 100 instance_2"
    )]
    Messages(Stream),
    /// What the team knows: findings, decisions, learnings, facts
    #[command(
        after_help = "Examples:\n  tachi memory list findings\n  tachi memory add decision 'we keep JSON'\n  \
        tachi memory set release '{\"version\": 2}'\n  tachi memory get release\n  tachi memory search json\n  tachi memory search --kind decision --since \
        2d --until 1d"
    )]
    Memory(Memory),
    /// Edit the memory, or who is wanted how, with your editor: checked before it counts, merged with what others write
    #[command(
        after_help = "The editor is VISUAL, else EDITOR, else vi. Of the registry only `desired` of a row is an input: \
        running, paused or stopped.\n\nExamples:\n  tachi edit memory\n  tachi edit registry\n  EDITOR='code --wait' tachi \
        edit memory\n  EDITOR='sed -i s/staging/production/' tachi edit memory"
    )]
    Edit(Edit),
    /// Check the configuration and show what it amounts to
    #[command(
        after_help = "Examples:\n  tachi check\n  tachi check --config infrastructure/tachi.example.toml"
    )]
    Check(Up),
    /// Print a systemd unit for the fleet that `up` with the same arguments would start
    #[command(
        after_help = "Examples:\n  tachi unit 4 --state ~/fleet > ~/.config/systemd/user/tachi.service\n  \
        tachi unit --system --config /etc/tachi.toml"
    )]
    Unit {
        /// What `up` would get
        #[command(flatten)]
        up: Box<Up>,
        /// For the system's manager instead of the user's [default when run as root]
        #[arg(long)]
        system: bool,
    },
    /// Check that what lies in the state directory is whole, and say what to do where it is not
    #[command(after_help = "Examples:\n  tachi doctor\n  tachi doctor --fix\n  tachi doctor --json | jq .ok")]
    Doctor {
        /// Do what is safe: cut torn ends off, remove old temporary files and doorbells of nobody
        #[arg(long)]
        fix: bool,
    },
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  tachi completions bash > ~/.local/share/bash-completion/completions/tachi"
    )]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
}

/// `up` and `check`.
#[derive(Debug, Clone, Default, Args)]
pub struct Up {
    /// How many instances, 1 to 1000 [default: 3]
    #[arg(value_name = "N", allow_negative_numbers = true)]
    pub count: Option<String>,
    /// What the fleet works on [default: the git repository around here]
    #[arg(long, value_name = "DIR", env = "TACHI_WORKSPACE", hide_env_values = true)]
    pub workspace: Option<PathBuf>,
    /// What the team pursues
    #[arg(long, value_name = "TEXT")]
    pub goal: Option<String>,
    /// What thinks: builtin, or a name from the configuration
    #[arg(long, value_name = "NAME", env = "TACHI_BACKEND", hide_env_values = true)]
    pub backend: Option<String>,
    /// So many of a role; repeatable, the rest of N follows the usual cycle
    #[arg(long = "role", value_name = "ROLE=N")]
    pub roles: Vec<String>,
    /// Configuration file [default: the nearest tachi.toml upwards]
    #[arg(long, value_name = "FILE", env = "TACHI_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Return when all are ready; the fleet stays
    #[arg(long)]
    pub detach: bool,
    /// When the run is over by itself; exit code 1 if an instance was given up
    #[arg(long, value_name = "CONDITION", default_value = "stopped")]
    pub until: Until,
    /// Keep a stop that is latched (for service units)
    #[arg(long)]
    pub keep_stop: bool,
    /// Use a state directory on a network file system (locks and wake-ups reach no other machine)
    #[arg(long)]
    pub allow_network_fs: bool,
    /// We are the process behind --detach.
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// `--until` of `up`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// When it is stopped.
    #[default]
    Stopped,
    /// When every job (restart = "job") has succeeded or was given up.
    AllJobsDone,
    /// When the first instance is given up.
    AnyFailed,
}

/// `down`.
#[derive(Debug, Args)]
pub struct Down {
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    pub timeout: Duration,
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Exit 3 unless everything that should run is ready
    #[arg(long)]
    pub check: bool,
    /// Draw again whenever something changes
    #[arg(long, short = 'w')]
    pub watch: bool,
}

/// Verbs on a selection.
#[derive(Debug, Args)]
pub struct Targets {
    /// Instance id, role, glob, or `all`
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    pub timeout: Duration,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Only show what would change
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time::parse)]
    pub timeout: Duration,
}

/// `rolling`.
#[derive(Debug, Args)]
pub struct Rolling {
    /// Instance id, role, glob, or `all`
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How long to wait for all of them; the supervisor goes on behind it
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time::parse)]
    pub timeout: Duration,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// Instance id, role, glob, or `all`
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Which signal
    #[arg(long, short, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    pub timeout: Duration,
}

/// `scale`.
#[derive(Debug, Args)]
pub struct Scale {
    /// Role and wanted number
    #[arg(value_name = "ROLE=N")]
    pub wanted: String,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    pub timeout: Duration,
}

/// `pause` and `resume`.
#[derive(Debug, Args)]
pub struct Pausing {
    /// Instance id, role, or glob
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The whole fleet, latched
    #[arg(long)]
    pub all: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse)]
    pub timeout: Duration,
}

/// Verbs on one instance.
#[derive(Debug, Args)]
pub struct One {
    /// Instance id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Instance ids, roles or globs, or `supervisor` [default: all of these]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Go on as lines come
    #[arg(long, short)]
    pub follow: bool,
    /// So many of the newest lines of each [default: 20; with --since all]
    #[arg(long, short = 'n', value_name = "LINES")]
    pub lines: Option<usize>,
    /// Not older than this; lines without a time are as old as the line before them
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub since: Option<Duration>,
    /// Only lines that hold this text
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
    /// Without the name in front
    #[arg(long)]
    pub no_prefix: bool,
    /// As it was written: no names, no notices, control characters sent as they are
    #[arg(long)]
    pub raw: bool,
}
