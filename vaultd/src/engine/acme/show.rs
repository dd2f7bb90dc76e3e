//! How a certificate is shown.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cert::{Cert, Version};
use super::name::Host;

/// One word for how it stands.
fn state(cert: &Cert, now: Timestamp) -> &'static str {
    let current = cert.current();
    let lives = current.is_some_and(|version| version.not_after > now);
    match (current, lives) {
        (Some(version), _) if version.revoked.is_some() => "revoked",
        (Some(_), false) => "expired",
        _ if cert.failure.is_some() && cert.is_busy() => "failing",
        (None, _) => "obtaining",
        (Some(_), true) if cert.wanted => "renewing",
        (Some(_), true) => "valid",
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What a list says of each.
pub(super) fn short(cert: &Cert, now: Timestamp) -> Value {
    let current = cert.current();
    let failure = cert.failure.as_ref();
    json!({
        "names": cert.names.iter().map(Host::to_string).collect::<Vec<_>>(),
        "state": state(cert, now),
        "serial_number": current.map(|version| &version.serial),
        "not_after": current.map(|version| version.not_after),
        "next_renewal": cert.renew_at,
        "last_error": failure.map(|failed| &failed.cause),
    })
}

pub(super) fn long(cert: &Cert, now: Timestamp) -> Map<String, Value> {
    let mut shown = map(short(cert, now));
    shown.extend(map(json!({
        "account": cert.account.as_str(),
        "challenge": cert.challenge.name(),
        "dns": cert.dns.as_ref().map(|name| name.as_str()),
        "key_type": cert.key_type.name(),
        "profile": cert.profile,
        "renew_before": cert.renew_before,
        "max_versions": cert.max_versions,
        "created_time": cert.created,
        "current_version": cert.current,
        "not_before": cert.current().map(|version| version.not_before),
        "issuer": cert.current().map(|version| &version.issuer),
        "step": step(cert),
        "renewal_window": cert.window.map(|window| json!({
            "start": window.start,
            "end": window.end,
        })),
        "next_attempt": cert.is_busy().then_some(cert.next),
        "failure": cert.failure.as_ref().map(|failed| json!({
            "step": failed.step,
            "cause": failed.cause,
            "what_to_do": failed.hint,
            "time": failed.at,
            "tries": failed.tries,
        })),
    })));
    shown
}

fn step(cert: &Cert) -> Option<&'static str> {
    match &cert.order {
        Some(order) => Some(order.stage.name()),
        None => cert.wanted.then_some("order"),
    }
}

pub(super) fn version(number: u64, version: &Version) -> Map<String, Value> {
    map(json!({
        "version": number,
        "serial_number": version.serial,
        "issuer": version.issuer,
        "names": version.names,
        "not_before": version.not_before,
        "not_after": version.not_after,
        "key_type": version.key_type.name(),
        "obtained_time": version.obtained,
        "revoked_time": version.revoked,
    }))
}
