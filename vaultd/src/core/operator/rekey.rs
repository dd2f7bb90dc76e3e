//! New shares for a new root key. Authenticated; the current operators' shares prove consent.

use serde_json::{Value, json};
use vault_crypto::{Key, Threshold, split, uuid_v4};

use super::progress::Progress;
use super::{keys_block, parse_threshold, record};
use crate::barrier::SealRecord;
use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{Data, Reply};
use crate::core::system::Call;
use crate::core::unsealed::Unsealed;

/// A ceremony under way.
pub struct Rekey {
    nonce: String,
    threshold: Threshold,
    given: Progress,
    verify: bool,
    /// Made, but not in force until enough of the new shares were given back.
    pending: Option<Pending>,
}

struct Pending {
    nonce: String,
    record: SealRecord,
    root: Key<32>,
    given: Progress,
}

pub async fn run(core: &Core, vault: &Unsealed, call: Call, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let mut state = core.operators.rekey.lock().await;
    let current = record(core).await?.ok_or(Fault::Internal("seal record"))?;
    check_path(ctx, &current)?;
    match call {
        Call::RekeyStatus => Ok(status(state.as_ref(), &current)),
        Call::RekeyStart => {
            for field in ["pgp_keys", "backup"] {
                if ctx.body().asks(field) {
                    return Err(Fault::invalid(format!("{field:?} is not supported")));
                }
            }
            if state.is_some() {
                return Err(Fault::invalid("rekey already in progress"));
            }
            *state = Some(Rekey {
                nonce: uuid_v4(ctx.random),
                threshold: parse_threshold(ctx.request, "secret")?,
                given: Progress::default(),
                verify: ctx.body().bool("require_verification")?.unwrap_or(false),
                pending: None,
            });
            Ok(status(state.as_ref(), &current))
        }
        Call::RekeyCancel => {
            *state = None;
            Ok(Reply::none())
        }
        Call::RekeyUpdate => {
            let rekey = state
                .as_mut()
                .ok_or_else(|| Fault::invalid("no rekey in progress"))?;
            check_nonce(ctx, &rekey.nonce)?;
            let key = ctx.body().required("key")?;
            let nonce = rekey.nonce.clone();
            let Some(unseal) = rekey.given.add(&key, &current, || nonce)? else {
                return Ok(status(state.as_ref(), &current));
            };
            rekey.given.reset();
            current
                .open(unseal.expose())
                .map_err(|_| Fault::invalid("rekey failed: the shares do not fit together"))?;
            let (reply, done) = complete(core, vault, rekey, &current, ctx).await?;
            if done {
                *state = None;
            }
            Ok(reply)
        }
        Call::RekeyVerifyStatus => match state.as_ref().and_then(|rekey| rekey.pending.as_ref()) {
            None => Err(Fault::invalid("no rekey verification in progress")),
            Some(pending) => Ok(verify_status(pending)),
        },
        Call::RekeyVerifyCancel => {
            let pending = state.as_mut().and_then(|rekey| rekey.pending.as_mut());
            let pending =
                pending.ok_or_else(|| Fault::invalid("no rekey verification in progress"))?;
            pending.given.reset();
            pending.nonce = uuid_v4(ctx.random);
            Ok(verify_status(pending))
        }
        Call::RekeyVerifyUpdate => {
            let pending = state.as_mut().and_then(|rekey| rekey.pending.as_mut());
            let pending =
                pending.ok_or_else(|| Fault::invalid("no rekey verification in progress"))?;
            check_nonce(ctx, &pending.nonce)?;
            let key = ctx.body().required("key")?;
            let nonce = pending.nonce.clone();
            let Some(unseal) = pending.given.add(&key, &pending.record, || nonce)? else {
                return Ok(verify_status(pending));
            };
            pending
                .record
                .open(unseal.expose())
                .map_err(|_| Fault::invalid("the new shares do not fit together"))?;
            let root = pending.root.duplicate();
            put_in_force(core, vault, pending.record.clone(), root, ctx).await?;
            let reply = bare_and_data(json!({"complete": true, "nonce": pending.nonce}));
            *state = None;
            Ok(reply)
        }
        _ => Err(Fault::Internal("not a rekey call")),
    }
}

