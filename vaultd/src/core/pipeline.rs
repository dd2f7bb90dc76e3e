//! Every request, once, in this order. A step returns the value that the next one needs.
//!
//! ```text
//! gate         sealed? 503. Otherwise a guard that sealing waits for
//! resolve      path -> mount and row; decides nothing
//! admit        address within its rate limit? 429
//! authenticate presented token -> Caller
//! authorise    Caller + path + capability -> Permit
//! audit.open   before any effect; denials too
//! prepare      slow work, such as hashing a password; once, outside of the transaction
//! engine       over one transaction; no effect outside of it
//! commit       compare-and-set, with the audit record; on conflict run again
//! audit.close  an answer that could not be recorded is not given
//! ```

use std::sync::Arc;

use super::authenticate::{authenticate, take_use};
use super::authorise::{Permit, authorise};
use super::caller::Caller;
use super::context::Ctx;
use super::dispatch::{self, Prepared, Resolved, Target};
use super::fault::Fault;
use super::lease::promise;
use super::mount::{Kind, MountTable};
use super::record::{Recorder, verb_name};
use super::reply::Reply;
use super::request::{Request, Verb};
use super::retry::pause;
use super::route::Access;
use super::unsealed::Unsealed;
use super::{Core, after, issue, quota, revoke, wrapping};
use crate::policy::Capability;

const ATTEMPTS: u32 = 32;

/// Serves one request of an unsealed vault.
pub async fn serve(core: &Core, request: &Request) -> Result<Reply, Fault> {
    let vault = core.gate.enter()?;
    let resolved = dispatch::resolve(&vault.mounts.load(), request);
    if vault.quotas.load().limit_rates()
        && let Err(refused) = Box::pin(quota::admit(&vault, &resolved, request)).await
    {
        return Box::pin(turn_away(core, &vault, &resolved, request, refused)).await;
    }
    let identity = identify(&vault, &resolved, request).await;
    let caller = identity.as_ref().ok().and_then(Option::as_ref);
    let recorder = Recorder::new(core, &vault, request, &resolved, caller);

    let outcome = match &identity {
        Ok(_) => attempts(core, &vault, &resolved, request, caller, &recorder).await,
        Err(fault) => {
            vault.denials.nobody(request, fault);
            recorder.open_without_effect(verb_name(request.verb), Some(fault));
            Err(fault.repeated())
        }
    };
    let outcome = match outcome {
        Ok(reply) if reply.after.is_none() => Ok(reply),
        Ok(reply) => Box::pin(after::carry_out(core, &vault, reply)).await,
        Err(fault) => Err(fault),
    };
    if let Some(caller) = caller.filter(|caller| caller.last_use) {
        Box::pin(revoke::finish(&vault, &caller.id)).await?;
    }
    recorder.close(&outcome).await?;
    outcome
}

/// Over a rate limit. Not recorded unless an operator wants it: records of a flood are a flood too,
/// and nothing was looked at.
async fn turn_away(
    core: &Core,
    vault: &Unsealed,
    resolved: &Resolved,
    request: &Request,
    refused: Fault,
) -> Result<Reply, Fault> {
    if vault.quotas.load().audits_refusals() {
        let recorder = Recorder::new(core, vault, request, resolved, None);
        recorder.open_without_effect(verb_name(request.verb), Some(&refused));
        let outcome = Err(refused);
        recorder.close(&outcome).await?;
        return outcome;
    }
    Err(refused)
}

/// Who is asking, if the row wants to know. Paths that lead nowhere are told only to callers.
async fn identify(
    vault: &Unsealed,
    resolved: &Resolved,
    request: &Request,
) -> Result<Option<Caller>, Fault> {
    if let Resolved::Target(target) = resolved {
        let given = request.token.as_ref().is_some_and(|t| !t.is_empty());
        if target.access == Access::Open || target.access == Access::Anyone && !given {
            return Ok(None);
        }
    }
    let caller = authenticate(vault, request).await?;
    match caller.token.num_uses {
        0 => Ok(Some(caller)),
        _ => Box::pin(take_use(vault, caller)).await.map(Some),
    }
}

