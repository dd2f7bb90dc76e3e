//! What Vault Community answers about things that this server does not have: the truth in the shape
//! that clients read, or a refusal that says what to use instead.

use serde_json::json;

use crate::core::Core;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// One node, and it serves.
pub fn ha_status(core: &Core) -> Reply {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Reply::json(json!({"nodes": [{
        "hostname": hostname.trim(),
        "api_address": "",
        "cluster_address": "",
        "active_node": true,
        "last_echo": null,
        "version": core.settings.compat_version,
        "upgrade_version": "",
        "redundancy_zone": "",
    }]}))
    .top_level()
}

pub fn replication() -> Reply {
    Reply::json(json!({"mode": "disabled"}))
}

/// Nothing that is not finished is switched on by a name.
pub fn experiments() -> Reply {
    Reply::json(json!({"available": [], "enabled": []}))
}

/// Features that a licence would unlock.
pub fn licence_features() -> Reply {
    Reply::json(json!({"features": []}))
}

pub fn namespaces() -> Reply {
    Reply::json(json!({"keys": [""]}))
}

/// Requests since the start; nothing is kept by month.
pub fn request_counters(core: &Core) -> Reply {
    let total = core
        .meter
        .requests
        .load(std::sync::atomic::Ordering::Relaxed);
    Reply::json(json!({"counters": [{"start_time": core.started.to_string(), "total": total}]}))
}

/// Clients are not counted for a licence: no data, which is 204.
pub fn activity() -> Reply {
    Reply::none()
}

pub fn activity_settings() -> Reply {
    Reply::json(json!({
        "enabled": "default-disabled",
        "default_report_months": 12,
        "retention_months": 0,
        "minimum_retention_months": 0,
        "queries_available": false,
        "reporting_enabled": false,
        "billing_start_timestamp": null,
    }))
}

/// The log has no headers of requests.
pub fn audited_headers() -> Reply {
    Reply::json(json!({"headers": {}})).top_level()
}

pub fn refuse_audited_headers() -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "headers of requests are never recorded: they may hold secrets that nobody expects there",
    ))
}

pub fn refuse_ui_headers() -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "there is no web UI whose answers could have headers; set them in the proxy in front",
    ))
}

pub fn refuse_profiles() -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "profiles of the process are not given out, since they show its memory: use sys/metrics, or perf on the machine",
    ))
}

pub fn refuse_logs() -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "the server's log goes to standard error; read it where that is kept (journalctl -u vaultd)",
    ))
}
