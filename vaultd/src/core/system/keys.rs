//! Key terms and integrity.

use serde_json::{Value, json};

use crate::barrier::{Damage, Problem, Report};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

pub fn status(vault: &Unsealed) -> Result<Reply, Fault> {
    let keyring = vault.barrier.keyring();
    let since = jiff::Timestamp::from_millisecond(keyring.current_since_ms())
        .map_err(|_| Fault::Internal("key time"))?;
    Ok(Reply::json(
        json!({"term": keyring.current().0, "install_time": since.to_string(), "encryptions": 0}),
    )
    .top_level())
}

pub async fn rotate(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let term = vault.barrier.rotate(ctx.now().as_millisecond()).await?;
    tracing::info!(term, "key term added");
    Ok(Reply::none())
}

/// Every row is opened; what is damaged is named with its mount.
pub async fn verify(vault: &Unsealed) -> Result<Reply, Fault> {
    let report = vault.barrier.verify().await?;
    Ok(Reply::json(shown(vault, &report)))
}

/// Goes on without what the named report shows as lost. What is refused, is refused before any change.
pub async fn accept(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let id = ctx.body().required("report")?;
    let lost = vault.barrier.accept(&id).await?.ok_or_else(|| {
        Fault::invalid(
            "this report does not show what is damaged now: verify again, and accept that report",
        )
    })?;
    tracing::warn!(
        report = id,
        damaged = lost.damaged.len(),
        "the loss of stored data was accepted"
    );
    let reply = Reply::json(shown(vault, &lost));
    let kept = lost
        .damaged
        .iter()
        .any(|damage| matches!(damage.problem, Problem::Outdated | Problem::Suspect));
    Ok(match kept {
        true => reply.warn(
            "rows that are or may be older copies were kept: revoke tokens that were revoked since",
        ),
        false => reply,
    })
}

fn shown(vault: &Unsealed, report: &Report) -> Value {
    let damaged: Vec<_> = report
        .damaged
        .iter()
        .map(|damage| {
            let mount = mount_of(vault, damage);
            json!({"mount": mount, "path": format!("{mount}{}", damage.path), "problem": damage.problem})
        })
        .collect();
    json!({
        "report": (!report.healthy()).then(|| report.id()),
        "healthy": report.healthy(),
        "rows": report.rows,
        "expected_rows": report.expected_rows,
        "rows_missing": report.rows_missing,
        "damaged": damaged,
    })
}

/// The path of the mount that a damaged row belongs to.
pub fn mount_of(vault: &Unsealed, damage: &Damage) -> String {
    let mount = vault
        .mounts
        .load()
        .by_number(damage.mount)
        .map(|mount| mount.path.clone());
    mount.unwrap_or_else(|| "internal:".to_owned())
}