/// From the decision to the commit, again after a conflict. What is recorded is the first decision.
async fn attempts(
    core: &Core,
    vault: &Arc<Unsealed>,
    resolved: &Resolved,
    request: &Request,
    caller: Option<&Caller>,
    recorder: &Recorder<'_>,
) -> Result<Reply, Fault> {
    let mut prepared = Prepared::Nothing;
    let mut opened = false;
    for failed in 1..=ATTEMPTS {
        let mut tx = vault.barrier.begin();
        let decision = decide(vault, resolved, request, caller, &mut tx).await;
        let decision = believed(decision, &tx).await;
        if matches!(decision, Err(Fault::Conflict)) {
            pause(failed).await;
            continue;
        }
        if !opened {
            opened = true;
            recorder.open(&decision).await?;
            if let Ok((_, target, operation)) = &decision
                && dispatch::is_needed(target.call)
            {
                let ctx = context(vault, target, request, *operation, caller);
                prepared = Box::pin(dispatch::prepare(core, vault, target.call, &ctx)).await?;
            }
        }
        let reply = match decision {
            Ok(decision) => {
                carry_out(core, vault, decision, &prepared, request, caller, &mut tx).await
            }
            Err(fault) => Err(fault),
        };
        let outcome = match believed(reply, &tx).await {
            Ok(reply) => {
                if tx.has_writes()
                    && let Some(journal) = recorder.journal()
                {
                    tx.journal(journal);
                }
                match tx.has_writes() {
                    true => Box::pin(tx.commit()).await,
                    false => tx.validate().await,
                }
                .map_err(Fault::from)
                .map(|()| reply.stored())
            }
            Err(fault) => Err(fault),
        };
        match outcome {
            Err(Fault::Conflict) => pause(failed).await,
            outcome => return outcome,
        }
    }
    Err(Fault::Internal("too many concurrent updates"))
}

/// What was read while rows changed may be two states mixed, which look damaged, or taken, or missing:
/// a refusal that rests on that is a conflict.
async fn believed<T>(outcome: Result<T, Fault>, tx: &crate::barrier::Tx) -> Result<T, Fault> {
    match outcome {
        Err(_) if tx.is_mixed().await? => Err(Fault::Conflict),
        outcome => outcome,
    }
}

type Decision<'t> = (Permit, &'t Target, Capability);

async fn decide<'t>(
    vault: &Unsealed,
    resolved: &'t Resolved,
    request: &Request,
    caller: Option<&Caller>,
    tx: &mut crate::barrier::Tx,
) -> Result<Decision<'t>, Fault> {
    let target = match resolved {
        Resolved::Target(target) => target,
        unserved => {
            allowed(
                vault,
                caller,
                request,
                Access::Token,
                capability(request.verb, true),
            )
            .await?;
            if matches!(unserved, Resolved::NotMounted) {
                // A mount whose row is missing must not look as if it had never been there.
                MountTable::load(tx).await?;
            }
            return Err(why_unserved(unserved, request));
        }
    };
    let mut operation = capability(request.verb, true);
    if target.creates && matches!(request.verb, Verb::Write) {
        let ctx = context(vault, target, request, operation, caller);
        operation = capability(request.verb, dispatch::exists(target.call, &ctx, tx).await?);
    }
    let permit = allowed(vault, caller, request, target.access, operation).await?;
    Ok((permit, target, operation))
}

/// The decision, which is remembered if it is a refusal.
async fn allowed(
    vault: &Unsealed,
    caller: Option<&Caller>,
    request: &Request,
    access: Access,
    operation: Capability,
) -> Result<Permit, Fault> {
    let outcome = authorise(caller, request, access, operation);
    if let (Err(Fault::Denied), Some(caller)) = (&outcome, caller) {
        Box::pin(
            vault
                .denials
                .caller(vault, caller, request, access, operation),
        )
        .await?;
    }
    outcome
}

