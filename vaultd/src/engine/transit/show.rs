//! A key as its readers see it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::certificates::show_chain;
use super::cipher::derive_ed25519;
use super::export::pem;
use super::model::{Key, KeyName, Moment};
use super::version::{KeyType, Version};
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// All but the secrets. The public keys of a derived key need the context.
pub(super) fn show(name: &KeyName, key: &Key, context: &[u8]) -> Result<Reply, Fault> {
    let kind = key.kind;
    let mut shown = json!({
        "name": name.as_str(),
        "type": kind.name(),
        "derived": key.derived,
        "deletion_allowed": key.deletion_allowed,
        "min_available_version": if key.first > 1 { key.first } else { 0 },
        "min_decryption_version": key.min_decryption_version,
        "min_encryption_version": key.min_encryption_version,
        "latest_version": key.latest(),
        "exportable": key.exportable,
        "allow_plaintext_backup": key.allow_plaintext_backup,
        "supports_encryption": kind.encrypts(),
        "supports_decryption": kind.encrypts(),
        "supports_signing": kind.signs(),
        "supports_derivation": kind.derives(),
        "auto_rotate_period": key.auto_rotate_period,
        "imported_key": key.import.is_some(),
        "soft_deleted": key.soft_deleted,
    });
    if let Some(import) = &key.import {
        shown["imported_key_allow_rotation"] = json!(import.allow_rotation);
    }
    let versions = key
        .visible()
        .map(|(number, version)| Ok((number.to_string(), show_version(key, version, context)?)));
    shown["keys"] = Value::Object(versions.collect::<Result<Map<_, _>, Fault>>()?);
    if kind == KeyType::Hmac && key.hmac_size > 0 {
        shown["key_size"] = json!(key.hmac_size);
    }
    if key.derived {
        shown["kdf"] = json!("hkdf_sha256");
        shown["convergent_encryption"] = json!(key.convergent);
        if key.convergent {
            shown["convergent_encryption_version"] = json!(3);
        }
    }
    let moments = [
        ("backup_info", &key.backed_up),
        ("restore_info", &key.restored),
    ];
    for (field, moment) in moments {
        if let Some(Moment { time, version }) = moment {
            shown[field] = json!({ "time": time.to_string(), "version": version });
        }
    }
    Ok(Reply::json(shown))
}

fn show_version(key: &Key, version: &Version, context: &[u8]) -> Result<Value, Fault> {
    if !key.kind.signs() {
        return Ok(json!(version.created.as_second()));
    }
    let public = match (key.kind, key.derived) {
        (KeyType::Ed25519, true) if context.is_empty() => String::new(),
        (KeyType::Ed25519, true) => STANDARD.encode(derive_ed25519(version, context)?.1),
        (KeyType::Ed25519, false) => version.public.clone(),
        _ => pem("PUBLIC KEY", &version.public_bytes()?).to_string(),
    };
    let mut shown = json!({
        "name": key.kind.public_name(),
        "public_key": public,
        "creation_time": version.created.to_string(),
    });
    if !version.chain.is_empty() {
        shown["certificate_chain"] = json!(show_chain(version)?);
    }
    Ok(shown)
}
