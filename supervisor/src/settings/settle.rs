//! [`settle()`]: the one place where flag, environment, file and default are weighed against each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::id::{InstanceId, Role};
use tachi_shared::layout::StateDir;
use tachi_shared::log::{Durability, Limits};
use tachi_shared::os::{AliveLock, process};
use tachi_shared::store::Store;

use super::file::{Brake, ConfigFile};
use super::instance::{Builder, Origin};
use super::{
    ConfigRead, OnLoss, RestartPolicy, Settings, Spec, Until, backend, lint, load, needs, surroundings,
};
use crate::args;
use crate::error::{Error, Result};

/// Most instances one supervisor runs.
pub const COUNT_MAX: u32 = 1000;
/// Instances without any wish.
const COUNT_DEFAULT: u32 = 3;
/// Orphans end themselves after this, unless configured.
const ORPHAN_GRACE: Duration = Duration::from_secs(600);
/// Roles without any wish.
const ROLES: [&str; 4] = ["explorer", "builder", "reflector", "coordinator"];

/// What `up` was asked, and from where.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Working directory, absolute.
    pub cwd: &'a Path,
    /// `--state` or its environment variable.
    pub state: Option<&'a Path>,
    /// Flags of `up`.
    pub up: &'a args::Up,
}

/// Settled settings and what a person should hear about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// All that travels further.
    pub settings: Settings,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// Weighs everything against each other: flag > environment > file > default.
///
/// # Errors
/// [`Error::Usage`] for arguments, [`Error::Config`] for the file.
pub fn settle(request: &Request<'_>) -> Result<Settled> {
    let origin = read_config(request)?;
    let up = request.up;
    let fleet = &origin.file.fleet;
    let state = state_dir(request.cwd, request.state);
    let workspace = workspace(request, &origin)?;
    let roles = role_cycle(&origin)?;
    if let Some(name) = &up.backend {
        backend::environment(name, &origin.file).map_err(|(reason, hint)| Error::usage(reason, hint))?;
    }
    origin.check_roles()?;

    let dir = StateDir::new(&state);
    let alive = |id: &InstanceId| AliveLock::is_held(&dir.alive(id)).then(|| port_of(&dir, id));
    let mut builder = Builder::new(&origin, &workspace, up.backend.as_deref(), &alive);
    for (role, index) in worker_roles(up, &origin, &roles)?.into_iter().zip(1u32..) {
        builder.worker(&InstanceId::new(&format!("instance_{index}"))?, &role)?;
    }
    let specs = builder.configured(roles.first())?;
    if specs.len() > COUNT_MAX as usize {
        return Err(too_many(&specs.len().to_string()));
    }
    let templates = builder.templates(&roles)?;
    needs::check(&specs, &templates, &origin)?;
    let settings = Settings {
        state,
        config: origin.path.as_deref().map(|path| ConfigRead::new(path, &origin.text)),
        goal: up.goal.clone().or_else(|| fleet.goal.clone()).filter(|goal| !goal.trim().is_empty()),
        roles: templates,
        on_supervisor_loss: fleet.on_supervisor_loss.unwrap_or(OnLoss::Continue),
        brake: fleet.brake != Some(Brake::None),
        orphan_grace: fleet.orphan_grace.map_or(ORPHAN_GRACE, |time| time.0),
        limits: limits(&origin)?,
        allow_network_fs: up.allow_network_fs,
        keep_stop: up.keep_stop,
        until: until(up, &specs)?,
        workspace,
        specs,
    };
    let warnings = lint::unreachable_limits(&settings.specs);
    Ok(Settled { settings, warnings })
}

/// `--state`, else the nearest state directory upwards, else `./state`; absolute.
#[must_use]
pub(crate) fn state_dir(cwd: &Path, wish: Option<&Path>) -> PathBuf {
    surroundings::absolute(cwd, &wish.map_or_else(|| Store::find(cwd), Path::to_owned))
}

/// The port a living instance was given.
fn port_of(dir: &StateDir, id: &InstanceId) -> Option<u16> {
    let pid = AliveLock::holder(&dir.alive(id))?;
    process::environ(pid, "TACHI_PORT")?.parse().ok()
}

fn read_config(request: &Request<'_>) -> Result<Origin> {
    let wish = request.up.config.as_ref().map(|path| surroundings::absolute(request.cwd, path));
    let Some(path) = wish.or_else(|| surroundings::find_config(request.cwd)) else {
        return Ok(Origin {
            path: None,
            text: String::new(),
            file: ConfigFile::default(),
            base: request.cwd.to_owned(),
        });
    };
    let text = surroundings::read(&path).map_err(|source| {
        Error::usage(
            format!("cannot read configuration {}: {source}", path.display()),
            "name an existing file with --config, or leave it out",
        )
    })?;
    let file = load::parse(&path, &text)?;
    let base = path.parent().unwrap_or(request.cwd).to_owned();
    Ok(Origin { path: Some(path), text, file, base })
}

