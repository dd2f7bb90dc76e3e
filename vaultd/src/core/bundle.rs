//! `sys/bundle`: secrets for a host that must start without this server. The values come with a signed
//! statement: when they were read, how old each may become (`max_stale` in the secret's custom
//! metadata, or else in its engine's config; without it, it is not to be kept), and the epoch. Raising the epoch revokes all bundles
//! of hosts that hear of it.
//!
//! Promises: each secret is authorised, recorded and counted as a read of it. Not promised: that a host
//! which hears nothing gives up its bundle before its time.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use vault_crypto::sha256;
use vault_proto::bundle::{DOMAIN, Entry, Signed, Statement};

use super::batch::{self, Part};
use super::body::parse_seconds;
use super::context::Ctx;
use super::dispatch::Resolved;
use super::fault::Fault;
use super::mount::{Kind, reserved};
use super::reply::{Data, Reply};
use super::unsealed::Unsealed;
use super::{Core, envelope::status_of};
use crate::barrier::Tx;
use crate::engine::kv2;

const EPOCH: &str = "bundle-epoch";
/// The name in custom metadata.
const MAX_STALE: &str = "max_stale";

pub async fn read(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Data, Fault> {
    // Before the values: a revocation meanwhile makes this bundle an old one.
    let epoch = epoch(&mut vault.barrier.begin()).await?;
    let wanted = batch::wanted(ctx)?;
    let names: Vec<String> = wanted.iter().map(|wanted| wanted.name()).collect();
    let wanted = batch::below_data(&vault.mounts.load(), wanted);
    let gathered = batch::gather(core, vault, ctx, wanted).await?;
    let (mut results, mut values, mut entries) = (Vec::new(), Map::new(), Vec::new());
    let mut tx = vault.barrier.begin();
    for (name, (part, outcome)) in names.into_iter().zip(&gathered) {
        results.push(batch::head(part, outcome));
        let Some(read) = (status_of(outcome) < 400)
            .then(|| outcome.as_ref().ok())
            .flatten()
            .and_then(|reply| values_of(part, reply))
        else {
            continue;
        };
        let max_stale = match (read.max_stale, &part.resolved) {
            (Some(seconds), _) => seconds,
            (None, Resolved::Target(target)) => {
                kv2::max_stale(&mut tx.view(target.mount.number)).await?
            }
            (None, _) => 0,
        };
        entries.push(Entry {
            path: name.clone(),
            version: read.version,
            max_stale,
            digest: hex::encode(sha256(read.text.as_bytes())),
        });
        values.insert(name, read.text.into());
    }
    let signed = sign(vault, ctx, epoch, entries)?;
    let answer = json!({
        "results": results,
        "secrets": values,
        "statement": signed.statement,
        "signature": signed.signature,
        "public_key": signed.public_key,
    });
    Ok(Data::Raw(answer.to_string()))
}

/// For everyone: that a bundle is revoked must not need a login.
pub async fn tell_epoch(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let epoch = epoch(tx).await?;
    Reply::of(&sign(vault, ctx, epoch, Vec::new())?)
}

pub async fn revoke(tx: &mut Tx) -> Result<Reply, Fault> {
    let next = epoch(tx).await? + 1;
    let mut view = tx.view(reserved::SYSTEM);
    view.put_unlisted(EPOCH, &next).await?;
    Reply::of(&json!({ "epoch": next }))
}

async fn epoch(tx: &mut Tx) -> Result<u64, Fault> {
    Ok(tx.view(reserved::SYSTEM).get(EPOCH).await?.unwrap_or(0))
}

fn sign(vault: &Unsealed, ctx: &Ctx<'_>, epoch: u64, secrets: Vec<Entry>) -> Result<Signed, Fault> {
    let keyring = vault.barrier.keyring();
    let statement = Statement {
        cluster: keyring.cluster().to_owned(),
        epoch,
        issued: u64::try_from(ctx.now().as_second()).unwrap_or(0),
        secrets,
    };
    let statement =
        serde_json::to_string(&statement).map_err(|_| Fault::Internal("serialise reply"))?;
    let key = keyring.bundle_signing_key();
    let signature = key.sign(&[DOMAIN, statement.as_bytes()].concat());
    Ok(Signed {
        statement,
        signature: STANDARD.encode(signature),
        public_key: STANDARD.encode(key.public().as_bytes()),
    })
}

struct Values {
    text: String,
    version: u64,
    /// Seconds; `None` as the engine says.
    max_stale: Option<u64>,
}

fn values_of(part: &Part, reply: &Reply) -> Option<Values> {
    let Data::Raw(text) = &reply.data else {
        return None;
    };
    let versioned = matches!(&part.resolved,
        Resolved::Target(target) if target.mount.kind == Kind::Kv2);
    if !versioned {
        // KV version 1 keeps no metadata that could allow it.
        return Some(Values {
            text: text.clone(),
            version: 0,
            max_stale: Some(0),
        });
    }
    #[derive(Deserialize)]
    struct Answer {
        data: Box<RawValue>,
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        version: u64,
        custom_metadata: Option<BTreeMap<String, Value>>,
    }
    let answer: Answer = serde_json::from_str(text).ok()?;
    let custom = answer.metadata.custom_metadata.unwrap_or_default();
    let allowed = custom.get(MAX_STALE);
    // What is no duration allows nothing.
    let seconds = |value: &Value| value.as_str().and_then(parse_seconds).unwrap_or(0);
    Some(Values {
        text: answer.data.get().to_owned(),
        version: answer.metadata.version,
        max_stale: allowed.map(seconds),
    })
}
