//! Names that are locked after wrong passwords.

use std::collections::BTreeMap;

use serde_json::json;

use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::locked;
use crate::core::mount::Kind;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

pub fn list(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let wanted = ctx.body().string("mount_accessor")?;
    let mounts = vault.mounts.load();
    let mut by_mount: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, name) in core.lockouts.locked(ctx.now()) {
        let Some(mount) = mounts.by_number(number) else {
            continue;
        };
        if wanted
            .as_ref()
            .is_none_or(|wanted| *wanted == mount.accessor)
        {
            by_mount.entry(&mount.accessor).or_default().push(name);
        }
    }
    let total: usize = by_mount.values().map(Vec::len).sum();
    let shown: Vec<_> = by_mount
        .iter()
        .map(|(accessor, names)| {
            json!({"mount_accessor": accessor, "counts": names.len(), "alias_identifiers": names})
        })
        .collect();
    let root = json!({
        "namespace_id": "root",
        "namespace_path": "",
        "counts": total,
        "mount_accessors": shown,
    });
    let by_namespace = if total == 0 { vec![] } else { vec![root] };
    Ok(Reply::json(
        json!({"by_namespace": by_namespace, "total": total}),
    ))
}

/// A name that is not locked is fine.
pub async fn unlock(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let accessor = ctx.param("accessor");
    let mounts = vault.mounts.load_full();
    let mount = mounts
        .iter()
        .find(|mount| mount.kind.is_auth() && mount.accessor == accessor);
    let mount = mount.ok_or_else(|| Fault::invalid("no login method has this mount accessor"))?;
    // As it is counted: users have one spelling, role ids are what they are.
    let name = match mount.kind {
        Kind::Userpass | Kind::Ldap => ctx.param("name").to_ascii_lowercase(),
        _ => ctx.param("name").to_owned(),
    };
    core.lockouts.unlock(mount.number, &name);
    locked::save(core, vault).await?;
    Ok(Reply::none())
}
