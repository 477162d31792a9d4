//! From tables to [`Spec`]s: instance over role over default, names filled in, paths made absolute.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi_shared::id::{InstanceId, Role};
use tachi_shared::registry::Kind;

use super::file::{ConfigFile, InstanceTable, LimitKey, StopSignal, Time};
use super::port::{Alive, Ports};
use super::{BackoffPolicy, Limit, Probe, RestartPolicy, Spec, backend, env_file, load, surroundings};
use crate::error::{Error, Result};

/// Restart delays without any wish (DESIGN §4).
const BACKOFF: BackoffPolicy =
    BackoffPolicy { first: Duration::ZERO, base: Duration::from_millis(500), max: Duration::from_secs(60) };
/// Automatic restarts without any wish.
const LIMIT: Limit = Limit { burst: 5, period: Duration::from_secs(60) };
/// Between stop signal and KILL without any wish.
const GRACE: Duration = Duration::from_secs(10);
/// SIGTERM.
const TERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;
/// Undeclared silence that is shown.
const STALL_SOFT: Duration = Duration::from_secs(60);
/// Undeclared silence that is ended.
const STALL_HARD: Duration = Duration::from_secs(300);
/// Role of a command that names none.
const COMMAND_ROLE: &str = "command";
/// Id and role of the template for roles nobody configured.
const TEMPLATE: &str = "template";

/// The configuration and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The file, if there is one.
    pub(super) path: Option<PathBuf>,
    /// Its text, for line numbers.
    pub(super) text: String,
    /// What it says.
    pub(super) file: ConfigFile,
    /// Its folder: relative paths start here.
    pub(super) base: PathBuf,
}

impl Origin {
    /// A refusal at a place in the file.
    pub(super) fn refuse(&self, span: Range<usize>, reason: &str, hint: &str) -> Error {
        let path = self.path.as_deref().unwrap_or_else(|| Path::new(surroundings::CONFIG));
        load::refuse(path, &self.text, Some(span), reason.to_owned(), Some(hint.to_owned()))
    }
}

impl Origin {
    /// Tables of roles must not say who they are: the instances do.
    pub(super) fn check_roles(&self) -> Result<()> {
        for (role, table) in &self.file.roles {
            let own = table.get_ref();
            if own.id.is_some() || own.names.is_some() || own.role.is_some() {
                let reason = format!("[roles.{role}] has id, names or role");
                return Err(self.refuse(table.span(), &reason, "put them into [[instances]]"));
            }
        }
        Ok(())
    }
}

/// Builds the specs one after the other and keeps ids and ports apart.
pub(super) struct Builder<'a> {
    origin: &'a Origin,
    workspace: &'a Path,
    backend: Option<&'a str>,
    specs: Vec<Spec>,
    ports: Ports<'a>,
}

/// Where a table stands in the file.
type Span = Range<usize>;

impl<'a> Builder<'a> {
    /// Starts empty. `alive` says whose process lives and therefore rightly holds its port.
    pub(super) fn new(
        origin: &'a Origin,
        workspace: &'a Path,
        backend: Option<&'a str>,
        alive: Alive<'a>,
    ) -> Self {
        Self { origin, workspace, backend, specs: Vec::new(), ports: Ports::new(alive) }
    }

    /// Adds one of the N workers.
    pub(super) fn worker(&mut self, id: &InstanceId, role: &Role) -> Result<()> {
        let (table, span) = self.role_table(role);
        let spec = self.instance(id, role.clone(), &table, &span)?;
        self.specs.push(spec);
        Ok(())
    }

    /// Adds every `[[instances]]` entry and gives all specs out. Workers without a role get `fallback`.
    pub(super) fn configured(&mut self, fallback: Option<&Role>) -> Result<Vec<Spec>> {
        let origin = self.origin;
        for entry in &origin.file.instances {
            let (table, span) = (entry.get_ref(), entry.span());
            for (id, at) in self.ids(table, &span)? {
                if self.specs.iter().any(|spec| spec.id == id) {
                    return Err(origin.refuse(
                        at,
                        &format!("the id {id} is used twice"),
                        "give each instance its own id",
                    ));
                }
                let role = self.role_of(table, fallback)?;
                let merged = over(table, &self.role_table(&role).0);
                let spec = self.instance(&id, role, &merged, &span)?;
                self.specs.push(spec);
            }
        }
        Ok(std::mem::take(&mut self.specs))
    }

    /// One template per role, the plain one first: it serves roles nobody configured.
    pub(super) fn templates(&self, cycle: &[Role]) -> Result<Vec<Spec>> {
        let id = InstanceId::new(TEMPLATE)?;
        let mut templates = vec![self.spec(&id, Role::new(TEMPLATE)?, &InstanceTable::default(), &(0..0))?];
        let origin = self.origin;
        for role in cycle.iter().chain(origin.file.roles.keys()) {
            if templates.iter().all(|spec| spec.role != *role) {
                let (mut table, span) = self.role_table(role);
                // Files named after the instance cannot be read before it has a name.
                table.env_file.retain(|name| !name.contains("{name}"));
                templates.push(self.spec(&id, role.clone(), &table, &span)?);
            }
        }
        Ok(templates)
    }

