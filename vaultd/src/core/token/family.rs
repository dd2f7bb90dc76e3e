//! A token's children, and revocations of whole families that are under way.

use super::{get, store};
use crate::barrier::Tx;
use crate::core::fault::Fault;
use crate::core::mount::reserved;

/// Fingerprints of a token's children.
pub async fn children(tx: &mut Tx, id: &str) -> Result<Vec<String>, Fault> {
    Ok(tx
        .view(reserved::TOKENS)
        .list(&format!("child/{id}"))
        .await?)
}

/// Makes a child an orphan.
pub async fn orphan(tx: &mut Tx, parent: &str, child: &str) -> Result<(), Fault> {
    if let Some(mut token) = get(tx, child).await? {
        token.parent = None;
        store(&mut tx.view(reserved::TOKENS), child, &token).await?;
    }
    Ok(tx
        .view(reserved::TOKENS)
        .delete(&format!("child/{parent}/{child}"))
        .await?)
}

/// Revocations that were begun and not finished.
pub async fn unfinished(tx: &mut Tx) -> Result<Vec<String>, Fault> {
    Ok(tx.view(reserved::TOKENS).list("revoking").await?)
}

pub async fn finished(tx: &mut Tx, id: &str) -> Result<(), Fault> {
    Ok(tx
        .view(reserved::TOKENS)
        .delete(&format!("revoking/{id}"))
        .await?)
}
