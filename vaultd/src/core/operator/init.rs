//! First start: keys, shares, the default mounts and policies, the root token.

use std::sync::Arc;

use serde_json::json;
use vault_crypto::{Key, SecretVec, split, uuid_v4};
use zeroize::Zeroizing;

use super::{bare, keys_block, parse_threshold, record};
use crate::barrier::{Barrier, SealRecord};
use crate::core::fault::Fault;
use crate::core::mount::{self, Kind, Mount, reserved};
use crate::core::reply::{Data, Reply};
use crate::core::request::Request;
use crate::core::token::Token;
use crate::core::unsealed::{Unsealed, first_policies, policy_row};
use crate::core::{Core, autoseal};
use crate::policy::PolicyName;

/// What init gives out, once.
pub struct Initialised {
    pub shares: Vec<SecretVec>,
    pub root_token: Zeroizing<String>,
}

pub async fn run(core: &Core, request: &Request) -> Result<Reply, Fault> {
    for field in ["pgp_keys", "root_token_pgp_key"] {
        if request.body.asks(field) {
            return Err(Fault::invalid(format!(
                "{field:?} is not supported: wrap shares for operators with 'vaultctl operator init --operator NAME'"
            )));
        }
    }
    let (kind, seal, others) = match core.transit {
        Some(_) => (
            "recovery",
            autoseal::KIND,
            ["secret_shares", "secret_threshold"],
        ),
        None => (
            "secret",
            "shamir",
            ["recovery_shares", "recovery_threshold"],
        ),
    };
    for field in others.into_iter().chain(["stored_shares"]) {
        if request.body.int(field)?.unwrap_or(0) != 0 {
            return Err(Fault::invalid(format!(
                "parameter {field:?} is not applicable to the {seal} seal"
            )));
        }
    }
    let threshold = parse_threshold(request, kind)?;
    let made = initialise(core, threshold, None).await?;
    let mut reply = bare(json!({"root_token": *made.root_token}));
    if let Data::Map(map) = &mut reply.data {
        match core.transit {
            None => map.extend(keys_block("keys", &made.shares)),
            Some(_) => {
                map.extend(keys_block("keys", &[]));
                map.extend(keys_block("recovery_keys", &made.shares));
            }
        }
    }
    Ok(reply)
}

/// Makes the store. `root_token` is for dev mode.
pub async fn initialise(
    core: &Core,
    threshold: vault_crypto::Threshold,
    root_token: Option<Zeroizing<String>>,
) -> Result<Initialised, Fault> {
    let _one_at_a_time = core.operators.init.lock().await;
    if record(core).await?.is_some() {
        return Err(Fault::invalid("Vault is already initialized"));
    }
    let random = &*core.random;
    let now = (core.clock)();
    let unseal = Key::<32>::generate(random);
    let (set, shares) = split(
        unseal.expose(),
        threshold.need(),
        threshold.shares(),
        random,
    )
    .map_err(|_| Fault::Internal("split"))?;
    let root = Key::<32>::generate(random);
    let cluster = uuid_v4(random);
    let set = hex::encode(set.as_bytes());
    let mut record = SealRecord::new(
        &cluster,
        threshold.shares(),
        threshold.need(),
        &set,
        unseal.expose(),
        &root,
        random,
    );
    if let Some(transit) = &core.transit {
        transit.close(&mut record, &root, random).await?;
    }
    Barrier::initialise(&core.storage, &record, &root, random, now.as_millisecond()).await?;
    let barrier = Barrier::open(
        Arc::clone(&core.storage),
        &record,
        &root,
        Arc::clone(&core.random),
    )
    .await?;
    let vault = Unsealed::open(barrier, record, core.ttl, Arc::clone(&core.clock)).await?;
    let root_token = first_rows(core, &vault, root_token).await;
    vault.close().await;
    Ok(Initialised {
        shares: shares.iter().map(|share| share.to_bytes()).collect(),
        root_token: root_token?,
    })
}

/// The mounts and policies that every store begins with, and the root token, in one commit.
async fn first_rows(
    core: &Core,
    vault: &Unsealed,
    root_token: Option<Zeroizing<String>>,
) -> Result<Zeroizing<String>, Fault> {
    let random = &*core.random;
    let now = (core.clock)();
    let mut tx = vault.barrier.begin();
    for (kind, path, description) in [
        (
            Kind::Cubbyhole,
            "cubbyhole/",
            "per-token private secret storage",
        ),
        (Kind::Identity, "identity/", "identity store"),
        (
            Kind::System,
            "sys/",
            "system endpoints used for control, policy and debugging",
        ),
        (Kind::Token, "auth/token/", "token based credentials"),
    ] {
        let mut view = tx.view(reserved::MOUNTS);
        let number = mount::next_number(&mut view).await?;
        mount::store(
            &mut view,
            &Mount::new(number, kind, path, description, random),
        )
        .await?;
    }
    for (name, text) in first_policies() {
        tx.view(reserved::POLICIES)
            .put(&policy_row(&name), &text)
            .await?;
    }
    let token = Token {
        policies: vec![PolicyName::root()],
        path: "auth/token/root".to_owned(),
        display_name: "root".to_owned(),
        ..Token::new(now)
    };
    let secret = root_token.unwrap_or_else(|| {
        vault_crypto::new_token("hvs.", random)
            .expose()
            .to_owned()
            .into()
    });
    let issued = vault
        .tokens
        .issue(&mut tx, token, Some(secret), random)
        .await?;
    tx.commit().await?;
    Ok(issued.secret)
}

/// Dev mode: initialised, unsealed, KV v2 at `secret/`.
pub async fn start_dev(
    core: &Core,
    root_token: Option<Zeroizing<String>>,
) -> Result<Initialised, Fault> {
    let threshold =
        vault_crypto::Threshold::parse(1, 1).map_err(|_| Fault::Internal("threshold"))?;
    let made = initialise(core, threshold, root_token).await?;
    let record = record(core).await?.ok_or(Fault::Internal("seal record"))?;
    super::unseal::give_share(
        core,
        &record,
        &hex::encode(made.shares[0].as_slice()),
        false,
    )
    .await?;
    let vault = core.gate.enter()?;
    let mut tx = vault.barrier.begin();
    let mut view = tx.view(reserved::MOUNTS);
    let number = mount::next_number(&mut view).await?;
    let kv = Mount::new(
        number,
        Kind::Kv2,
        "secret/",
        "key/value secret storage",
        &*core.random,
    );
    mount::store(&mut view, &kv).await?;
    tx.commit().await?;
    vault.reload_mounts().await?;
    Ok(made)
}
