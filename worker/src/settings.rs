//! Settled settings: flag > environment > default, decided once in [`settle`]; nothing else travels further.
//!
//! Pure but for making paths absolute. Whether directories exist is looked at when they are opened (`effects/startup.rs`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::id::{Incarnation, InstanceId, Role};
use tachi_shared::log::Durability;

use crate::args::Args;
use crate::error::{Error, Result};

/// How long an orphan goes on if nobody says otherwise.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(600);

/// Everything a worker needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which instance this is.
    pub id: InstanceId,
    /// What it is for.
    pub role: Role,
    /// State directory, absolute; `None` = find it from the working directory.
    pub state: Option<PathBuf>,
    /// What to work on, absolute.
    pub workspace: PathBuf,
    /// What answers.
    pub thinker: Thinker,
    /// Start number from the supervisor; `None` = started by hand.
    pub incarnation: Option<Incarnation>,
    /// What an acknowledged send survives; `None` = as the directory says.
    pub durability: Option<Durability>,
    /// What to do without a supervisor.
    pub orphan: OrphanRule,
}

/// What answers questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thinker {
    /// The facts gathered, no model.
    Builtin,
    /// An OpenAI-compatible service.
    Http(HttpBackend),
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpBackend {
    /// Name given by the person.
    pub name: String,
    /// `http://…/v1`, without the trailing slash.
    pub base_url: String,
    /// Model name.
    pub model: String,
    /// Variable that holds the key, if one is needed. The key itself is read when it is used.
    pub key_env: Option<String>,
}

/// What an instance does when its supervisor is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanRule {
    /// Leaves at once.
    Stop,
    /// Goes on for this long, finishes its item and leaves.
    Grace(Duration),
}

impl Settings {
    /// Name of the backend for the registry row.
    #[must_use]
    pub fn backend_name(&self) -> &str {
        match &self.thinker {
            Thinker::Builtin => "builtin",
            Thinker::Http(backend) => &backend.name,
        }
    }
}

/// Settles what the flags and variables amount to; `cwd` is where relative paths start.
///
/// # Errors
/// [`Error::Usage`] with what is wrong and what to do.
pub fn settle(args: Args, cwd: &Path) -> Result<Settings> {
    let id = required(args.id, "--id", "give a name, such as `--id instance_1`")?;
    let role = required(args.role, "--role", "give one, such as `--role explorer`")?;
    let thinker = settle_thinker(
        present(args.backend),
        present(args.llm_base_url),
        present(args.llm_model),
        present(args.llm_key_env),
    )?;
    Ok(Settings {
        id: InstanceId::new(&id)
            .map_err(|error| named("--id", &error, "choose a name such as instance_1"))?,
        role: Role::new(&role).map_err(|error| named("--role", &error, "choose a name such as explorer"))?,
        state: args.state.filter(|path| !path.as_os_str().is_empty()).map(|path| cwd.join(path)),
        workspace: match args.workspace.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => cwd.join(path),
            None => cwd.to_owned(),
        },
        thinker,
        incarnation: args.incarnation.map(Incarnation),
        durability: settle_durability(present(args.durability).as_deref())?,
        orphan: settle_orphan(present(args.on_supervisor_loss).as_deref(), args.orphan_grace_ms)?,
    })
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn required(value: Option<String>, flag: &str, hint: &str) -> Result<String> {
    value.ok_or_else(|| Error::usage(format!("{flag} is missing"), hint))
}

fn named(flag: &str, error: &tachi_shared::Error, hint: &str) -> Error {
    Error::usage(format!("{flag}: {error}"), hint)
}

fn settle_durability(word: Option<&str>) -> Result<Option<Durability>> {
    match word {
        None => Ok(None),
        Some("interval") => Ok(Some(Durability::Interval)),
        Some("durable") => Ok(Some(Durability::Durable)),
        Some(other) => {
            Err(Error::usage(format!("TACHI_DURABILITY is {other:?}"), "use `interval` or `durable`"))
        }
    }
}

fn settle_orphan(on_loss: Option<&str>, grace_ms: Option<u64>) -> Result<OrphanRule> {
    match on_loss {
        Some("stop") => Ok(OrphanRule::Stop),
        None | Some("continue") => {
            Ok(OrphanRule::Grace(grace_ms.map_or(ORPHAN_GRACE, Duration::from_millis)))
        }
        Some(other) => {
            Err(Error::usage(format!("TACHI_ON_SUPERVISOR_LOSS is {other:?}"), "use `continue` or `stop`"))
        }
    }
}