/// One of many reads of KV, in a transaction that they share.
pub(super) async fn read_in(
    core: &Core,
    vault: &Unsealed,
    resolved: &Resolved,
    request: &Request,
    caller: &Caller,
    tx: &mut crate::barrier::Tx,
) -> Result<Reply, Fault> {
    let decision = decide(vault, resolved, request, Some(caller), tx).await;
    let (_permit, target, operation) = believed(decision, tx).await?;
    if !matches!(target.mount.kind, Kind::Kv1 | Kind::Kv2) {
        return Err(Fault::invalid("only paths of KV can be read in a batch"));
    }
    let ctx = context(vault, target, request, operation, Some(caller));
    let reply = dispatch::run(core, vault, target.call, &ctx, &Prepared::Nothing, tx).await;
    believed(reply, tx).await
}

fn capability(verb: Verb, exists: bool) -> Capability {
    match verb {
        Verb::Read => Capability::Read,
        Verb::Write if exists => Capability::Update,
        Verb::Write => Capability::Create,
        Verb::Patch => Capability::Patch,
        Verb::Delete => Capability::Delete,
        Verb::List => Capability::List,
    }
}

fn why_unserved(resolved: &Resolved, request: &Request) -> Fault {
    match resolved {
        Resolved::OtherVerb => Fault::Unsupported,
        Resolved::NoPath(mount) if mount.kind == super::mount::Kind::Kv2 => Fault::NotVersioned,
        Resolved::NoPath(_) | Resolved::Target(_) => Fault::NoRoute("unsupported path".to_owned()),
        Resolved::NotMounted => Fault::NoRoute(format!(
            "no handler for route {:?}. route entry not found.",
            request.path.as_str()
        )),
    }
}

fn context<'a>(
    vault: &'a Unsealed,
    target: &'a Target,
    request: &'a Request,
    operation: Capability,
    caller: Option<&'a Caller>,
) -> Ctx<'a> {
    Ctx {
        request,
        params: &target.params,
        operation,
        caller,
        mount: &target.mount,
        random: vault.random(),
        prf: &vault.method_prf,
        values: &vault.value_keys,
    }
}

/// The engine's part, and what core adds to its answer inside the same transaction.
async fn carry_out(
    core: &Core,
    vault: &Arc<Unsealed>,
    (_permit, target, operation): Decision<'_>,
    prepared: &Prepared,
    request: &Request,
    caller: Option<&Caller>,
    tx: &mut crate::barrier::Tx,
) -> Result<Reply, Fault> {
    if request.verb == Verb::Write && request.path.is_folder() {
        return Err(Fault::invalid("cannot write to a path ending in '/'"));
    }
    let ctx = context(vault, target, request, operation, caller);
    let mut reply = dispatch::run(core, vault, target.call, &ctx, prepared, tx).await?;
    reply.mount_type = target.mount.kind.type_name();
    if let Some(login) = reply.login.take() {
        let warnings = std::mem::take(&mut reply.warnings);
        reply = Box::pin(issue::login(
            core,
            vault,
            tx,
            *login,
            &target.mount,
            request,
        ))
        .await?;
        reply.mount_type = target.mount.kind.type_name();
        reply.warnings.splice(0..0, warnings);
    }
    if let Some(promised) = reply.promised.take() {
        let given = promise::give(vault, promised, &target.mount, caller, request, tx);
        (reply.lease, reply.place) = Box::pin(given).await?;
    }
    let unknown = target.unknown_fields(request);
    if !unknown.is_empty() && reply.has_content() {
        reply.warnings.push(format!(
            "Endpoint ignored these unrecognized parameters: [{}]",
            unknown.join(" ")
        ));
    }
    match request.wrap_ttl {
        Some(ttl) if reply.has_content() => {
            let place = reply.place.take();
            let wrapped = Box::pin(wrapping::wrap(vault, tx, reply, ttl, request)).await?;
            Ok(Reply { place, ..wrapped })
        }
        _ => Ok(reply),
    }
}
