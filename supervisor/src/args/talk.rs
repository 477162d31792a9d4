//! What the verbs that speak of messages and memory accept.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::settings::time;

/// `events` and `messages`.
#[derive(Debug, Args)]
pub struct Stream {
    /// Only what concerns this instance
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Go on as they come
    #[arg(long, short)]
    pub follow: bool,
    /// So many of the newest
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    pub number: usize,
}

/// `send`.
#[derive(Debug, Args)]
pub struct Send {
    /// For whom
    #[arg(value_name = "TO")]
    pub to: String,
    /// What; `-` reads standard input
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,
    /// What kind of message
    #[arg(long = "type", value_name = "TYPE", default_value = "human")]
    pub kind: String,
    /// How much it presses: orders what a reader takes together; urgent has reserved room in a full queue
    #[arg(long, value_name = "PRIORITY", default_value = "normal")]
    pub priority: Urgency,
    /// After this time it is counted and not delivered any more
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub expires: Option<Duration>,
    /// Return only when it survives a power loss
    #[arg(long)]
    pub durable: bool,
}

/// `--priority` of `send`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Urgency {
    /// Before the others.
    Urgent,
    /// In its turn.
    Normal,
    /// After the others.
    Low,
}

/// `inbox`.
#[derive(Debug, Args)]
pub struct Inbox {
    /// Whose [default: the operator's]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Wait for the next message
    #[arg(long)]
    pub wait: bool,
    /// What was sent, and how far it got
    #[arg(long, conflicts_with = "wait")]
    pub sent: bool,
    /// So many of the newest
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    pub number: usize,
    /// How long to wait [default: for ever]
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time::parse)]
    pub timeout: Option<Duration>,
}

/// `memory`.
#[derive(Debug, Args)]
pub struct Memory {
    /// What to do with it.
    #[command(subcommand)]
    pub action: MemoryAction,
}

/// What to do with the memory.
#[derive(Debug, Subcommand)]
pub enum MemoryAction {
    /// Remember something
    Add {
        /// finding, decision or learning
        #[arg(value_name = "KIND")]
        kind: String,
        /// What
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Show entries and facts
    List {
        /// findings, decisions, learnings or facts [default: all]
        #[arg(value_name = "KIND")]
        kind: Option<String>,
    },
    /// Show one fact, or one entry by its id
    Get {
        /// Name
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Set one fact
    Set {
        /// Name
        #[arg(value_name = "KEY")]
        key: String,
        /// Value
        #[arg(value_name = "JSON", allow_hyphen_values = true)]
        value: String,
        /// Only if the fact has not changed since this revision of the memory (0: only if there is none)
        #[arg(long, value_name = "N")]
        rev: Option<u64>,
    },
    /// Find text in entries and facts, case ignored
    Search(Search),
}

/// `memory search`.
#[derive(Debug, Args)]
pub struct Search {
    /// What [default: everything]
    #[arg(value_name = "TEXT", default_value = "")]
    pub text: String,
    /// In one list only: finding, decision, learning or fact
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// By this author only
    #[arg(long, value_name = "ID")]
    pub by: Option<String>,
    /// Not older than this
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub since: Option<Duration>,
    /// Not younger than this
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub until: Option<Duration>,
    /// Also in what newer entries pushed out of the memory
    #[arg(long)]
    pub archived: bool,
}

/// `edit`.
#[derive(Debug, Args)]
pub struct Edit {
    /// Which document
    #[arg(value_name = "WHAT")]
    pub what: Editable,
}

/// What can be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Editable {
    /// Who is wanted how: `desired` of each row.
    Registry,
    /// Findings, decisions, learnings, facts.
    Memory,
}
