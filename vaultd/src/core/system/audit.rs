//! The audit devices, as the API shows them. Most are set in the server's config; where that names a
//! folder, devices that write into it can be enabled here too.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::audit::DeviceStatus;
use crate::barrier::Tx;
use crate::core::Core;
use crate::core::audit_device::{self, AuditDevice};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::parse_path;
use crate::core::reply::{After, Reply};

/// The path of a device of the config, which has no other name than its file's.
fn own_path(device: &DeviceStatus) -> String {
    let name = device.name.trim_end_matches('/').rsplit('/').next();
    format!("{}/", name.unwrap_or("device"))
}

fn condition(device: &DeviceStatus) -> &'static str {
    match device.healthy {
        true => "accepts records",
        false => "does not accept records",
    }
}

pub async fn list(core: &Core, tx: &mut Tx) -> Result<Reply, Fault> {
    let running = core.audit.status();
    let mut shown = Map::new();
    for device in running.iter().filter(|device| device.label.is_empty()) {
        let path = own_path(device);
        let about = condition(device);
        shown.insert(path.clone(), entry(device.kind, &path, about, &json!({})));
    }
    for device in audit_device::all(tx).await? {
        // As it was given: clients compare it with what they want to be there.
        let about = &device.description;
        let options = json!(device.options);
        let mut entry = entry("file", &device.label, about, &options);
        entry["local"] = device.local.into();
        shown.insert(device.label, entry);
    }
    Ok(Reply::map(shown).top_level())
}

fn entry(kind: &str, path: &str, description: &str, options: &Value) -> Value {
    json!({
        "type": kind,
        "path": path,
        "description": description,
        "options": options,
        "local": false,
    })
}

pub fn hash(core: &Core, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let path = parse_path(ctx.param("path"))?;
    let known = core.audit.status().iter().any(|device| {
        device.label == path || (device.label.is_empty() && own_path(device) == path)
    });
    if !known {
        return Err(Fault::invalid(format!(
            "unknown audit backend: {:?}",
            path.trim_end_matches('/')
        )));
    }
    let input = ctx.body().string("input")?;
    let input = input.ok_or_else(|| Fault::invalid("the \"input\" parameter is empty"))?;
    let hash = core.audit.hmac(input.as_bytes()).ok_or(Fault::Sealed)?;
    Ok(Reply::json(json!({"hash": hash})).top_level())
}

pub async fn enable(core: &Core, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let folder = audit_device::folder(core)?;
    let label = parse_path(ctx.param("path"))?;
    AuditDevice::check_label(&label)?;
    match ctx.body().string("type")?.as_deref() {
        Some("file") => {}
        Some("socket" | "syslog") => {
            return Err(Fault::invalid(
                "only audit devices of type \"file\" can be enabled over the API: ship the file from there",
            ));
        }
        _ => {
            return Err(Fault::invalid(
                "unknown audit backend: \"type\" must be \"file\"",
            ));
        }
    }
    let options = ctx.body().strings("options")?.unwrap_or_default();
    let given = options.get("file_path").or_else(|| options.get("path"));
    let given = given.ok_or_else(|| Fault::invalid("the option file_path is required"))?;
    let device = AuditDevice {
        file: audit_device::confine(&folder, given)?,
        description: ctx.body().string("description")?.unwrap_or_default(),
        options: accepted(options)?,
        local: ctx.body().bool("local")?.unwrap_or_default(),
        label,
    };
    let taken = |status: &DeviceStatus| status.label.is_empty() && own_path(status) == device.label;
    if audit_device::load(tx, &device.label).await?.is_some()
        || core.audit.status().iter().any(taken)
    {
        return Err(Fault::invalid("path already in use"));
    }
    audit_device::store(tx, &device).await?;
    Ok(Reply {
        after: Some(After::AuditEnabled(device)),
        ..Reply::none()
    })
}

/// Options that would make a log that is less than what is promised are refused, not ignored.
fn accepted(options: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Fault> {
    for (name, value) in &options {
        let fine = match (name.as_str(), value.as_str()) {
            ("file_path" | "path", _) | (_, "") => true,
            ("format", "json") | ("mode", "0600" | "600") => true,
            ("log_raw" | "elide_list_responses", value) => value == "false",
            ("hmac_accessor", value) => value == "true",
            _ => false,
        };
        if !fine {
            return Err(Fault::invalid(format!(
                "the audit option {name:?} cannot be set so: records are JSON with HMACed values and without a \
                 prefix, files have the mode 0600"
            )));
        }
    }
    Ok(options)
}

pub async fn disable(core: &Core, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let label = parse_path(ctx.param("path"))?;
    let configured = |status: &DeviceStatus| status.label.is_empty() && own_path(status) == label;
    if core.audit.status().iter().any(configured) {
        return Err(Fault::invalid(
            "this audit device is set in the server's config, and cannot be disabled over the API",
        ));
    }
    if audit_device::load(tx, &label).await?.is_none() {
        return Ok(Reply::none());
    }
    audit_device::delete(tx, &label).await?;
    Ok(Reply {
        after: Some(After::AuditDisabled(label)),
        ..Reply::none()
    })
}