fn settle_thinker(
    name: Option<String>,
    base_url: Option<String>,
    model: Option<String>,
    key_env: Option<String>,
) -> Result<Thinker> {
    let name = match name {
        None => return Ok(Thinker::Builtin),
        Some(name) if name == "builtin" => return Ok(Thinker::Builtin),
        Some(name) => name,
    };
    let (Some(base_url), Some(model)) = (base_url, model) else {
        return Err(Error::usage(
            format!("backend {name:?} is not described"),
            "set TACHI_LLM_BASE_URL and TACHI_LLM_MODEL, or use `--backend builtin`",
        ));
    };
    if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
        return Err(Error::usage(
            format!("TACHI_LLM_BASE_URL {base_url:?} is no http address"),
            "use something like http://127.0.0.1:8080/v1",
        ));
    }
    Ok(Thinker::Http(HttpBackend {
        name,
        base_url: base_url.trim_end_matches('/').to_owned(),
        model,
        key_env,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(extra: &[&str]) -> Args {
        let mut args = Args {
            id: Some("a".to_owned()),
            role: Some("explorer".to_owned()),
            state: None,
            workspace: None,
            backend: None,
            incarnation: None,
            orphan_grace_ms: None,
            on_supervisor_loss: None,
            durability: None,
            llm_base_url: None,
            llm_model: None,
            llm_key_env: None,
        };
        for pair in extra.chunks(2) {
            let value = pair[1].to_owned();
            match pair[0] {
                "id" => args.id = Some(value),
                "role" => args.role = Some(value),
                "state" => args.state = Some(value.into()),
                "workspace" => args.workspace = Some(value.into()),
                "backend" => args.backend = Some(value),
                "url" => args.llm_base_url = Some(value),
                "model" => args.llm_model = Some(value),
                "durability" => args.durability = Some(value),
                "loss" => args.on_supervisor_loss = Some(value),
                other => panic!("{other}"),
            }
        }
        args
    }

    fn check(extra: &[&str], expected: &str) {
        let error = settle(args(extra), Path::new("/w")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.line().contains(expected), "{} lacks {expected:?}", error.line());
        assert!(!error.line().contains('\n'));
    }

    #[test]
    fn what_cannot_be_used_is_one_line_with_exit_code_2() {
        check(&["id", "../x"], "--id");
        check(&["id", "broadcast"], "reserved");
        check(&["id", "a\nb"], "--id");
        check(&["role", "a b"], "--role");
        check(&["loss", "perhaps"], "continue");
        check(&["durability", "perhaps"], "TACHI_DURABILITY");
        check(&["backend", "gpt"], "TACHI_LLM_BASE_URL");
        check(&["backend", "gpt", "url", "ftp://x", "model", "m"], "no http address");
        let mut without = args(&[]);
        without.id = None;
        assert!(settle(without, Path::new("/w")).unwrap_err().line().contains("--id is missing"));
    }

    #[test]
    fn relative_paths_start_at_the_working_directory() {
        let settings = settle(args(&["state", "s", "workspace", "w"]), Path::new("/here")).unwrap();
        assert_eq!(settings.state, Some("/here/s".into()));
        assert_eq!(settings.workspace, PathBuf::from("/here/w"));
        let settings = settle(args(&["state", "", "workspace", ""]), Path::new("/here")).unwrap();
        assert_eq!((settings.state, settings.workspace), (None, PathBuf::from("/here")));
    }

    #[test]
    fn the_supervisor_says_what_an_acknowledged_send_survives() {
        let durability = |extra: &[&str]| settle(args(extra), Path::new("/w")).unwrap().durability;
        assert_eq!(durability(&[]), None);
        assert_eq!(durability(&["durability", "durable"]), Some(Durability::Durable));
        assert_eq!(durability(&["durability", "interval"]), Some(Durability::Interval));
    }

    #[test]
    fn an_orphan_has_ten_minutes_unless_told_otherwise() {
        assert_eq!(
            settle(args(&[]), Path::new("/w")).unwrap().orphan,
            OrphanRule::Grace(Duration::from_secs(600))
        );
        assert_eq!(settle(args(&["loss", "stop"]), Path::new("/w")).unwrap().orphan, OrphanRule::Stop);
    }
}
