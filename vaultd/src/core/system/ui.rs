//! Routes that clients ask before they do anything: which mount serves a path, and in which version.
//! They ask no policy, and say nothing about mounts that the caller has no rule under, unless those
//! are for everybody's eyes (`listing_visibility`), as a login page needs.

use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::core::caller::Caller;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::Mount;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

fn caller<'a>(ctx: &Ctx<'a>) -> Result<&'a Caller, Fault> {
    ctx.caller.ok_or(Fault::BadToken)
}

fn visible(caller: Option<&Caller>, mount: &Mount) -> bool {
    mount.config.listing_visibility == "unauth"
        || caller.is_some_and(|caller| caller.is_root() || caller.acl.any_under(&mount.path))
}

/// A mount as it works: where it has no TTLs of its own, with the server's.
fn shown(core: &Core, mount: &Mount) -> Value {
    let mut shown = mount.show();
    for (name, ttl) in [
        ("default_lease_ttl", core.ttl.default),
        ("max_lease_ttl", core.ttl.max),
    ] {
        if shown["config"][name] == 0 {
            shown["config"][name] = ttl.into();
        }
    }
    shown
}

/// What everybody may know, and with a token what it may see.
pub fn mounts(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let (mut secret, mut auth) = (Map::new(), Map::new());
    let mounts = vault.mounts.load();
    for mount in mounts.iter().filter(|mount| visible(ctx.caller, mount)) {
        let shown = match ctx.caller {
            Some(_) => shown(core, mount),
            None => json!({
                "type": mount.kind.type_name(),
                "description": mount.description,
                "options": mount.options,
            }),
        };
        let table = if mount.kind.is_auth() {
            &mut auth
        } else {
            &mut secret
        };
        table.insert(mount.name().to_owned(), shown);
    }
    Ok(Reply::json(json!({"secret": secret, "auth": auth})))
}

pub fn mount(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let caller = caller(ctx)?;
    let path = ctx.param("path");
    let mounts = vault.mounts.load();
    let with_slash = format!("{path}/");
    let found = mounts
        .resolve(&with_slash)
        .map(|(mount, _)| mount)
        .filter(|mount| visible(Some(caller), mount));
    let mount = found.ok_or_else(|| {
        Fault::Forbidden(format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path {with_slash:?}"
        ))
    })?;
    let mut shown = match shown(core, mount) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    shown.insert("path".into(), mount.path.clone().into());
    Ok(Reply::map(shown))
}

/// The caller's rules, for clients that draw only what can be used.
pub fn resultant_acl(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let caller = caller(ctx)?;
    let (mut exact, mut glob) = (Map::new(), Map::new());
    for rule in caller.acl.rules() {
        let path = rule.pattern.to_string();
        let entry = json!({"capabilities": rule.capabilities.iter().map(|c| c.as_str()).collect::<Vec<_>>()});
        match path.strip_suffix('*') {
            Some(prefix) => glob.insert(prefix.to_owned(), entry),
            None => exact.insert(path, entry),
        };
    }
    let root = caller.is_root();
    Ok(Reply::json(
        json!({"exact_paths": exact, "glob_paths": glob, "root": root}),
    ))
}
