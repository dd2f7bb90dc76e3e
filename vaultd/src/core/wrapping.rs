//! Response wrapping: the answer stays in the cubbyhole of a token with one use.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_proto::{Sensitive, WrapInfo};

use super::envelope;
use super::fault::Fault;
use super::mount::Kind;
use super::reply::{Data, Reply};
use super::request::Request;
use super::token::{self, Token, plus};
use super::unsealed::Unsealed;
use crate::barrier::{Tx, View};
use crate::policy::PolicyName;

/// Stored beside the wrapped answer.
#[derive(Serialize, Deserialize)]
struct WrapNote {
    creation_time: String,
    creation_ttl: u64,
    creation_path: String,
}

fn cubbyhole(vault: &Unsealed) -> Result<u64, Fault> {
    let mounts = vault.mounts.load();
    let mount = mounts
        .iter()
        .find(|mount| mount.kind == Kind::Cubbyhole)
        .map(|mount| mount.number);
    mount.ok_or(Fault::Internal("no cubbyhole"))
}

/// Puts an answer away and answers with where it is.
pub async fn wrap(
    vault: &Unsealed,
    tx: &mut Tx,
    reply: Reply,
    ttl: Duration,
    request: &Request,
) -> Result<Reply, Fault> {
    let ttl = ttl.as_secs();
    let body = envelope::encode(&reply, &request.id)?.unwrap_or_default();
    let text = String::from_utf8(body).map_err(|_| Fault::Internal("wrapped answer"))?;
    let token = Token {
        policies: vec![PolicyName::response_wrapping()],
        path: request.path.as_str().to_owned(),
        display_name: String::new(),
        num_uses: 1,
        creation_ttl: ttl,
        expires: Some(plus(request.now, ttl)),
        ..Token::new(request.now)
    };
    let issued = vault.tokens.issue(tx, token, None, vault.random()).await?;
    let number = cubbyhole(vault)?;
    let note = WrapNote {
        creation_time: request.now.to_string(),
        creation_ttl: ttl,
        creation_path: request.path.as_str().to_owned(),
    };
    keep(tx.view(number), &issued.id, text, &note).await?;
    Ok(Reply {
        wrap_info: Some(Box::new(WrapInfo {
            token: Sensitive::new(issued.secret.to_string()),
            accessor: issued.token.accessor,
            ttl,
            creation_time: note.creation_time,
            creation_path: note.creation_path,
            wrapped_accessor: accessor_in(&reply),
        })),
        after: reply.after,
        ..Reply::default()
    })
}

/// The accessor of the token, or of the secret id, that travels in the answer: who hands it on can
/// revoke it without seeing it.
fn accessor_in(reply: &Reply) -> Option<String> {
    match (&reply.auth, &reply.data) {
        (Some(auth), _) => Some(auth.accessor.clone()),
        (None, Data::Map(map)) if reply.mount_type == "approle" => {
            Some(map.get("secret_id_accessor")?.as_str()?.to_owned())
        }
        _ => None,
    }
}

async fn keep(mut view: View<'_>, id: &str, text: String, note: &WrapNote) -> Result<(), Fault> {
    let response = BTreeMap::from([("response", Value::from(text))]);
    view.put(&format!("{id}/response"), &response).await?;
    Ok(view.put(&format!("{id}/wrapinfo"), note).await?)
}

async fn note_of(mut view: View<'_>, id: &str) -> Result<WrapNote, Fault> {
    let note = view.get(&format!("{id}/wrapinfo")).await?;
    note.ok_or_else(invalid)
}

fn invalid() -> Fault {
    Fault::invalid("wrapping token is not valid or does not exist")
}

/// The wrapping token that a request names.
async fn find(
    vault: &Unsealed,
    tx: &mut Tx,
    secret: &str,
    request: &Request,
) -> Result<(String, Token), Fault> {
    let id = vault.tokens.fingerprint(secret);
    let token = token::get(tx, &id).await?.ok_or_else(invalid)?;
    let wraps = token.policies.iter().any(PolicyName::is_response_wrapping);
    if !wraps || !token.usable(request.now, request.remote) {
        return Err(invalid());
    }
    Ok((id, token))
}

/// Takes the answer out; the token is gone with it, in the same commit.
pub async fn unwrap(
    vault: &Unsealed,
    tx: &mut Tx,
    secret: &str,
    request: &Request,
) -> Result<Reply, Fault> {
    let (id, token) = find(vault, tx, secret, request).await?;
    let text = take(vault, tx, &id, &token).await?;
    Ok(Reply {
        data: Data::Raw(text),
        bare: true,
        ..Reply::default()
    })
}

async fn take(vault: &Unsealed, tx: &mut Tx, id: &str, token: &Token) -> Result<String, Fault> {
    let number = cubbyhole(vault)?;
    let row = format!("{id}/response");
    let mut stored: BTreeMap<String, String> =
        tx.view(number).get(&row).await?.ok_or_else(invalid)?;
    tx.view(number).delete(&row).await?;
    tx.view(number).delete(&format!("{id}/wrapinfo")).await?;
    token::remove(tx, id, token).await?;
    token::finished(tx, id).await?;
    stored.remove("response").ok_or_else(invalid)
}

/// When, where and for how long it was wrapped. Does not use the token up.
pub async fn lookup(
    vault: &Unsealed,
    tx: &mut Tx,
    secret: &str,
    request: &Request,
) -> Result<Reply, Fault> {
    let (id, _) = find(vault, tx, secret, request).await?;
    let number = cubbyhole(vault)?;
    let note = note_of(tx.view(number), &id).await?;
    Reply::of(&note)
}

/// Moves the answer to a new token.
pub async fn rewrap(
    vault: &Unsealed,
    tx: &mut Tx,
    secret: &str,
    request: &Request,
) -> Result<Reply, Fault> {
    let (id, token) = find(vault, tx, secret, request).await?;
    let number = cubbyhole(vault)?;
    let note = note_of(tx.view(number), &id).await?;
    let text = take(vault, tx, &id, &token).await?;
    let new = Token {
        expires: Some(plus(request.now, note.creation_ttl)),
        created: request.now,
        num_uses: 1,
        ..token
    };
    let issued = vault.tokens.issue(tx, new, None, vault.random()).await?;
    keep(tx.view(number), &issued.id, text, &note).await?;
    Ok(Reply {
        wrap_info: Some(Box::new(WrapInfo {
            token: Sensitive::new(issued.secret.to_string()),
            accessor: issued.token.accessor,
            ttl: note.creation_ttl,
            creation_time: request.now.to_string(),
            creation_path: note.creation_path,
            wrapped_accessor: None,
        })),
        ..Reply::default()
    })
}

/// What `sys/wrapping/wrap` was given, to be wrapped by the pipeline.
pub fn given(request: &Request) -> Result<Reply, Fault> {
    if request.wrap_ttl.is_none() {
        return Err(Fault::invalid(
            "endpoint requires response wrapping to be used",
        ));
    }
    Ok(Reply {
        data: Data::Raw(request.body.to_json()),
        ..Reply::default()
    })
}
