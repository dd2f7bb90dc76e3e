//! Leases of engines: what an engine gave until a time, and takes back when the lease is revoked, when
//! the token that asked is, or when the time has come.
//!
//! ```text
//! lease/<path>/p<id>     the promise, below the path that gave it
//! promised/<token>/<id>  that path, for when the token goes
//! due time               its end
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::barrier::Tx;
use crate::core::caller::Caller;
use crate::core::dispatch;
use crate::core::fault::Fault;
use crate::core::mount::{Mount, reserved};
use crate::core::quota::{self, Reservation};
use crate::core::reply::{LeaseInfo, Promised};
use crate::core::request::Request;
use crate::core::retry::committed;
use crate::core::token::{self, seconds_between};
use crate::core::unsealed::Unsealed;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Promise {
    /// Number of the mount that gave it.
    pub mount: u64,
    /// What the engine knows it by.
    pub about: String,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Fingerprint of the token that asked.
    pub token: Option<String>,
}

/// What a due row says.
#[derive(Serialize, Deserialize)]
pub struct DuePromise {
    pub lease: String,
}

/// Bytes of an id.
const ID: usize = 16;

/// The id at the end of a lease id, or of an entry: they have a letter of their own.
fn number(lease: &str) -> Option<[u8; ID]> {
    let (_, name) = lease.rsplit_once('/').unwrap_or(("", lease));
    let digits = name.strip_prefix('p')?;
    let is_lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut id = [0; ID];
    (is_lower && hex::decode_to_slice(digits, &mut id).is_ok()).then_some(id)
}

/// Whether an entry of a folder, or a lease id, is an engine's.
pub fn is_promise(lease: &str) -> bool {
    number(lease).is_some()
}

fn row(lease: &str) -> String {
    format!("lease/{lease}")
}

fn owner_row(token: &str, id: &[u8; ID]) -> String {
    format!("promised/{token}/{}", hex::encode(id))
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// Stores what an engine promised to a caller. A batch token has no rows that its end could find: its
/// leases end with it by time.
pub async fn give(
    vault: &Unsealed,
    promised: Promised,
    mount: &Mount,
    caller: Option<&Caller>,
    request: &Request,
    tx: &mut Tx,
) -> Result<(LeaseInfo, Option<Reservation>), Fault> {
    let path = request.path.as_str().trim_matches('/');
    let place = quota::reserve(vault, mount, path, "").await?;
    let batch = caller.filter(|caller| caller.token.is_batch());
    let batch_end = batch.and_then(|caller| caller.token.expires);
    let expires = batch_end.map_or(promised.expires, |end| end.min(promised.expires));
    let owner = caller.filter(|caller| !caller.token.is_batch());
    // A token that is revoked meanwhile makes this commit fail, and owns nothing after that.
    if let Some(owner) = owner.filter(|owner| !owner.last_use)
        && token::get(tx, &owner.id).await?.is_none()
    {
        return Err(Fault::BadToken);
    }
    let promise = Promise {
        mount: mount.number,
        about: promised.about,
        created: request.now,
        expires,
        token: owner.map(|caller| caller.id.to_string()),
    };
    let mut id = [0; ID];
    vault.random().fill(&mut id);
    let lease = format!("{path}/p{}", hex::encode(id));
    let mut view = tx.view(reserved::TOKENS);
    view.put(&row(&lease), &promise).await?;
    if let Some(token) = &promise.token {
        view.put(&owner_row(token, &id), &path).await?;
    }
    let due = DuePromise {
        lease: lease.clone(),
    };
    let payload = serde_json::to_vec(&due).map_err(|_| Fault::Internal("due time"))?;
    tx.put_due(millis(expires), &id, &payload).await?;
    let info = LeaseInfo {
        id: lease,
        renewable: false,
        duration: seconds_between(request.now, expires),
    };
    Ok((info, place))
}

/// The promise with this lease id.
pub async fn find(tx: &mut Tx, lease: &str) -> Result<Option<Promise>, Fault> {
    let lease = lease.trim_start_matches('/');
    // An id that no row can have is unknown, like any other.
    match number(lease) {
        Some(_) => Ok(tx.view(reserved::TOKENS).get(&row(lease)).await?),
        None => Ok(None),
    }
}

/// Takes back what a lease promised; unknown is fine. A mount that is gone took it along.
pub async fn end(vault: &Unsealed, lease: &str, tx: &mut Tx) -> Result<(), Fault> {
    let lease = lease.trim_start_matches('/');
    let (Some(id), Some(promise)) = (number(lease), find(tx, lease).await?) else {
        return Ok(());
    };
    if let Some(mount) = vault.mounts.load().by_number(promise.mount) {
        dispatch::take_back(mount, &promise.about, (vault.clock)(), tx).await?;
    }
    let mut view = tx.view(reserved::TOKENS);
    view.delete(&row(lease)).await?;
    if let Some(token) = &promise.token {
        view.delete(&owner_row(token, &id)).await?;
    }
    tx.delete_due(millis(promise.expires), &id).await?;
    Ok(())
}

/// The same for many, each in its own commit.
pub async fn end_all(vault: &Unsealed, leases: impl Iterator<Item = String>) -> Result<(), Fault> {
    for lease in leases {
        committed!(vault, |tx| end(vault, &lease, tx).await)?;
        // There may be very many, and others want to be served.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Those below a folder of `Walk`'s.
pub fn below<'a>(folder: &'a str, entries: &'a [String]) -> impl Iterator<Item = String> + 'a {
    let path = folder.strip_prefix("lease/").unwrap_or_default();
    entries
        .iter()
        .filter(|entry| is_promise(entry))
        .map(move |entry| format!("{path}/{entry}"))
}

/// Whether a token was promised anything that has not ended.
pub async fn has_any(tx: &mut Tx, token: &str) -> Result<bool, Fault> {
    let mut view = tx.view(reserved::TOKENS);
    Ok(!view.list(&format!("promised/{token}")).await?.is_empty())
}

/// Takes back what was promised to a token.
pub async fn end_of(vault: &Unsealed, token: &str) -> Result<(), Fault> {
    let folder = format!("promised/{token}");
    let ids = {
        let mut tx = vault.barrier.begin();
        tx.view(reserved::TOKENS).list(&folder).await?
    };
    for id in ids {
        committed!(vault, |tx| {
            let row = format!("{folder}/{id}");
            let path: Option<String> = tx.view(reserved::TOKENS).get(&row).await?;
            match path {
                Some(path) => end(vault, &format!("{path}/p{id}"), tx).await,
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}