fn workspace(request: &Request<'_>, origin: &Origin) -> Result<PathBuf> {
    let from_file = || origin.file.fleet.workspace.as_ref().map(|path| origin.base.join(path));
    let wish = request.up.workspace.as_ref().map(|path| request.cwd.join(path)).or_else(from_file);
    let path = wish.unwrap_or_else(|| surroundings::default_workspace(request.cwd));
    surroundings::directory(&path).map_err(|source| {
        Error::usage(
            format!("workspace {} cannot be used: {source}", path.display()),
            "name an existing directory with --workspace",
        )
    })
}

/// `TACHI_DURABILITY`, else `[store]`, else the defaults.
fn limits(origin: &Origin) -> Result<Limits> {
    let durability = match surroundings::variable("TACHI_DURABILITY").as_deref() {
        None => None,
        Some("interval") => Some(Durability::Interval),
        Some("durable") => Some(Durability::Durable),
        Some(other) => {
            let reason = format!("TACHI_DURABILITY is {other:?}");
            return Err(Error::usage(reason, "use `interval` or `durable`"));
        }
    };
    origin.file.store.settle(durability).map_err(|(span, reason, hint)| origin.refuse(span, &reason, hint))
}

fn until(up: &args::Up, specs: &[Spec]) -> Result<Until> {
    let until = match up.until {
        args::Until::Stopped => Until::Stopped,
        args::Until::AllJobsDone => Until::AllJobsDone,
        args::Until::AnyFailed => Until::AnyFailed,
    };
    if until == Until::AllJobsDone && specs.iter().all(|spec| spec.restart != RestartPolicy::Job) {
        let hint = "give what is to succeed once restart = \"job\" in tachi.toml, or leave --until out";
        return Err(Error::usage("--until all-jobs-done, and there is no job", hint));
    }
    Ok(until)
}

fn role_cycle(origin: &Origin) -> Result<Vec<Role>> {
    match &origin.file.fleet.roles {
        Some(roles) if roles.get_ref().is_empty() => {
            Err(origin.refuse(roles.span(), "roles is empty", "name at least one role, or leave the key out"))
        }
        Some(roles) => Ok(roles.get_ref().clone()),
        None => Ok(ROLES.iter().map(|name| Role::new(name)).collect::<std::result::Result<_, _>>()?),
    }
}

/// The role of each worker, in order: `--role` wishes first, the rest of N from the cycle.
fn worker_roles(up: &args::Up, origin: &Origin, cycle: &[Role]) -> Result<Vec<Role>> {
    let mut roles = Vec::new();
    for wish in &up.roles {
        let (role, count) = role_count(wish)?;
        roles.extend(std::iter::repeat_n(role, count as usize));
        if roles.len() > COUNT_MAX as usize {
            return Err(too_many(&roles.len().to_string()));
        }
    }
    let total = match (&up.count, roles.is_empty()) {
        (Some(text), _) => instance_count(text)? as usize,
        (None, false) => roles.len(),
        (None, true) => configured_count(origin)? as usize,
    };
    if roles.len() > total {
        return Err(Error::usage(
            format!("--role asks for {} instances, N is {total}", roles.len()),
            format!("leave N out, or write `tachi up {}`", roles.len()),
        ));
    }
    let rest = total - roles.len();
    roles.extend(cycle.iter().cycle().take(rest).cloned());
    Ok(roles)
}

/// `[fleet] count`, else the default.
fn configured_count(origin: &Origin) -> Result<u32> {
    let Some(count) = &origin.file.fleet.count else { return Ok(COUNT_DEFAULT) };
    let least = if origin.file.instances.is_empty() { 1 } else { 0 };
    match u32::try_from(*count.get_ref()) {
        Ok(number) if (least..=COUNT_MAX).contains(&number) => Ok(number),
        _ => Err(origin.refuse(
            count.span(),
            &format!("count = {} is not from {least} to {COUNT_MAX}", count.get_ref()),
            "0 is allowed beside [[instances]] only",
        )),
    }
}

/// N of the command line.
fn instance_count(text: &str) -> Result<u32> {
    match text.parse::<u32>() {
        Ok(number) if (1..=COUNT_MAX).contains(&number) => Ok(number),
        _ => Err(too_many(text)),
    }
}

fn too_many(text: &str) -> Error {
    Error::usage(
        format!("cannot start {text:?} instances: the number must be a whole one from 1 to {COUNT_MAX}"),
        "for example `tachi up 4`",
    )
}

/// `ROLE=N` of `--role` and `scale`; N may be 0.
///
/// # Errors
/// [`Error::Usage`] naming the part that is wrong.
pub(crate) fn role_count(text: &str) -> Result<(Role, u32)> {
    let hint = "write ROLE=N, for example builder=3";
    let (role, count) = text
        .split_once('=')
        .ok_or_else(|| Error::usage(format!("{text:?} is not of the form ROLE=N"), hint))?;
    let role = Role::new(role).map_err(|error| Error::usage(error.to_string(), hint))?;
    match count.parse::<u32>() {
        Ok(number) if number <= COUNT_MAX => Ok((role, number)),
        _ => Err(Error::usage(format!("{count:?} in {text:?} is not a number from 0 to {COUNT_MAX}"), hint)),
    }
}
