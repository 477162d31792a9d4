//! The own row of the registry, for instances whose row nobody else writes: run by hand, or orphaned.

use std::time::Duration;

use tachi_shared::clock::Now;
use tachi_shared::os::process;
use tachi_shared::registry::{
    Backoff, Death, DeathKind, Desired, Kind, Registry, RegistryStore, Row, Status,
};

use crate::settings::Settings;
use crate::turn::{Identity, Reason};

/// How long the registry's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says "ready, pid so and so".
///
/// # Errors
/// As [`RegistryStore::update`].
pub(super) fn register(
    registry: &mut RegistryStore,
    who: &Identity,
    settings: &Settings,
    now: Now,
) -> tachi_shared::Result<()> {
    let process = process::current();
    registry.update(PATIENCE, |registry| {
        let Some(row) = own_row(registry, who, settings) else { return Ok(()) };
        if row.started_at.is_some() && row.incarnation < who.incarnation {
            row.restarts = row.restarts.saturating_add(1);
        }
        row.role = who.me.role.clone();
        row.pid = Some(process.pid);
        row.pid_start = Some(process.pid_start);
        row.boot_id = Some(process.boot_id.clone());
        row.incarnation = who.incarnation;
        row.status = Status::Ready;
        row.desired = Desired::Running;
        row.started_at = Some(now.wall);
        row.last_heartbeat = Some(now.wall);
        row.next_restart_at = None;
        row.backend = settings.backend_name().to_owned();
        row.reason = None;
        Ok(())
    })
}

/// Says "stopped", unless a later start has the row already.
///
/// # Errors
/// As [`RegistryStore::update`].
pub(super) fn deregister(
    registry: &mut RegistryStore,
    who: &Identity,
    settings: &Settings,
    reason: &Reason,
    uptime: Duration,
    now: Now,
) -> tachi_shared::Result<()> {
    registry.update(PATIENCE, |registry| {
        let Some(row) = own_row(registry, who, settings) else { return Ok(()) };
        if row.incarnation > who.incarnation {
            return Ok(());
        }
        row.pid = None;
        row.pid_start = None;
        row.status = Status::Stopped;
        if settings.incarnation.is_none() {
            row.desired = Desired::Stopped;
        }
        row.last_heartbeat = Some(now.wall);
        row.doing = None;
        row.reason = Some(reason.to_string());
        row.last_death = Some(Death {
            at: now.wall,
            kind: DeathKind::Exit,
            code: Some(0),
            signal: None,
            cause: if matches!(reason, Reason::Requested(_)) { "requested" } else { "self" }.to_owned(),
            uptime_s: uptime.as_secs_f64(),
            last_line: None,
        });
        Ok(())
    })
}

fn own_row<'a>(registry: &'a mut Registry, who: &Identity, settings: &Settings) -> Option<&'a mut Row> {
    if registry.row(&who.me.id).is_none() {
        registry.instances.push(new_row(who, settings));
    }
    registry.row_mut(&who.me.id)
}

fn new_row(who: &Identity, settings: &Settings) -> Row {
    Row {
        instance_id: who.me.id.clone(),
        role: who.me.role.clone(),
        pid: None,
        pid_start: None,
        boot_id: None,
        incarnation: who.incarnation,
        status: Status::Starting,
        desired: Desired::Running,
        kind: Kind::Worker,
        started_at: None,
        last_heartbeat: None,
        restarts: 0,
        next_restart_at: None,
        backend: settings.backend_name().to_owned(),
        doing: None,
        last_death: None,
        reason: None,
        backoff: Backoff::default(),
        extra: serde_json::Map::new(),
    }
}
