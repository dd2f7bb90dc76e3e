//! What follows a commit: memory follows storage, and what was revoked is cleared away. The answer
//! waits for it.

use std::sync::Arc;

use super::fault::Fault;
use super::reply::{After, Reply};
use super::retry::committed;
use super::revoke::{Children, revoke, revoke_all};
use super::unsealed::Unsealed;
use super::{Core, audit_device, identity, leak, lease, mount, quota, token};

pub async fn carry_out(
    core: &Core,
    vault: &Arc<Unsealed>,
    mut reply: Reply,
) -> Result<Reply, Fault> {
    match reply.after.take() {
        None => {}
        // Done by the core when the request no longer holds the gate open.
        Some(After::Seal) => reply.after = Some(After::Seal),
        Some(After::Cors) => vault.reload_cors().await?,
        Some(After::Quotas) => quota::reload(vault).await?,
        Some(After::Policies) => vault.policies_changed(),
        Some(After::Groups) => vault.memberships.changed(),
        Some(After::DeleteEntities(ids)) => identity::delete_all(vault, &ids).await?,
        Some(After::Mounts {
            purge,
            ending,
            told,
        }) => {
            vault.reload_mounts().await?;
            tell(vault, &told).await?;
            if let Some(number) = purge {
                purge_mount(vault, number).await?;
            }
            if let Some(ending) = ending {
                lease::end(vault, &ending).await?;
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
        Some(After::Leaked { id, asked }) => {
            leak::carry_out(core, vault, id.as_deref(), asked).await?;
        }
        Some(After::EndLeases { ending, wait }) => match wait {
            true => lease::end(vault, &ending).await?,
            false => drop(tokio::spawn(lease::end_later(
                Arc::downgrade(vault),
                ending,
            ))),
        },
        Some(After::AuditEnabled(device)) => audit_device::open(core, vault, &device).await?,
        Some(After::AuditDisabled(label)) => drop(core.audit.remove(&label)),
        Some(After::RevokeMount(number)) => {
            vault.reload_mounts().await?;
            revoke_issued_by(vault, number).await?;
            purge_mount(vault, number).await?;
        }
    }
    Ok(reply)
}

/// Subscribers hear of a mount once requests find the new table: whoever reads again then reads right.
async fn tell(vault: &Unsealed, told: &[(String, &'static str)]) -> Result<(), Fault> {
    committed!(vault, |tx| {
        let mut view = tx.view(mount::reserved::MOUNTS);
        told.iter()
            .for_each(|(path, what)| view.announce(path, what, 0));
        Ok(())
    })
}

/// Revokes every token that a login mount issued.
async fn revoke_issued_by(vault: &Unsealed, number: u64) -> Result<(), Fault> {
    let mut walk = lease::Walk::below("");
    while let Some((_, entries)) = walk.next(&mut vault.barrier.begin()).await? {
        let ids = entries.iter().filter_map(lease::fingerprint).collect();
        revoke_all(vault, &issued_by(vault, number, ids).await?).await?;
    }
    let endless = token::endless(&mut vault.barrier.begin()).await?;
    revoke_all(vault, &issued_by(vault, number, endless).await?).await
}

async fn issued_by(vault: &Unsealed, number: u64, ids: Vec<String>) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for id in ids {
        let token = token::find_by_id(&vault.barrier, &id).await?;
        if token.is_some_and(|token| token.mount == number) {
            found.push(id);
        }
    }
    Ok(found)
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
