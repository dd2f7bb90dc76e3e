//! `sys/events/subscribe/kv`: changes of secrets, behind a cursor, in the order of their commits;
//! `.../sshkeys`: the steps of rotations of SSH keys, and changed keys of hosts; `.../acme`: certificates
//! that were obtained, or could not be; `.../token`: leaked tokens that were handed in.
//!
//! Promises: whoever goes on from the cursor of the last answer gets each change that it may read
//! exactly once, or is told that the cursor is too old; a change is told only if the token may read
//! the secret, or its metadata, at the moment of the answer, and of a mount as a whole only to those
//! who have a rule below it; nobody waits past sealing, nor past the end of the token. What time makes,
//! such as `delete_version_after`, is told within seconds. Not promised: a cursor that outlives sealing.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::Core;
use super::authenticate::authenticate;
use super::caller::Caller;
use super::context::Ctx;
use super::fault::Fault;
use super::leak::LEAKED;
use super::mount::{Kind, Mount, MountTable, reserved};
use super::reply::Data;
use super::unsealed::Unsealed;
use crate::barrier::Change;
use crate::policy::{Acl, Ask, Capability};

/// Seconds.
const WAIT: u64 = 30;
const WAIT_MAX: u64 = 60;
/// How often a waiting caller's token is looked at again.
const LOOK: Duration = Duration::from_secs(1);
/// Looked at for one answer.
const PAGE: usize = 1000;
const TOO_OLD: &str = "the cursor is too old, or from before the last unsealing: get a new one by asking \
     without a cursor, then read again what you follow";

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Kv,
    SshKeys,
    Acme,
    /// For who may subscribe at all: all of them.
    Token,
}

/// One answer: at once if there is something to tell, otherwise when there is, or the wait is over.
pub async fn poll(
    core: &Core,
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    topic: Topic,
) -> Result<Data, Fault> {
    let feed = vault.barrier.feed();
    let Some(cursor) = ctx.body().string("cursor")?.filter(|text| !text.is_empty()) else {
        return Ok(answer(vault, feed.newest(), Vec::new()));
    };
    let mut seen = parse(vault, &cursor).ok_or(Fault::Gone(TOO_OLD))?;
    let prefix = ctx.body().string("prefix")?.unwrap_or_default();
    let wait = ctx.body().seconds("wait")?.unwrap_or(WAIT).min(WAIT_MAX);
    let deadline = Instant::now() + Duration::from_secs(wait);
    let mut caller = ctx.caller.ok_or(Fault::BadToken)?.clone();
    loop {
        let changes = feed.after(seen, PAGE).map_err(|_| Fault::Gone(TOO_OLD))?;
        let full = changes.len() == PAGE;
        seen = changes.last().map_or(seen, |(number, _)| *number);
        let mounts = vault.mounts.load_full();
        let told: Vec<Value> = changes
            .into_iter()
            .filter_map(|(number, change)| match topic {
                Topic::Kv | Topic::SshKeys | Topic::Acme => show(
                    vault,
                    &mounts,
                    &caller.acl,
                    (topic, &prefix),
                    number,
                    change,
                ),
                Topic::Token => show_token(vault, number, change),
            })
            .collect();
        // A token that has no use left is gone: it cannot wait.
        if !told.is_empty() || Instant::now() >= deadline || caller.last_use {
            return Ok(answer(vault, seen, told));
        }
        if !full {
            tokio::select! {
                () = feed.wait_past(seen) => {}
                () = core.gate.leaving() => return Err(Fault::Sealed),
                () = sleep_until(deadline.min(Instant::now() + LOOK)) => {}
            }
        }
        caller = again(core, vault, ctx).await?;
    }
}

/// The token may have ended, and its policies may have changed.
async fn again(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Caller, Fault> {
    let caller = authenticate(vault, ctx.request).await?;
    match caller.token.usable((core.clock)(), ctx.request.remote) {
        true => Ok(caller),
        false => Err(Fault::BadToken),
    }
}

fn show(
    vault: &Unsealed,
    mounts: &MountTable,
    acl: &Acl,
    (topic, prefix): (Topic, &str),
    number: u64,
    change: Change,
) -> Option<Value> {
    if change.mount == reserved::MOUNTS {
        return show_mount(vault, acl, prefix, number, &change);
    }
    // A mount that is gone tells nothing any more but that.
    let mount = mounts.by_number(change.mount)?;
    let tells_of = match mount.kind {
        Kind::SshKeys => Topic::SshKeys,
        Kind::Acme => Topic::Acme,
        _ => Topic::Kv,
    };
    if tells_of != topic {
        return None;
    }
    let whole = format!("{}{}", mount.path, change.path);
    (whole.starts_with(prefix) && may_read(acl, mount, &change.path)).then(|| {
        json!({
            "cursor": format(vault, number),
            "mount": mount.path,
            "path": change.path,
            "operation": change.what,
            "version": change.version,
        })
    })
}

fn show_token(vault: &Unsealed, number: u64, change: Change) -> Option<Value> {
    (change.mount == reserved::TOKENS && change.what == LEAKED).then(|| {
        json!({
            "cursor": format(vault, number),
            "accessor": change.path,
            "operation": change.what,
        })
    })
}

/// A mount came or went: what is followed in it may have changed.
fn show_mount(
    vault: &Unsealed,
    acl: &Acl,
    prefix: &str,
    number: u64,
    change: &Change,
) -> Option<Value> {
    let is_asked = change.path.starts_with(prefix) || prefix.starts_with(&change.path);
    (is_asked && acl.any_under(&change.path)).then(|| {
        json!({
            "cursor": format(vault, number),
            "mount": change.path,
            "path": "",
            "operation": change.what,
            "version": change.version,
        })
    })
}

/// Whether the secret, or what is known of it, may be read.
fn may_read(acl: &Acl, mount: &Mount, path: &str) -> bool {
    let may = |tree: &str| {
        let path = format!("{}{tree}{path}", mount.path);
        acl.decide(&Ask::new(&path, Capability::Read)).allowed
    };
    match mount.kind {
        Kind::Kv2 => may("data/") || may("metadata/"),
        _ => may(""),
    }
}

fn answer(vault: &Unsealed, seen: u64, events: Vec<Value>) -> Data {
    let mut map = Map::new();
    map.insert("cursor".into(), format(vault, seen).into());
    map.insert("events".into(), events.into());
    Data::Map(map)
}

/// A number means something only for the unsealing that gave it out.
fn format(vault: &Unsealed, number: u64) -> String {
    format!("{}-{number}", vault.epoch)
}

fn parse(vault: &Unsealed, cursor: &str) -> Option<u64> {
    let (epoch, number) = cursor.split_once('-')?;
    (epoch == vault.epoch)
        .then(|| number.parse().ok())
        .flatten()
}
