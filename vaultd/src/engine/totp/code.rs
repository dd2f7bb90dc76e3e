//! Codes: the one of now, and whether one is good.

use serde_json::json;
use vault_crypto::SecretBytes;
use zeroize::Zeroizing;

use super::model::{Key, row};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn generate(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let key = existing(view, &row(ctx)?).await?;
    let code = key.code(now(ctx, &key)?)?;
    Ok(Reply::json(json!({ "code": *code })))
}

/// A code that was accepted is never accepted again: of many that present it at once, the store
/// lets one commit, and the others find it used.
pub(super) async fn validate(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = row(ctx)?;
    let given = Zeroizing::new(ctx.body().required("code")?);
    let mut key = existing(view, &row).await?;
    // White space or other digits would be further spellings of a used code (CVE-2025-6014).
    if given.len() != key.digits as usize || !given.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::invalid(format!(
            "the code must have {} digits and nothing else",
            key.digits
        )));
    }
    let now = now(ctx, &key)?;
    let given = SecretBytes::from_slice(given.as_bytes());
    let mut found = None;
    for period in now.saturating_sub(key.skew)..=now.saturating_add(key.skew) {
        let code = SecretBytes::from_slice(key.code(period)?.as_bytes());
        // No early end, which would tell by its time which period it was.
        if code.ct_eq(&given) {
            found = Some(period);
        }
    }
    let Some(period) = found else {
        return Ok(Reply::json(json!({ "valid": false })));
    };
    if key.used.contains(&period) {
        return Err(Fault::invalid(
            "code already used; wait until the next time period",
        ));
    }
    key.used.retain(|used| used.saturating_add(key.skew) >= now);
    key.used.push(period);
    key.store(view, &row).await?;
    Ok(Reply::json(json!({ "valid": true })))
}

async fn existing(view: &mut View<'_>, row: &str) -> Result<Key, Fault> {
    let key = Key::load(view, row).await?;
    key.ok_or_else(|| Fault::invalid("unknown key: no TOTP key of that name"))
}

/// Number of the current period.
fn now(ctx: &Ctx<'_>, key: &Key) -> Result<u64, Fault> {
    let seconds = u64::try_from(ctx.now().as_second())
        .map_err(|_| Fault::Internal("the clock is before 1970"))?;
    Ok(seconds / key.period.max(1))
}
