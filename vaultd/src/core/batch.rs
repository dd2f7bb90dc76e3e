//! `sys/batch`: many reads of KV as of one moment. Each is authorised, recorded and counted as if it
//! had been asked for alone, and has an answer of its own.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use vault_crypto::uuid_v4;
use vault_proto::path::ApiPath;
use vault_proto::receipt::Given;

use super::authenticate::take_use;
use super::body::Body;
use super::caller::Caller;
use super::context::Ctx;
use super::dispatch::{self, Resolved};
use super::envelope::status_of;
use super::fault::Fault;
use super::mount::{Kind, MountTable};
use super::receipt;
use super::record::Recorder;
use super::reply::{Data, Reply};
use super::request::{Request, Verb};
use super::unsealed::Unsealed;
use super::{Core, pipeline, revoke};
use crate::barrier::Tx;

const PATHS_MAX: usize = 128;
const ATTEMPTS: u32 = 4;

/// A path, or one with a version.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Wanted {
    Path(String),
    Version { path: String, version: Option<u64> },
}

impl Wanted {
    /// The path, without slashes around it.
    pub(super) fn name(&self) -> String {
        match self {
            Wanted::Path(path) | Wanted::Version { path, .. } => path.trim_matches('/').to_owned(),
        }
    }
}

/// One read. Holds secrets: not `Debug`.
pub(super) struct Part {
    pub(super) request: Request,
    pub(super) resolved: Resolved,
    /// The token had a use left for it.
    counted: bool,
}

