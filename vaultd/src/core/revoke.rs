//! Revocation: the token, its children, its cubbyhole. All of it before the revoking call answers.
//!
//! The token's own row goes first, in one commit with a mark; what hangs off it follows in small
//! commits, and a mark that is still there at unseal is worked off then.

use super::fault::Fault;
use super::mount::Kind;
use super::retry::committed;
use super::token;
use super::unsealed::Unsealed;
use crate::engine::cubbyhole;

/// What becomes of the children.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Children {
    Revoke,
    Orphan,
}

/// Revokes a token by its fingerprint. Unknown is fine.
pub async fn revoke(vault: &Unsealed, id: &str, children: Children) -> Result<(), Fault> {
    if children == Children::Orphan {
        orphan_children(vault, id).await?;
    }
    let removed = committed!(vault, |tx| match token::get(tx, id).await? {
        None => Ok(false),
        Some(token) => token::remove(tx, id, &token).await.map(|()| true),
    })?;
    if removed {
        finish(vault, id).await?;
    }
    Ok(())
}

/// Works off what hangs off removed tokens.
pub async fn finish(vault: &Unsealed, id: &str) -> Result<(), Fault> {
    let mut queue = vec![id.to_owned()];
    while let Some(id) = queue.pop() {
        for child in token::children(&mut vault.barrier.begin(), &id).await? {
            committed!(vault, |tx| match token::get(tx, &child).await? {
                Some(token) => token::remove(tx, &child, &token).await,
                None => token::orphan(tx, &id, &child).await,
            })?;
            queue.push(child);
        }
        clear_cubbyhole(vault, &id).await?;
        committed!(vault, |tx| token::finished(tx, &id).await)?;
    }
    Ok(())
}

async fn orphan_children(vault: &Unsealed, id: &str) -> Result<(), Fault> {
    for child in token::children(&mut vault.barrier.begin(), id).await? {
        committed!(vault, |tx| token::orphan(tx, id, &child).await)?;
    }
    Ok(())
}

async fn clear_cubbyhole(vault: &Unsealed, id: &str) -> Result<(), Fault> {
    let mounts = vault.mounts.load_full();
    let Some(mount) = mounts.iter().find(|mount| mount.kind == Kind::Cubbyhole) else {
        return Ok(());
    };
    while committed!(vault, |tx| cubbyhole::purge(&mut tx.view(mount.number), id)
        .await)?
    {}
    Ok(())
}
