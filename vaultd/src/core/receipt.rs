//! Receipts of `sys/batch`: what was given out, signed with the key of the audit log.

use serde::Deserialize;
use serde_json::{Value, json};
use vault_proto::receipt::{Given, Receipt, Signed, message};

use super::caller::Caller;
use super::context::Ctx;
use super::fault::Fault;
use super::reply::Data;
use super::unsealed::Unsealed;

/// The part of an answer of KV version 2 that is no secret.
#[derive(Deserialize)]
struct Versioned {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

/// The version that an answer holds; 0 where there are none.
pub(super) fn version_of(data: &Data) -> u64 {
    let found = match data {
        Data::Raw(text) => serde_json::from_str::<Versioned>(text).ok(),
        Data::Map(map) => Versioned::deserialize(&Value::Object(map.clone())).ok(),
        Data::None => None,
    };
    found.map_or(0, |found| found.metadata.version)
}

pub(super) fn sign(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    caller: &Caller,
    secrets: Vec<Given>,
) -> Result<Value, Fault> {
    let receipt = Receipt {
        cluster: vault.record.cluster.clone(),
        time: ctx.now().to_string(),
        request_id: ctx.request.id.clone(),
        display_name: caller.token.display_name.clone(),
        metadata: caller.token.meta.clone(),
        secrets,
    };
    let receipt = serde_json::to_string(&receipt)
        .map_err(|_| Fault::Internal("a receipt cannot be written"))?;
    let key = vault.barrier.keyring().audit_signing_key();
    let signed = Signed {
        key: hex::encode(key.public().as_bytes()),
        signature: hex::encode(key.sign(&message(&receipt))),
        receipt,
    };
    Ok(json!(signed))
}
