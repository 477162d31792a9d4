//! The command line as typed. What it amounts to is settled in [`crate::settings`]; nothing else reads the environment.

use std::path::PathBuf;

use clap::Parser;

/// Examples shown below `--help`.
const EXAMPLES: &str = "\
Examples:
  tachi-worker --id alice --role explorer
      works alone on the current directory until Ctrl-C; state goes to ./state
  tachi-worker --id bob --role builder --state /srv/team/state --workspace ~/src/project
      joins whoever works in that state directory

Exit codes: 0 left in order, 1 failed, 2 wrong flag or directory, 75 this instance is already running.";

/// One instance of a Tachi team: observes, thinks, acts, records. Usually started by `tachi up`; runs alone too.
#[derive(Debug, Clone, Parser)]
#[command(name = "tachi-worker", version, after_help = EXAMPLES)]
pub struct Args {
    /// Instance id: 1 to 64 letters, digits, '_' or '-'
    #[arg(long, env = "TACHI_INSTANCE_ID")]
    pub id: Option<String>,
    /// What it is for: explorer, builder, reflector, coordinator, or any name
    #[arg(long, env = "TACHI_INSTANCE_ROLE")]
    pub role: Option<String>,
    /// State directory [default: the nearest one upwards, else ./state]
    #[arg(long, env = "TACHI_STATE_DIR", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// What to work on [default: the current directory]
    #[arg(long, env = "TACHI_WORKSPACE", value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// What thinks: builtin, or the name of an HTTP model described by TACHI_LLM_BASE_URL and TACHI_LLM_MODEL
    #[arg(long, env = "TACHI_BACKEND", value_name = "NAME")]
    pub backend: Option<String>,

    /// Start number given by the supervisor
    #[arg(long, env = "TACHI_INCARNATION", hide = true)]
    pub incarnation: Option<u32>,
    /// How long to go on without a supervisor
    #[arg(long, env = "TACHI_ORPHAN_GRACE_MS", hide = true)]
    pub orphan_grace_ms: Option<u64>,
    /// `continue` or `stop`
    #[arg(long, env = "TACHI_ON_SUPERVISOR_LOSS", hide = true)]
    pub on_supervisor_loss: Option<String>,
    /// `interval` or `durable` [default: as the directory's supervisor settled]
    #[arg(long, env = "TACHI_DURABILITY", hide = true)]
    pub durability: Option<String>,
    /// Base address of an OpenAI-compatible service
    #[arg(long, env = "TACHI_LLM_BASE_URL", hide = true)]
    pub llm_base_url: Option<String>,
    /// Model name
    #[arg(long, env = "TACHI_LLM_MODEL", hide = true)]
    pub llm_model: Option<String>,
    /// Name of the variable that holds the key
    #[arg(long, env = "TACHI_LLM_KEY_ENV", hide = true)]
    pub llm_key_env: Option<String>,
}
