//! `sys/leaked`: whoever finds a token hands it in, and it is worth nothing any more.
//!
//! Promises: needs no token, answers the same and as late whether the token was one of ours or not, and
//! a token that was is revoked with all that hangs off it before the answer leaves. Batch tokens, of which
//! nothing is stored otherwise, are remembered as leaked until they would have ended.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Core;
use super::context::Ctx;
use super::fault::Fault;
use super::mount::reserved;
use super::quota::{Limiter, RateLimit, Scope};
use super::reply::{After, Reply};
use super::retry::committed;
use super::revoke::{Children, revoke};
use super::unsealed::Unsealed;
use crate::barrier::Tx;

const FOLDER: &str = "leaked";
/// What subscribers are told.
pub const LEAKED: &str = "leaked";
/// An address may hand in this many at once, and one more each second.
const BURST: u32 = 60;
/// Answers leave when a whole number of these has passed. To revoke a token takes less, unless much
/// hangs off it.
const BEAT: Duration = Duration::from_millis(100);
/// Days for which it is remembered what was handed in.
const REMEMBERED: i64 = 90;

/// What is known of a token that was handed in.
#[derive(Serialize, Deserialize)]
struct Leak {
    reported: Timestamp,
    /// Who handed it in.
    remote: IpAddr,
    display_name: String,
    /// The request that made it.
    path: String,
    batch: bool,
    expires: Option<Timestamp>,
}

impl Leak {
    fn is_over(&self, now: Timestamp) -> bool {
        let ended = !self.batch || self.expires.is_some_and(|end| end <= now);
        let end = self
            .reported
            .checked_add(SignedDuration::from_hours(24 * REMEMBERED));
        ended && end.is_ok_and(|end| end <= now)
    }
}

/// How often an address may ask.
pub fn limiter() -> Limiter {
    let limit = RateLimit {
        scope: Scope::default(),
        rate: f64::from(BURST),
        interval: u64::from(BURST),
        block_interval: 0,
        inheritable: false,
    };
    Limiter::new(FOLDER.to_owned(), limit)
}

/// Counts a report.
pub fn admit(core: &Core, ctx: &Ctx<'_>) -> Result<(), Fault> {
    match core.leaks.take(ctx.request.remote, ctx.now()) {
        (true, _) => Ok(()),
        (false, standing) => Err(Fault::Limited {
            retry_after: standing.reset,
        }),
    }
}

pub async fn report(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let secret = ctx.body().required("token")?;
    let answer = |id| Reply {
        after: Some(After::Leaked {
            id,
            asked: ctx.now(),
        }),
        ..Reply::none()
    };
    let Some((id, token)) = vault.tokens.find(&vault.barrier, secret.trim()).await? else {
        return Ok(answer(None));
    };
    let leak = Leak {
        reported: ctx.now(),
        remote: ctx.request.remote,
        display_name: token.display_name.clone(),
        path: token.path.clone(),
        batch: token.batch,
        expires: token.expires,
    };
    let mut view = tx.view(reserved::TOKENS);
    view.put(&format!("{FOLDER}/{id}"), &leak).await?;
    view.announce(&id, LEAKED, 0);
    tracing::warn!(
        display_name = leak.display_name,
        "a leaked token was handed in: revoking it"
    );
    Ok(answer(Some(id)))
}

/// After the commit. The answer leaves on a beat that the token has no part in.
pub async fn carry_out(
    core: &Core,
    vault: &Unsealed,
    id: Option<&str>,
    asked: Timestamp,
) -> Result<(), Fault> {
    if let Some(id) = id {
        void(vault, id).await?;
    }
    let passed = (core.clock)().duration_since(asked).unsigned_abs();
    let beats = passed.as_millis() / BEAT.as_millis() + 1;
    let until = BEAT.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX));
    tokio::time::sleep(until.saturating_sub(passed)).await;
    Ok(())
}

/// A batch token has no row: that it is remembered is all there is to do.
async fn void(vault: &Unsealed, id: &str) -> Result<(), Fault> {
    vault.tokens.batch.leaked.rcu(|leaked| {
        let mut leaked = HashSet::clone(leaked);
        leaked.insert(id.to_owned());
        leaked
    });
    revoke(vault, id, Children::Revoke).await
}

/// What was handed in, by accessor.
pub async fn list(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let mut view = tx.view(reserved::TOKENS);
    let ids = ctx.page(view.list(FOLDER).await?)?;
    let mut info = BTreeMap::new();
    for id in &ids {
        if let Some(leak) = view.get::<Leak>(&format!("{FOLDER}/{id}")).await? {
            let shown = json!({
                "reported": leak.reported.to_string(),
                "remote_address": leak.remote,
                "display_name": leak.display_name,
                "path": leak.path,
                "type": if leak.batch { "batch" } else { "service" },
            });
            info.insert(id.clone(), shown);
        }
    }
    Reply::list_with_info(ids, info)
}

/// At unseal: which batch tokens are worth nothing, without those that ended long ago.
pub async fn load(vault: &Unsealed, now: Timestamp) -> Result<(), Fault> {
    let ids = vault
        .barrier
        .begin()
        .view(reserved::TOKENS)
        .list(FOLDER)
        .await?;
    let mut leaked = HashSet::new();
    for id in ids {
        let row = format!("{FOLDER}/{id}");
        let over = committed!(vault, |tx| {
            let mut view = tx.view(reserved::TOKENS);
            let over = view
                .get::<Leak>(&row)
                .await?
                .is_none_or(|leak| leak.is_over(now));
            if over {
                view.delete(&row).await?;
            }
            Ok(over)
        })?;
        if !over {
            leaked.insert(id);
        }
    }
    vault.tokens.batch.leaked.store(Arc::new(leaked));
    Ok(())
}
