//! When the key of new records is replaced by itself.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::reserved;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

const ROW: &str = "rotation";
/// What Vault allows a key with 96-bit nonces. Ours have 192 bits and do not wear out.
const MAX_OPERATIONS: i64 = 3_865_470_566;
const INTERVAL_MIN: u64 = 24 * 3600;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub enabled: bool,
    /// Seconds; 0 is never.
    pub interval: u64,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation {
            enabled: true,
            interval: 0,
        }
    }
}

async fn load(tx: &mut Tx) -> Result<Rotation, Fault> {
    let stored = tx.view(reserved::SYSTEM).get(ROW).await?;
    Ok(stored.unwrap_or_default())
}

pub async fn read(tx: &mut Tx) -> Result<Reply, Fault> {
    let rotation = load(tx).await?;
    Ok(Reply::json(json!({
        "enabled": rotation.enabled,
        "interval": rotation.interval,
        "max_operations": MAX_OPERATIONS,
    })))
}

pub async fn write(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let mut rotation = load(tx).await?;
    let body = ctx.body();
    if body
        .int("max_operations")?
        .is_some_and(|max| max != MAX_OPERATIONS)
    {
        return Err(Fault::invalid(format!(
            "max_operations is fixed at {MAX_OPERATIONS}: nonces have 192 bits and keys do not wear out; use 'interval'"
        )));
    }
    if let Some(flag) = body.bool("enabled")? {
        rotation.enabled = flag;
    }
    if let Some(seconds) = body.seconds("interval")? {
        if seconds != 0 && seconds < INTERVAL_MIN {
            return Err(Fault::invalid("interval must be 0 or at least 24 hours"));
        }
        rotation.interval = seconds;
    }
    tx.view(reserved::SYSTEM).put(ROW, &rotation).await?;
    Ok(Reply::none())
}

/// Adds a term if it is time to; true if it was.
pub async fn rotate_if_due(vault: &Unsealed, now: jiff::Timestamp) -> Result<bool, Fault> {
    let rotation = load(&mut vault.barrier.begin()).await?;
    let age = now.as_millisecond() - vault.barrier.keyring().current_since_ms();
    let age = u64::try_from(age).unwrap_or(0) / 1000;
    if !rotation.enabled || rotation.interval == 0 || age < rotation.interval {
        return Ok(false);
    }
    let term = vault.barrier.rotate(now.as_millisecond()).await?;
    tracing::info!(term, "key term added, as sys/rotate/config says");
    Ok(true)
}
