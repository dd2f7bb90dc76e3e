//! The eight fields around every answer, and its status: the only mapping. Data goes through as
//! text where it came as text, so that secrets are not taken apart.

use serde::Serialize;
use serde_json::{Map, Value};
use vault_proto::{Auth, WrapInfo};

use super::fault::Fault;
use super::reply::{Data, Reply};

/// The fields before `data`, and those after it.
#[derive(Serialize)]
struct Head<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: u64,
}

#[derive(Serialize)]
struct Tail<'a> {
    wrap_info: Option<&'a WrapInfo>,
    warnings: Option<&'a [String]>,
    auth: Option<&'a Auth>,
    mount_type: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    top_level: Option<&'a Map<String, Value>>,
}

/// The JSON body of an answer; `None` for 204.
pub fn encode(reply: &Reply, request_id: &str) -> Result<Option<Vec<u8>>, Fault> {
    let failed = |_| Fault::Internal("encode answer");
    if reply.bare {
        return match &reply.data {
            Data::Map(map) => serde_json::to_vec(map).map(Some).map_err(failed),
            Data::Raw(text) => Ok(Some(text.clone().into_bytes())),
            Data::None => Ok(None),
        };
    }
    let has_content = !matches!(reply.data, Data::None)
        || reply.auth.is_some()
        || reply.wrap_info.is_some()
        || !reply.warnings.is_empty();
    if !has_content {
        return Ok(None);
    }
    let top_level = match (&reply.data, reply.top_level) {
        (Data::Map(map), true) => Some(map),
        _ => None,
    };
    // Duplicate keys would be refused by strict readers.
    let top_level = top_level.map(|map| {
        let taken = [
            "request_id",
            "lease_id",
            "renewable",
            "lease_duration",
            "data",
            "wrap_info",
            "warnings",
            "auth",
        ];
        map.iter()
            .filter(|(key, _)| !taken.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    });
    let head = Head {
        request_id: if reply.wrap_info.is_some() {
            ""
        } else {
            request_id
        },
        lease_id: &reply.lease.id,
        renewable: reply.lease.renewable,
        lease_duration: reply.lease.duration,
    };
    let tail = Tail {
        wrap_info: reply.wrap_info.as_deref(),
        warnings: (!reply.warnings.is_empty()).then_some(&reply.warnings[..]),
        auth: reply.auth.as_deref(),
        mount_type: reply.mount_type,
        top_level: top_level.as_ref(),
    };
    // Two objects, made one with the data between them.
    let mut json = Vec::with_capacity(512 + data_length(&reply.data));
    serde_json::to_writer(&mut json, &head).map_err(failed)?;
    json.pop();
    json.extend_from_slice(b",\"data\":");
    match &reply.data {
        Data::None => json.extend_from_slice(b"null"),
        Data::Map(map) => serde_json::to_writer(&mut json, map).map_err(failed)?,
        Data::Raw(text) => json.extend_from_slice(text.as_bytes()),
    }
    let start = json.len();
    serde_json::to_writer(&mut json, &tail).map_err(failed)?;
    json[start] = b',';
    Ok(Some(json))
}

/// So that a secret is written where it stays.
fn data_length(data: &Data) -> usize {
    match data {
        Data::Raw(text) => text.len(),
        Data::Map(_) | Data::None => 0,
    }
}

/// The HTTP status of an outcome.
pub fn status_of(outcome: &Result<Reply, Fault>) -> u16 {
    match outcome {
        Ok(reply) => reply.status.unwrap_or_else(|| {
            let silent = matches!(reply.data, Data::None)
                && reply.auth.is_none()
                && reply.wrap_info.is_none()
                && reply.text.is_none()
                && reply.warnings.is_empty();
            if silent { 204 } else { 200 }
        }),
        Err(fault) => match fault {
            Fault::Invalid(_) | Fault::Described { .. } => 400,
            Fault::Denied | Fault::BadToken | Fault::Forbidden(_) => 403,
            Fault::Missing | Fault::NoRoute(_) | Fault::NotVersioned => 404,
            Fault::Unsupported => 405,
            Fault::Gone(_) => 410,
            Fault::TooLarge => 413,
            Fault::MediaType(_) => 415,
            Fault::Limited { .. } | Fault::Quota { .. } => 429,
            Fault::Sealed => 503,
            Fault::Conflict
            | Fault::Damaged(_)
            | Fault::Storage(_)
            | Fault::Audit
            | Fault::Refused(_)
            | Fault::Internal(_) => 500,
        },
    }
}
