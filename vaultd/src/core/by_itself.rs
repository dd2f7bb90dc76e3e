//! What the server asks of its own engines, as its config says: no token, but recorded like everything.

use serde_json::{Map, Value};
use vault_crypto::uuid_v4;

use super::Core;
use super::context::Ctx;
use super::dispatch::{self, Resolved};
use super::fault::Fault;
use super::mount::Kind;
use super::record::errand_event;
use super::reply::Data;
use super::request::{Request, Verb};
use super::retry::committed;
use crate::engine::acme;
use crate::policy::Capability;

/// The data of the answer to one request.
pub async fn ask(
    core: &Core,
    verb: Verb,
    path: &str,
    fields: &[(&str, Value)],
) -> Result<Map<String, Value>, Fault> {
    let vault = core.gate.enter()?;
    let now = (core.clock)();
    let mut request = Request::of_the_server(path, uuid_v4(&*core.random), now)?;
    request.verb = verb;
    for (name, value) in fields {
        request.body.set(name, value);
    }
    let Resolved::Target(target) = dispatch::resolve(&vault.mounts.load(), &request) else {
        return Err(Fault::invalid(format!(
            "{path} does not exist: is the engine mounted there?"
        )));
    };
    let ctx = Ctx {
        request: &request,
        params: &target.params,
        operation: match verb {
            Verb::Read => Capability::Read,
            _ => Capability::Update,
        },
        caller: None,
        mount: &target.mount,
        random: vault.random(),
        prf: &vault.method_prf,
        values: &vault.value_keys,
    };
    errand_event(core, &request, &target.mount, None, None).await?;
    let outcome = async {
        let prepared = Box::pin(dispatch::prepare(core, &vault, target.call, &ctx)).await?;
        committed!(vault, |tx| Box::pin(dispatch::run(
            core,
            &vault,
            target.call,
            &ctx,
            &prepared,
            tx
        ))
        .await)
    };
    let outcome = outcome.await;
    let (status, error) = match &outcome {
        Ok(_) => (200, None),
        Err(fault) => (500, Some(fault.to_string())),
    };
    errand_event(
        core,
        &request,
        &target.mount,
        Some(status),
        error.as_deref(),
    )
    .await?;
    match outcome?.data {
        Data::Map(map) => Ok(map),
        Data::Raw(text) => serde_json::from_str(&text).map_err(|_| Fault::Internal("an answer")),
        Data::None => Err(Fault::Missing),
    }
}

/// The number of the newest version of a certificate of the acme engine; `None` if there is none yet.
pub async fn newest(core: &Core, mount: &str, name: &str) -> Result<Option<u64>, Fault> {
    let vault = core.gate.enter()?;
    let mounts = vault.mounts.load_full();
    let is_it = |one: &&std::sync::Arc<super::mount::Mount>| {
        one.kind == Kind::Acme && one.path.trim_end_matches('/') == mount.trim_end_matches('/')
    };
    let Some(found) = mounts.iter().find(is_it) else {
        return Err(Fault::invalid(format!(
            "no acme engine is mounted at {mount}"
        )));
    };
    let mut tx = vault.barrier.begin();
    acme::newest(name, &mut tx.view(found.number)).await
}
