//! Removal of secret ids that expired or whose role was deleted, a few in each transaction.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{AccessorRef, Role, SecretId, accessor_row, accessors, secret_id_row};
use super::secret_id::remove;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Secret ids looked at in one transaction: each costs up to three rows.
const CHUNK: usize = 10;
const DEAD: &str = "dead";
const CURSOR: &str = "tidy";

/// The last secret id that the running pass looked at.
#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    role: String,
    accessor: String,
}

/// Starts a pass over all roles and does its first steps; `tidy` goes on where it ended.
pub(super) async fn start(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    if !view.exists(CURSOR).await? {
        view.put_unlisted(CURSOR, &Cursor::default()).await?;
    }
    tidy(ctx.now(), view).await?;
    let text = "Tidy operation successfully started. Any information from the operation will be printed to \
        Vault's server logs.";
    Ok(Reply::none().warn(text).status(202))
}

/// Removes what fits into one transaction. True if there is more to do, for which to call again in
/// a new transaction. Without a pass under way it only looks after deleted roles.
pub async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    if let Some(generation) = view.list(DEAD).await?.first() {
        collect(view, generation).await?;
        return Ok(true);
    }
    let Some(cursor) = view.get::<Cursor>(CURSOR).await? else {
        return Ok(false);
    };
    match sweep(now, view, cursor).await? {
        Some(next) => view.put_unlisted(CURSOR, &next).await?,
        None => {
            view.delete_unlisted(CURSOR).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Begins the removal of all secret ids of a deleted role.
pub(super) async fn bury(view: &mut View<'_>, generation: &str) -> Result<(), Fault> {
    if remove_some(view, generation).await? {
        view.put(&format!("{DEAD}/{generation}"), &()).await?;
    }
    Ok(())
}

async fn collect(view: &mut View<'_>, generation: &str) -> Result<(), Fault> {
    if !remove_some(view, generation).await? {
        view.delete(&format!("{DEAD}/{generation}")).await?;
    }
    Ok(())
}

/// True if some are left.
async fn remove_some(view: &mut View<'_>, generation: &str) -> Result<bool, Fault> {
    let all = view.list(&accessors(generation)).await?;
    for accessor in all.iter().take(CHUNK) {
        if let Some(fingerprint) = fingerprint_of(view, generation, accessor).await? {
            remove(view, generation, accessor, &fingerprint).await?;
        }
    }
    Ok(all.len() > CHUNK)
}

async fn fingerprint_of(
    view: &mut View<'_>,
    generation: &str,
    accessor: &str,
) -> Result<Option<String>, Fault> {
    let Some(row) = accessor_row(generation, accessor) else {
        return Ok(None);
    };
    Ok(view
        .get::<AccessorRef>(&row)
        .await?
        .map(|found| found.fingerprint))
}

/// Looks at the next secret ids; `None` after the last role.
async fn sweep(
    now: Timestamp,
    view: &mut View<'_>,
    cursor: Cursor,
) -> Result<Option<Cursor>, Fault> {
    let Some(name) = view
        .list("role")
        .await?
        .into_iter()
        .find(|name| *name >= cursor.role)
    else {
        return Ok(None);
    };
    let seen = if name == cursor.role {
        cursor.accessor
    } else {
        String::new()
    };
    let Some(role) = view.get::<Role>(&format!("role/{name}")).await? else {
        return Ok(None);
    };
    let rest = view
        .list(&accessors(&role.generation))
        .await?
        .into_iter()
        .filter(|accessor| *accessor > seen);
    let chunk: Vec<String> = rest.take(CHUNK).collect();
    for accessor in &chunk {
        remove_expired(now, view, &role.generation, accessor).await?;
    }
    // The smallest name after this one: itself and one more byte.
    let next_role = || Cursor {
        role: format!("{name}\0"),
        accessor: String::new(),
    };
    let last = chunk.into_iter().next_back();
    Ok(Some(last.map_or_else(next_role, |accessor| Cursor {
        role: name.clone(),
        accessor,
    })))
}

async fn remove_expired(
    now: Timestamp,
    view: &mut View<'_>,
    generation: &str,
    accessor: &str,
) -> Result<(), Fault> {
    let Some(fingerprint) = fingerprint_of(view, generation, accessor).await? else {
        return Ok(());
    };
    let secret_id: Option<SecretId> = view.get(&secret_id_row(generation, &fingerprint)).await?;
    if secret_id.is_none_or(|secret_id| secret_id.expired(now)) {
        remove(view, generation, accessor, &fingerprint).await?;
    }
    Ok(())
}
