//! What follows a commit: memory follows storage, and what was revoked is cleared away. The answer
//! waits for it.

use std::sync::Arc;

use super::fault::Fault;
use super::reply::{After, Reply};
use super::retry::committed;
use super::revoke::{Children, revoke};
use super::unsealed::Unsealed;
use super::{Core, accessors, identity, lease, mount, token};
use crate::barrier::Window;

pub async fn carry_out(
    _core: &Core,
    vault: &Arc<Unsealed>,
    mut reply: Reply,
) -> Result<Reply, Fault> {
    match reply.after.take() {
        None => {}
        // Done by the core when the request no longer holds the gate open.
        Some(After::Seal) => reply.after = Some(After::Seal),
        Some(After::Cors) => vault.reload_cors().await?,
        Some(After::Policies) => vault.policies_changed(),
        Some(After::Groups) => vault.memberships.changed(),
        Some(After::DeleteEntities(ids)) => identity::delete_all(vault, &ids).await?,
        Some(After::Mounts { purge }) => {
            vault.reload_mounts().await?;
            if let Some(number) = purge {
                purge_mount(vault, number).await?;
            }
        }
        Some(After::Revoke(ids)) => {
            for id in ids {
                revoke(vault, &id, Children::Revoke).await?;
            }
        }
        Some(After::RevokeOrphan(ids)) => {
            for id in ids {
                revoke(vault, &id, Children::Orphan).await?;
            }
        }
        Some(After::EndLeases { ending, wait }) => match wait {
            true => lease::end(vault, &ending).await?,
            false => drop(tokio::spawn(lease::end_later(
                Arc::downgrade(vault),
                ending,
            ))),
        },
        Some(After::RevokeMount(number)) => {
            vault.reload_mounts().await?;
            revoke_issued_by(vault, number).await?;
            purge_mount(vault, number).await?;
        }
    }
    Ok(reply)
}

/// Revokes every token that a login mount issued.
async fn revoke_issued_by(vault: &Unsealed, number: u64) -> Result<(), Fault> {
    let accessors = accessors::list(&mut vault.barrier.begin(), &Window::default()).await?;
    for accessor in accessors {
        let mut tx = vault.barrier.begin();
        let Some(id) = token::by_accessor(&mut tx, &accessor).await? else {
            continue;
        };
        if token::get(&mut tx, &id)
            .await?
            .is_some_and(|token| token.mount == number)
        {
            revoke(vault, &id, Children::Revoke).await?;
        }
    }
    Ok(())
}

/// Deletes what a removed mount stored, in small commits, then the mark that says so.
pub async fn purge_mount(vault: &Unsealed, number: u64) -> Result<(), Fault> {
    while vault.barrier.purge(number).await? {
        tokio::task::yield_now().await;
    }
    committed!(vault, |tx| Ok(tx
        .view(mount::reserved::MOUNTS)
        .delete(&format!("purge/{number}"))
        .await?))
}

/// Works off what a stop interrupted.
pub async fn resume(vault: &Arc<Unsealed>) -> Result<(), Fault> {
    let purges = vault
        .barrier
        .begin()
        .view(mount::reserved::MOUNTS)
        .list("purge")
        .await?;
    for number in purges.iter().filter_map(|number| number.parse().ok()) {
        purge_mount(vault, number).await?;
    }
    for id in token::unfinished(&mut vault.barrier.begin()).await? {
        super::revoke::finish(vault, &id).await?;
    }
    for ending in lease::unfinished(&mut vault.barrier.begin()).await? {
        tokio::spawn(lease::end_later(Arc::downgrade(vault), ending));
    }
    Ok(())
}
