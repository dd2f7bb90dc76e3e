//! What the server says of itself, its machine and its work. No secret, no path of a file.

use serde_json::{Map, Value, json};

use crate::barrier::Tx;
use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::identity;
use crate::core::lease;
use crate::core::mount::reserved;
use crate::core::reply::Reply;
use crate::core::token;
use crate::core::unsealed::Unsealed;

/// Versions that ran on this store, with the time of their first unseal.
pub async fn versions(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let mut view = tx.view(reserved::SYSTEM);
    let mut found: Vec<(String, String)> = Vec::new();
    for version in view.list("version").await? {
        if let Some(since) = view.get(&format!("version/{version}")).await? {
            found.push((since, version));
        }
    }
    found.sort();
    let mut previous = Value::Null;
    let mut info = std::collections::BTreeMap::new();
    let mut keys = Vec::new();
    for (since, version) in found {
        let entry =
            json!({"previous_version": previous, "timestamp_installed": since, "build_date": ""});
        previous = version.clone().into();
        keys.push(version.clone());
        info.insert(version, entry);
    }
    Reply::list_with_info(ctx.page(keys)?, info)
}

/// Notes that this version runs; at unseal.
pub async fn note_version(tx: &mut Tx, version: &str, now: jiff::Timestamp) -> Result<(), Fault> {
    let mut view = tx.view(reserved::SYSTEM);
    let row = format!("version/{version}");
    if !view.exists(&row).await? {
        view.put(&row, &now.to_string()).await?;
    }
    Ok(())
}

/// As far as Linux tells.
pub fn host(ctx: &Ctx<'_>) -> Reply {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let bytes = |name: &str| -> u64 {
        let line = memory.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| {
            line.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        });
        kib.unwrap_or(0) * 1024
    };
    let (total, available) = (bytes("MemTotal:"), bytes("MemAvailable:"));
    let uptime = read("/proc/uptime");
    let uptime = uptime
        .split('.')
        .next()
        .and_then(|text| text.parse::<i64>().ok());
    let uptime = uptime.unwrap_or(0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Reply::json(json!({
        "timestamp": ctx.now().to_string(),
        "host": {
            "hostname": read("/proc/sys/kernel/hostname").trim(),
            "os": std::env::consts::OS,
            "kernelArch": std::env::consts::ARCH,
            "kernelVersion": read("/proc/sys/kernel/osrelease").trim(),
            "uptime": uptime,
            "bootTime": ctx.now().as_second() - uptime,
        },
        "cpu": (0..processors).map(|cpu| json!({"cpu": cpu})).collect::<Vec<_>>(),
        "memory": {
            "total": total,
            "available": available,
            "used": total.saturating_sub(available),
            "free": bytes("MemFree:"),
        },
    }))
}

pub fn in_flight(core: &Core) -> Reply {
    let running = core.meter.in_flight().into_iter();
    let shown: Map<String, Value> = running
        .map(|running| {
            let entry = json!({
                "start_time": running.started.to_string(),
                "client_remote_address": running.remote.to_string(),
                "request_path": format!("/v1/{}", running.path),
                "request_method": running.verb.method(),
            });
            (running.id, entry)
        })
        .collect();
    Reply::map(shown).bare()
}

/// The configuration without what could help an attacker: no addresses, no paths of files.
pub fn configuration(core: &Core) -> Reply {
    let settings = &core.settings;
    Reply::json(json!({
        "cluster_name": settings.cluster_name,
        "default_lease_ttl": settings.ttl.default,
        "max_lease_ttl": settings.ttl.max,
        "storage": {"type": settings.storage_type, "disable_clustering": true},
        "seals": [{"type": "shamir", "disabled": false}],
        "raw_storage_endpoint": false,
        "introspection_endpoint": false,
    }))
}

/// Service tokens that live now. Reads every lease entry, a page at a time.
pub async fn tokens(vault: &Unsealed, tx: &mut Tx) -> Result<Reply, Fault> {
    let leased: u64 = lease::count(tx, &vault.mounts.load()).await?.values().sum();
    let all = leased + token::endless(tx).await?.len() as u64;
    Ok(Reply::json(
        json!({"counters": {"service_tokens": {"total": all}}}),
    ))
}

pub async fn entities(tx: &mut Tx) -> Result<Reply, Fault> {
    let all = identity::count(tx).await?;
    Ok(Reply::json(
        json!({"counters": {"entities": {"total": all}}}),
    ))
}