pub async fn read(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Data, Fault> {
    let gathered = gather(core, vault, ctx, wanted(ctx)?).await?;
    let mut text = show(&gathered);
    if ctx.body().bool("receipt")?.unwrap_or(false) {
        let caller = ctx.caller.ok_or(Fault::BadToken)?;
        let given = gathered.iter().filter_map(given).collect();
        let receipt = receipt::sign(vault, ctx, caller, given)?;
        text.push_str(&format!(r#","receipt":{receipt}"#));
    }
    text.push('}');
    Ok(Data::Raw(text))
}

/// Reads, each authorised and recorded; what is told of them is the caller's affair.
pub(super) async fn gather(
    core: &Core,
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    wanted: Vec<Wanted>,
) -> Result<Vec<(Part, Result<Reply, Fault>)>, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let mut parts = parts(vault, ctx, wanted)?;
    let caller = count_uses(vault, caller, &mut parts).await?;
    let outcomes = at_one_moment(core, vault, &caller, &parts).await?;
    let recorders: Vec<Recorder<'_>> = parts
        .iter()
        .map(|part| Recorder::new(core, vault, &part.request, &part.resolved, Some(&caller)))
        .collect();
    for (recorder, outcome) in recorders.iter().zip(&outcomes) {
        let refused = outcome
            .as_ref()
            .err()
            .filter(|fault| matches!(fault, Fault::Denied | Fault::BadToken));
        recorder.open_without_effect("read", refused);
    }
    let closed = recorders
        .iter()
        .zip(&outcomes)
        .map(|(recorder, outcome)| recorder.close(outcome));
    join_all(closed)
        .await
        .into_iter()
        .collect::<Result<(), Fault>>()?;
    drop(recorders);
    Ok(parts.into_iter().zip(outcomes).collect())
}

pub(super) fn wanted(ctx: &Ctx<'_>) -> Result<Vec<Wanted>, Fault> {
    let kind = "a list of paths, or of objects with a path and a version";
    Ok(ctx.body().typed("paths", kind)?.unwrap_or_default())
}

/// Secrets named as people write them: KV version 2 keeps the values below `data/`.
pub(super) fn below_data(mounts: &MountTable, wanted: Vec<Wanted>) -> Vec<Wanted> {
    let whole = |path: String| {
        let clean = ApiPath::from_plain(&path).ok();
        match clean
            .as_ref()
            .and_then(|path| mounts.resolve(path.as_str()))
        {
            Some((mount, rest)) if mount.kind == Kind::Kv2 => format!("{}data/{rest}", mount.path),
            _ => path,
        }
    };
    let below = |wanted| match wanted {
        Wanted::Path(path) => Wanted::Path(whole(path)),
        Wanted::Version { path, version } => Wanted::Version {
            path: whole(path),
            version,
        },
    };
    wanted.into_iter().map(below).collect()
}

fn parts(vault: &Unsealed, ctx: &Ctx<'_>, wanted: Vec<Wanted>) -> Result<Vec<Part>, Fault> {
    if wanted.is_empty() || wanted.len() > PATHS_MAX {
        return Err(Fault::invalid(format!(
            "paths must name 1 to {PATHS_MAX} paths"
        )));
    }
    let mounts = vault.mounts.load();
    let part = |wanted| {
        let (path, version) = match wanted {
            Wanted::Path(path) => (path, None),
            Wanted::Version { path, version } => (path, version),
        };
        let path = ApiPath::from_plain(&path).map_err(|error| Fault::invalid(error.to_string()))?;
        let mut body = Body::default();
        if let Some(version) = version {
            body.set("version", &version.into());
        }
        let request = Request {
            id: uuid_v4(ctx.random),
            verb: Verb::Read,
            path,
            body,
            token: ctx.request.token.clone(),
            wrap_ttl: None,
            remote: ctx.request.remote,
            client_chain: ctx.request.client_chain.clone(),
            now: ctx.request.now,
            help: false,
            head: false,
            content_type: String::new(),
            standing: Default::default(),
        };
        Ok(Part {
            resolved: dispatch::resolve(&mounts, &request),
            request,
            counted: true,
        })
    };
    wanted.into_iter().map(part).collect()
}

/// The request itself took the use for the first path; each other one takes one more.
async fn count_uses(
    vault: &Unsealed,
    caller: &Caller,
    parts: &mut [Part],
) -> Result<Caller, Fault> {
    let limited = caller.last_use || caller.token.num_uses > 0;
    let gone_before = caller.last_use;
    let mut caller = caller.clone();
    for part in parts.iter_mut().skip(1).filter(|_| limited) {
        part.counted = !caller.last_use;
        if part.counted {
            caller = take_use(vault, caller).await?;
        }
    }
    if caller.last_use && !gone_before {
        revoke::finish(vault, &caller.id).await?;
    }
    Ok(caller)
}

/// Reads as if nobody wrote, and looks whether that was so; if it never is, from a snapshot.
async fn at_one_moment(
    core: &Core,
    vault: &Unsealed,
    caller: &Caller,
    parts: &[Part],
) -> Result<Vec<Result<Reply, Fault>>, Fault> {
    for _ in 0..ATTEMPTS {
        let mut tx = vault.barrier.begin();
        let outcomes = each(core, vault, caller, parts, &mut tx).await;
        let conflict = outcomes
            .iter()
            .any(|outcome| matches!(outcome, Err(Fault::Conflict)));
        if !conflict && !tx.is_mixed().await? {
            return Ok(outcomes);
        }
        // The cache learns of a commit a moment after the engine: give it that moment.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut tx = vault.barrier.begin_frozen().await?;
    Ok(each(core, vault, caller, parts, &mut tx).await)
}

async fn each(
    core: &Core,
    vault: &Unsealed,
    caller: &Caller,
    parts: &[Part],
    tx: &mut Tx,
) -> Vec<Result<Reply, Fault>> {
    let mut outcomes = Vec::with_capacity(parts.len());
    for part in parts {
        outcomes.push(match part.counted {
            true => pipeline::read_in(core, vault, &part.resolved, &part.request, caller, tx).await,
            false => Err(Fault::BadToken),
        });
    }
    outcomes
}

/// What a receipt says of one read, if it gave something.
fn given((part, outcome): &(Part, Result<Reply, Fault>)) -> Option<Given> {
    let reply = outcome.as_ref().ok().filter(|_| status_of(outcome) < 400)?;
    Some(Given {
        path: part.request.path.as_str().to_owned(),
        version: receipt::version_of(&reply.data),
    })
}

/// Values stay text; the last brace is the caller's. What is read here was asked for in `paths`, in
/// that order.
fn show(gathered: &[(Part, Result<Reply, Fault>)]) -> String {
    let mut text = String::from(r#"{"results":["#);
    for (at, (part, outcome)) in gathered.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(head(part, outcome).to_string().trim_end_matches('}'));
        text.push_str(r#","data":"#);
        match outcome.as_ref().map(|reply| &reply.data) {
            Ok(Data::Raw(data)) => text.push_str(data),
            Ok(Data::Map(map)) => text.push_str(&Value::from(map.clone()).to_string()),
            Ok(Data::None) | Err(_) => text.push_str("null"),
        }
        text.push('}');
    }
    text.push(']');
    text
}

/// What is told of each read besides its data.
pub(super) fn head(part: &Part, outcome: &Result<Reply, Fault>) -> Value {
    json!({
        "path": part.request.path.as_str(),
        "request_id": part.request.id,
        "status": status_of(outcome),
        "errors": errors(outcome),
    })
}

fn errors(outcome: &Result<Reply, Fault>) -> Vec<String> {
    match outcome {
        Ok(_) | Err(Fault::Missing) => Vec::new(),
        Err(fault) => vec![fault.to_string()],
    }
}