    fn role_table(&self, role: &Role) -> (InstanceTable, Span) {
        match self.origin.file.roles.get(role) {
            Some(table) => (table.get_ref().clone(), table.span()),
            None => (InstanceTable::default(), 0..0),
        }
    }

    fn ids(&self, table: &InstanceTable, span: &Span) -> Result<Vec<(InstanceId, Span)>> {
        let hint = "write id = \"gateway_1\", or names = [\"a\", \"b\"]";
        match (&table.id, &table.names) {
            (Some(id), None) => Ok(vec![(id.get_ref().clone(), id.span())]),
            (None, Some(names)) if !names.is_empty() => {
                Ok(names.iter().map(|name| (name.get_ref().clone(), name.span())).collect())
            }
            (Some(_), Some(_)) => {
                Err(self.origin.refuse(span.clone(), "an instance has both id and names", hint))
            }
            _ => Err(self.origin.refuse(span.clone(), "an instance has no id", hint)),
        }
    }

    fn role_of(&self, table: &InstanceTable, fallback: Option<&Role>) -> Result<Role> {
        match (&table.role, &table.command, fallback) {
            (Some(role), _, _) => Ok(role.clone()),
            (None, None, Some(role)) => Ok(role.clone()),
            _ => Ok(Role::new(COMMAND_ROLE)?),
        }
    }

    /// One spec with everything that must be there for it: its port, its working directory.
    fn instance(&mut self, id: &InstanceId, role: Role, table: &InstanceTable, span: &Span) -> Result<Spec> {
        let mut spec = self.spec(id, role, table, span)?;
        spec.cwd = self.cwd(&spec.cwd, table, span)?;
        spec.port = self.port(id, table)?;
        Ok(spec)
    }

    /// One spec as the tables have it, without a port.
    fn spec(&self, id: &InstanceId, role: Role, table: &InstanceTable, span: &Span) -> Result<Spec> {
        self.check(table, span)?;
        let fill = |text: &String| text.replace("{name}", id.as_str());
        let command: Vec<String> = table.command.iter().flatten().map(fill).collect();
        let kind = if command.is_empty() { Kind::Worker } else { Kind::Command };
        let cwd = table
            .cwd
            .as_ref()
            .map_or_else(|| self.workspace.to_owned(), |cwd| self.origin.base.join(fill(cwd)));
        let backoff = table.backoff.clone().unwrap_or_default();
        let (backend, mut env) = self.backend(kind, table)?;
        env.extend(self.environment(id, table, span)?);
        let or = |time: Option<Time>, default: Duration| time.map_or(default, |time| time.0);
        Ok(Spec {
            port: None,
            env,
            backend,
            id: id.clone(),
            role,
            kind,
            command,
            cwd,
            restart: table.restart.unwrap_or(RestartPolicy::Always),
            backoff: BackoffPolicy {
                first: or(backoff.first, BACKOFF.first),
                base: or(backoff.base, BACKOFF.base),
                max: or(backoff.max, BACKOFF.max),
            },
            limit: match table.limit {
                Some(LimitKey::None) => None,
                Some(LimitKey::At(limit)) => Some(limit),
                None => Some(LIMIT),
            },
            grace: or(table.grace, GRACE),
            stop_signal: table.stop_signal.unwrap_or(StopSignal(TERM)).0,
            stall_soft: or(table.stall_soft, STALL_SOFT),
            stall_hard: or(table.stall_hard, STALL_HARD),
            needs: table.needs.iter().flatten().map(|name| name.get_ref().clone()).collect(),
            ready: self.probe(kind, table)?,
            limits: table.limits.unwrap_or_default().settle(),
            on_failed: table.on_failed.unwrap_or_default(),
        })
    }

