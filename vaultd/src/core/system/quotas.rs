//! Quotas, as the API shows them; `core::quota` applies them.

use serde_json::{Value, json};

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::{Kind, reserved};
use crate::core::quota::{self, LEASES, LeaseCount, RATE, RateLimit, Scope};
use crate::core::reply::{After, Reply};
use crate::core::unsealed::Unsealed;

fn changed() -> Reply {
    Reply {
        after: Some(After::Quotas),
        ..Reply::none()
    }
}

/// The row of the quota that the path names.
fn named(ctx: &Ctx<'_>, kind: &str) -> String {
    quota::row(kind, ctx.param("name"))
}

pub async fn list(ctx: &Ctx<'_>, tx: &mut Tx, kind: &str) -> Result<Reply, Fault> {
    let mut view = tx.view(reserved::SYSTEM);
    ctx.list(view.list(&format!("quota/{kind}")).await?)
}

pub async fn delete(ctx: &Ctx<'_>, tx: &mut Tx, kind: &str) -> Result<Reply, Fault> {
    tx.view(reserved::SYSTEM).delete(&named(ctx, kind)).await?;
    Ok(changed())
}

pub async fn read_rate(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let found = tx.view(reserved::SYSTEM).get(&named(ctx, RATE)).await?;
    let limit: RateLimit = found.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "name": ctx.param("name"),
        "type": RATE,
        "path": limit.scope.path(),
        "role": limit.scope.role,
        "rate": number(limit.rate),
        "interval": limit.interval,
        "block_interval": limit.block_interval,
        "inheritable": limit.inheritable,
    })))
}

/// Whole numbers as such.
fn number(rate: f64) -> Value {
    match rate.fract() == 0.0 && rate < 1e15 {
        true => json!(rate as u64),
        false => json!(rate),
    }
}

pub async fn write_rate(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let body = ctx.body();
    check_type(ctx, RATE)?;
    let rate = match body.value("rate") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(rate)) => rate.as_f64(),
        _ => None,
    };
    let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0 && *rate <= 1e12);
    let interval = body.seconds("interval")?.unwrap_or(1);
    let limit = RateLimit {
        rate: rate.ok_or_else(|| {
            Fault::invalid("'rate' is invalid: it must be a number of requests, more than 0")
        })?,
        interval: if interval == 0 { 1 } else { interval },
        block_interval: body.seconds("block_interval")?.unwrap_or(0),
        inheritable: body.bool("inheritable")?.unwrap_or(true),
        scope: scope(vault, ctx)?,
    };
    refuse_twin::<RateLimit>(ctx, tx, RATE, |other| other.scope == limit.scope).await?;
    tx.view(reserved::SYSTEM)
        .put(&named(ctx, RATE), &limit)
        .await?;
    Ok(changed())
}

pub async fn read_leases(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let found = tx.view(reserved::SYSTEM).get(&named(ctx, LEASES)).await?;
    let limit: LeaseCount = found.ok_or(Fault::Missing)?;
    let live = crate::core::lease::live(vault, &limit.scope).await?;
    Ok(Reply::json(json!({
        "name": ctx.param("name"),
        "type": LEASES,
        "path": limit.scope.path(),
        "role": limit.scope.role,
        "max_leases": limit.max_leases,
        "counter": live,
        "inheritable": limit.inheritable,
    })))
}

pub async fn write_leases(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    check_type(ctx, LEASES)?;
    let max = ctx.body().int("max_leases")?.unwrap_or(0);
    let max = u64::try_from(max).ok().filter(|max| *max > 0);
    let limit = LeaseCount {
        max_leases: max
            .ok_or_else(|| Fault::invalid("'max_leases' is invalid: it must be more than 0"))?,
        inheritable: ctx.body().bool("inheritable")?.unwrap_or(true),
        scope: scope(vault, ctx)?,
    };
    refuse_twin::<LeaseCount>(ctx, tx, LEASES, |other| other.scope == limit.scope).await?;
    tx.view(reserved::SYSTEM)
        .put(&named(ctx, LEASES), &limit)
        .await?;
    Ok(changed())
}

fn check_type(ctx: &Ctx<'_>, kind: &str) -> Result<(), Fault> {
    match ctx.body().string("type")? {
        Some(given) if !given.is_empty() && given != kind => Err(Fault::invalid(format!(
            "'type' must be {kind:?} on this path"
        ))),
        _ => Ok(()),
    }
}

/// What the quota is about: everything, a mount, a path below it, or a role of a login method.
fn scope(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Scope, Fault> {
    let given = ctx.body().string("path")?.unwrap_or_default();
    let role = ctx.body().string("role")?.unwrap_or_default();
    let path = given.trim_start_matches('/').trim_end_matches('/');
    let mut found = Scope {
        role,
        ..Scope::default()
    };
    if path.is_empty() {
        return match found.role.is_empty() {
            true => Ok(found),
            false => Err(Fault::invalid("a role needs the path of its login method")),
        };
    }
    let mounts = vault.mounts.load();
    let with_slash = format!("{path}/");
    let (mount, below) = mounts.resolve(&with_slash).ok_or_else(|| {
        Fault::invalid(format!(
            "invalid mount path {path:?}: nothing is mounted there"
        ))
    })?;
    found.mount.clone_from(&mount.path);
    found.below = below.trim_end_matches('/').to_owned();
    if found.below.trim_end_matches('*').contains('*') || found.below.contains("**") {
        return Err(Fault::invalid("'path' may have one '*', at its end"));
    }
    let has_roles = mount.kind.is_auth()
        && (mount.kind != Kind::Token || ctx.request.path.as_str().contains(LEASES));
    if !found.role.is_empty() && (!has_roles || !found.below.is_empty()) {
        return Err(Fault::invalid(
            "'role' needs the path of a login method whose logins have roles, without more",
        ));
    }
    Ok(found)
}

/// Two quotas of one kind about the same would leave open which one counts.
async fn refuse_twin<T: serde::de::DeserializeOwned>(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    kind: &str,
    same: impl Fn(&T) -> bool,
) -> Result<(), Fault> {
    let mut view = tx.view(reserved::SYSTEM);
    for name in view.list(&format!("quota/{kind}")).await? {
        let other: Option<T> = view.get(&quota::row(kind, &name)).await?;
        if name != ctx.param("name") && other.is_some_and(|other| same(&other)) {
            return Err(Fault::invalid(format!(
                "quota rule with similar properties exists under the name {name:?}"
            )));
        }
    }
    Ok(())
}

pub async fn read_settings(tx: &mut Tx) -> Result<Reply, Fault> {
    Reply::of(&quota::settings(tx).await?)
}

pub async fn write_settings(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let body = ctx.body();
    let mut settings = quota::settings(tx).await?;
    if let Some(paths) = body.list("rate_limit_exempt_paths")? {
        settings.rate_limit_exempt_paths = paths;
    }
    if let Some(paths) = body.list("absolute_rate_limit_exempt_paths")? {
        settings.absolute_rate_limit_exempt_paths = paths;
    }
    if let Some(flag) = body.bool("enable_rate_limit_audit_logging")? {
        settings.enable_rate_limit_audit_logging = flag;
    }
    if let Some(flag) = body.bool("enable_rate_limit_response_headers")? {
        settings.enable_rate_limit_response_headers = flag;
    }
    quota::store_settings(tx, &settings).await?;
    Ok(changed())
}