/// Shares of a store that unseals itself are recovery shares, and have paths of their own.
fn check_path(ctx: &Ctx<'_>, current: &SealRecord) -> Result<(), Fault> {
    let path = ctx.request.path.as_str();
    let of_recovery =
        path.starts_with("sys/rekey-recovery-key/") || path.starts_with("sys/rotate/recovery/");
    match (of_recovery, current.is_auto()) {
        (true, false) => Err(Fault::invalid(
            "recovery key rekeying is not supported by the shamir seal: use sys/rekey",
        )),
        (false, true) => Err(Fault::invalid(
            "this server unseals itself, its shares are recovery shares: use sys/rekey-recovery-key",
        )),
        _ => Ok(()),
    }
}

fn check_nonce(ctx: &Ctx<'_>, nonce: &str) -> Result<(), Fault> {
    match ctx.body().string("nonce")? {
        Some(given) if given == nonce => Ok(()),
        _ => Err(Fault::invalid("incorrect nonce supplied")),
    }
}

/// Makes the new shares; without verification they are in force when this returns.
async fn complete(
    core: &Core,
    vault: &Unsealed,
    rekey: &mut Rekey,
    current: &SealRecord,
    ctx: &Ctx<'_>,
) -> Result<(Reply, bool), Fault> {
    let random = vault.random();
    let root = Key::<32>::generate(random);
    let unseal = Key::<32>::generate(random);
    let (set, shares) = split(
        unseal.expose(),
        rekey.threshold.need(),
        rekey.threshold.shares(),
        random,
    )
    .map_err(|_| Fault::Internal("split"))?;
    let set = hex::encode(set.as_bytes());
    let new = SealRecord::new(
        &current.cluster,
        rekey.threshold.shares(),
        rekey.threshold.need(),
        &set,
        unseal.expose(),
        &root,
        random,
    );
    let shares: Vec<_> = shares.iter().map(|share| share.to_bytes()).collect();
    let mut reply = bare_and_data(json!({
        "nonce": rekey.nonce,
        "complete": true,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": rekey.verify,
        "t": new.threshold,
        "n": new.shares,
    }));
    if let Data::Map(map) = &mut reply.data {
        map.extend(keys_block("keys", &shares));
    }
    if rekey.verify {
        let nonce = uuid_v4(random);
        if let Data::Map(map) = &mut reply.data {
            map.insert("verification_nonce".into(), nonce.clone().into());
        }
        rekey.pending = Some(Pending {
            nonce,
            record: new,
            root,
            given: Progress::default(),
        });
        return Ok((reply, false));
    }
    put_in_force(core, vault, new, root, ctx).await?;
    Ok((reply, true))
}

/// The old shares, and what they gave, open nothing that is written from here on.
async fn put_in_force(
    core: &Core,
    vault: &Unsealed,
    mut record: SealRecord,
    root: Key<32>,
    ctx: &Ctx<'_>,
) -> Result<(), Fault> {
    if let Some(transit) = &core.transit {
        transit.close(&mut record, &root, vault.random()).await?;
    }
    let now = ctx.now().as_millisecond();
    Ok(vault.barrier.rekey(&record, root, now).await?)
}

fn status(state: Option<&Rekey>, current: &SealRecord) -> Reply {
    bare_and_data(json!({
        "nonce": state.map_or("", |rekey| &rekey.nonce),
        "started": state.is_some(),
        "t": state.map_or(0, |rekey| rekey.threshold.need()),
        "n": state.map_or(0, |rekey| rekey.threshold.shares()),
        "progress": state.map_or(0, |rekey| rekey.given.count()),
        "required": current.threshold,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": state.is_some_and(|rekey| rekey.verify),
    }))
}

fn verify_status(pending: &Pending) -> Reply {
    bare_and_data(json!({
        "nonce": pending.nonce,
        "started": true,
        "t": pending.record.threshold,
        "n": pending.record.shares,
        "progress": pending.given.count(),
    }))
}

/// These routes answer in the top level; the envelope is there for clients that read `data`.
fn bare_and_data(value: Value) -> Reply {
    Reply::json(value).top_level()
}
