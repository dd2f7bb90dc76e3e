//! Presented token -> `Caller`. Nobody else makes one.

use std::sync::Arc;

use super::caller::Caller;
use super::fault::Fault;
use super::request::Request;
use super::retry::committed;
use super::token;
use super::unsealed::Unsealed;

/// Every way to fail looks the same from outside.
pub async fn authenticate(vault: &Unsealed, request: &Request) -> Result<Caller, Fault> {
    let secret = request
        .token
        .as_ref()
        .filter(|token| !token.is_empty())
        .ok_or(Fault::BadToken)?;
    let (id, token) = vault
        .tokens
        .find(&vault.barrier, secret)
        .await?
        .ok_or(Fault::BadToken)?;
    if !token.usable(request.now, request.remote) {
        return Err(Fault::BadToken);
    }
    let standing = match token.entity_id.is_empty() {
        true => None,
        false => Box::pin(vault.standing(&token, request.now)).await?,
    };
    let acl = match &standing {
        Some(standing) => Arc::clone(&standing.acl),
        None => vault.acl(&token.policies, request.now).await?,
    };
    Ok(Caller {
        id: id.into(),
        token,
        acl,
        standing,
        last_use: false,
    })
}

/// Takes one use of a token with a limit, even if the request is denied later. The last use
/// removes the token.
pub async fn take_use(vault: &Unsealed, caller: Caller) -> Result<Caller, Fault> {
    let left = committed!(vault, |tx| token::take_use(tx, &caller.id).await)?;
    let left = left.ok_or(Fault::BadToken)?;
    Ok(Caller {
        last_use: left.num_uses == 0,
        token: Arc::new(left),
        ..caller
    })
}
