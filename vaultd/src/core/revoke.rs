//! Revocation: the token, its children, what engines promised to it, its cubbyhole. All of it before the revoking call answers.
//!
//! The token's own row goes first, in one commit with a mark; what hangs off it follows in small
//! commits, and a mark that is still there at unseal is worked off then.

use super::fault::Fault;
use super::lease::promise;
use super::mount::Kind;
use super::retry::committed;
use super::token;
use super::unsealed::Unsealed;
use crate::barrier::Tx;
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

/// Tokens in one commit: what it reads and writes should fit into a transaction.
const TOGETHER: usize = 6;

/// Revokes many tokens with all that hangs off them, several in one commit where nothing does.
pub async fn revoke_all(vault: &Unsealed, ids: &[String]) -> Result<(), Fault> {
    for ids in ids.chunks(TOGETHER) {
        let not_alone = committed!(vault, |tx| {
            let mut others = Vec::new();
            for id in ids {
                match token::get(tx, id).await? {
                    Some(token) if is_alone(vault, tx, id).await? => {
                        token::remove_alone(tx, id, &token).await?;
                    }
                    Some(_) => others.push(id),
                    None => {}
                }
            }
            Ok(others)
        });
        let one_by_one = match not_alone {
            // Too many folders become empty with them for one transaction.
            Err(Fault::Invalid(_)) => ids.iter().collect(),
            outcome => outcome?,
        };
        for id in one_by_one {
            revoke(vault, id, Children::Revoke).await?;
        }
        // There may be very many, and others want to be served.
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn is_alone(vault: &Unsealed, tx: &mut Tx, id: &str) -> Result<bool, Fault> {
    let cubbyhole = cubbyhole_mount(vault);
    let mut hangs_off = !token::children(tx, id).await?.is_empty();
    hangs_off |= promise::has_any(tx, id).await?;
    if let Some(number) = cubbyhole {
        hangs_off |= !tx.view(number).list(id).await?.is_empty();
    }
    Ok(!hangs_off)
}

fn cubbyhole_mount(vault: &Unsealed) -> Option<u64> {
    let mounts = vault.mounts.load();
    let found = mounts.iter().find(|mount| mount.kind == Kind::Cubbyhole);
    found.map(|mount| mount.number)
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
        promise::end_of(vault, &id).await?;
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
    let Some(number) = cubbyhole_mount(vault) else {
        return Ok(());
    };
    while committed!(vault, |tx| cubbyhole::purge(&mut tx.view(number), id).await)? {}
    Ok(())
}
