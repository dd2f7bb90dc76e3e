//! Values that were encrypted elsewhere, to the public key of a secret's path: anyone can make one,
//! only this server opens it, and only for that path and name.
//!
//! A private key is derived from the keyring and the path: nothing is stored, and every path has one
//! whether there is a secret or not. The plaintext is JSON; blanks at its end hide its length.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use vault_crypto::{HpkeKey, Key};
use vault_proto::encrypted::{PREFIX, info_fields};

use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{Data, Reply};

/// `GET encryption-key/<path>`.
pub(super) fn public_key(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let path = whole_path(ctx);
    let key = private_key(ctx, &path);
    Reply::of(&json!({"path": path, "public_key": URL_SAFE_NO_PAD.encode(key.public())}))
}

/// `POST decrypt/<path>`.
pub(super) fn decrypt(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let values = ctx
        .body()
        .raw("values")
        .ok_or_else(|| Fault::invalid("values must be an object of encrypted values"))?;
    let opened = open(ctx, values)?;
    Ok(Reply {
        data: Data::Raw(format!(r#"{{"values":{opened}}}"#)),
        ..Reply::default()
    })
}

/// The values of a write whose options say that they are encrypted; `None` if they are not.
pub(super) fn given(ctx: &Ctx<'_>, values: &RawValue) -> Result<Option<Box<RawValue>>, Fault> {
    match super::data::option(ctx.body(), "encrypted")? {
        true => open(ctx, values).map(Some),
        false => Ok(None),
    }
}

fn open(ctx: &Ctx<'_>, values: &RawValue) -> Result<Box<RawValue>, Fault> {
    let values: BTreeMap<String, String> = serde_json::from_str(values.get())
        .map_err(|_| Fault::invalid("encrypted values must be an object of texts"))?;
    let path = whole_path(ctx);
    let key = private_key(ctx, &path);
    let mut opened = BTreeMap::new();
    for (name, value) in values {
        let refused = |why: &str| Fault::invalid(format!("the value of {name:?} {why}"));
        let sealed = value
            .strip_prefix(PREFIX)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .ok_or_else(|| refused("is not encrypted: encrypt it with vaultctl encrypt"))?;
        let info = info_fields(&path, &name).iter().fold(
            vault_crypto::Aad::new(vault_proto::encrypted::DOMAIN),
            |info, field| info.field(field.as_bytes()),
        );
        let plain = key
            .open(&info, &sealed)
            .map_err(|_| refused("was altered, or encrypted for another path, name or server"))?;
        let plain: Box<RawValue> = serde_json::from_slice(&plain)
            .map_err(|_| refused("holds no JSON: encrypt it with vaultctl encrypt"))?;
        opened.insert(name, plain);
    }
    to_raw_value(&opened).map_err(|_| Fault::Internal("serialise values"))
}

/// As people write it: mount and path of the secret.
fn whole_path(ctx: &Ctx<'_>) -> String {
    format!("{}{}", ctx.mount.path, ctx.param("path"))
}

fn private_key(ctx: &Ctx<'_>, path: &str) -> HpkeKey {
    HpkeKey::new(&Key::from_boxed(ctx.values.tag(&[path.as_bytes()])))
}