    /// Rules across the keys of one table.
    fn check(&self, table: &InstanceTable, span: &Span) -> Result<()> {
        let refuse = |reason: &str, hint: &str| Err(self.origin.refuse(span.clone(), reason, hint));
        if table.command.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
            return refuse("command is empty", "write command = [\"program\", \"argument\"]");
        }
        if let Some(key) = table.env.keys().find(|key| env_file::check_key(key).is_err()) {
            return refuse(&format!("{key:?} cannot name a variable"), "use letters, digits and '_'");
        }
        let backoff = table.backoff.clone().unwrap_or_default();
        if let (Some(base), Some(max)) = (backoff.base, backoff.max)
            && base.0 > max.0
        {
            return refuse("backoff.base is longer than backoff.max", "raise max or lower base");
        }
        Ok(())
    }

    /// Name for the row and what a worker must be told.
    fn backend(&self, kind: Kind, table: &InstanceTable) -> Result<(String, Vec<(String, String)>)> {
        let mut env = Vec::new();
        if let Some(loss) = table.on_supervisor_loss {
            env.push(("TACHI_ON_SUPERVISOR_LOSS".to_owned(), loss.word().to_owned()));
        }
        if kind == Kind::Command {
            return Ok(("command".to_owned(), env));
        }
        let in_file = table.backend.as_ref().or(self.origin.file.fleet.backend.as_ref());
        let told = match (self.backend, in_file) {
            (Some(flag), _) => (flag, None),
            (None, Some(name)) => (name.get_ref().as_str(), Some(name.span())),
            (None, None) => (backend::BUILTIN, None),
        };
        let more =
            backend::environment(told.0, &self.origin.file).map_err(|(reason, hint)| match told.1 {
                Some(span) => self.origin.refuse(span, &reason, &hint),
                None => Error::usage(reason, hint),
            })?;
        env.extend(more);
        Ok((told.0.to_owned(), env))
    }

    fn probe(&self, kind: Kind, table: &InstanceTable) -> Result<Option<Probe>> {
        let Some(ready) = &table.ready else { return Ok(None) };
        let settled = ready.get_ref().settle(kind, table.port.is_some());
        settled.map(Some).map_err(|(reason, hint)| self.origin.refuse(ready.span(), &reason, hint))
    }

    fn cwd(&self, cwd: &Path, table: &InstanceTable, span: &Span) -> Result<PathBuf> {
        if table.cwd.is_none() {
            return Ok(cwd.to_owned());
        }
        surroundings::directory(cwd).map_err(|source| {
            self.origin.refuse(
                span.clone(),
                &format!("cwd {} cannot be used: {source}", cwd.display()),
                "make it first",
            )
        })
    }

    /// Environment files in order, then `env`; later ones win.
    fn environment(
        &self,
        id: &InstanceId,
        table: &InstanceTable,
        span: &Span,
    ) -> Result<Vec<(String, String)>> {
        let mut all = BTreeMap::new();
        for name in &table.env_file {
            let path = self.origin.base.join(name.replace("{name}", id.as_str()));
            let text = surroundings::read(&path).map_err(|source| {
                let reason = format!("env_file {} cannot be read: {source}", path.display());
                self.origin.refuse(span.clone(), &reason, "make the file, or take it out of env_file")
            })?;
            let pairs = env_file::parse(&text).map_err(|(line, reason)| Error::Config {
                path: path.clone(),
                line,
                column: 1,
                reason,
                hint: Some("write KEY=VALUE".to_owned()),
            })?;
            all.extend(pairs);
        }
        all.extend(table.env.iter().map(|(key, value)| (key.clone(), value.replace("{name}", id.as_str()))));
        Ok(all.into_iter().collect())
    }

    fn port(&mut self, id: &InstanceId, table: &InstanceTable) -> Result<Option<u16>> {
        let Some(wish) = &table.port else { return Ok(None) };
        self.ports
            .claim(id, *wish.get_ref(), table)
            .map(Some)
            .map_err(|(reason, hint)| self.origin.refuse(wish.span(), &reason, &hint))
    }
}

/// `upper` with the gaps filled from `lower`; environments are merged, lists are not.
fn over(upper: &InstanceTable, lower: &InstanceTable) -> InstanceTable {
    let list = |upper: &Vec<String>, lower: &Vec<String>| {
        if upper.is_empty() { lower.clone() } else { upper.clone() }
    };
    let mut env = lower.env.clone();
    env.extend(upper.env.clone());
    InstanceTable {
        id: None,
        names: None,
        role: upper.role.clone(),
        command: upper.command.clone().or_else(|| lower.command.clone()),
        cwd: upper.cwd.clone().or_else(|| lower.cwd.clone()),
        env,
        env_file: list(&upper.env_file, &lower.env_file),
        port: upper.port.clone().or_else(|| lower.port.clone()),
        port_base: upper.port_base.or(lower.port_base),
        port_step: upper.port_step.or(lower.port_step),
        port_also: if upper.port_also.is_empty() { lower.port_also.clone() } else { upper.port_also.clone() },
        restart: upper.restart.or(lower.restart),
        backoff: upper.backoff.clone().or_else(|| lower.backoff.clone()),
        limit: upper.limit.or(lower.limit),
        grace: upper.grace.or(lower.grace),
        stop_signal: upper.stop_signal.or(lower.stop_signal),
        backend: upper.backend.clone().or_else(|| lower.backend.clone()),
        capabilities: list(&upper.capabilities, &lower.capabilities),
        stall_soft: upper.stall_soft.or(lower.stall_soft),
        stall_hard: upper.stall_hard.or(lower.stall_hard),
        on_supervisor_loss: upper.on_supervisor_loss.or(lower.on_supervisor_loss),
        needs: upper.needs.clone().or_else(|| lower.needs.clone()),
        ready: upper.ready.clone().or_else(|| lower.ready.clone()),
        limits: upper.limits.or(lower.limits),
        on_failed: upper.on_failed.or(lower.on_failed),
    }
}
