//! Private keys of authorities: made, taken over, named, shown.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::{BadPrivateKey, Curve, KeyKind, PrivateKey, Random, uuid_v4};
use vault_x509::PublicKey;
use zeroize::Zeroizing;

use super::name;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::engine::secret::Secret;

pub(super) const FOLDER: &str = "key";
const CONFIG: &str = "config/keys";

/// A key as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Key {
    pub id: String,
    pub name: String,
    /// PKCS #8.
    private: Secret,
}

#[derive(Default, Serialize, Deserialize)]
struct Config {
    default: String,
}

fn row(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

/// `key_type` and `key_bits` of a request or a role; 0 bits is the usual number.
pub(super) fn kind(key_type: &str, bits: i64) -> Result<KeyKind, Fault> {
    match (key_type, bits) {
        ("rsa" | "", 0 | 2048) => Ok(KeyKind::Rsa2048),
        ("rsa" | "", 3072) => Ok(KeyKind::Rsa3072),
        ("rsa" | "", 4096) => Ok(KeyKind::Rsa4096),
        ("ec", 0 | 256) => Ok(KeyKind::P256),
        ("ec", 384) => Ok(KeyKind::P384),
        ("ec", 521) => Ok(KeyKind::P521),
        ("ed25519", 0) => Ok(KeyKind::Ed25519),
        ("rsa" | "" | "ec" | "ed25519", _) => Err(Fault::invalid(
            "unsupported key_bits: use 2048, 3072 or 4096 for rsa, 256, 384 or 521 for ec, none for ed25519",
        )),
        _ => Err(Fault::invalid("unknown key_type: use rsa, ec or ed25519")),
    }
}

pub(super) fn type_of(key: &PrivateKey) -> &'static str {
    match key {
        PrivateKey::Ed25519(_) => "ed25519",
        PrivateKey::Ecdsa(_) => "ec",
        PrivateKey::Rsa(_) => "rsa",
    }
}

pub(super) fn wanted(body: &Body) -> Result<KeyKind, Fault> {
    let key_type = body.string("key_type")?.unwrap_or_default();
    kind(&key_type, body.int("key_bits")?.unwrap_or(0))
}

/// RSA is made where that blocks nobody.
pub(super) async fn make(kind: KeyKind, outside: &Outside<'_>) -> Result<PrivateKey, Fault> {
    let random = Arc::clone(outside.random);
    let made = match kind {
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
            let make = move || PrivateKey::generate(kind, &*random);
            outside.slow.run(make).await?
        }
        _ => PrivateKey::generate(kind, &*random),
    };
    made.map_err(|_| Fault::Internal("the library makes no key"))
}

pub(super) fn bad(error: BadPrivateKey) -> Fault {
    Fault::invalid(error.to_string())
}

pub(super) fn public(key: &PrivateKey) -> Result<PublicKey, Fault> {
    let der = key.public_der().map_err(bad)?;
    PublicKey::from_der(&der).map_err(|error| Fault::invalid(error.to_string()))
}

/// As people want it in a file: PKCS #8 if they ask for it, else the older form of its kind.
pub(super) fn pem(key: &PrivateKey, body: &Body) -> Result<Zeroizing<String>, Fault> {
    let format = body.string("private_key_format")?.unwrap_or_default();
    match format.as_str() {
        "" | "der" | "pem" => key.to_traditional_pem().map_err(bad),
        "pkcs8" => key.to_pem().map_err(bad),
        _ => Err(Fault::invalid(
            "the \"private_key_format\" path parameter must be \"der\" or \"pkcs8\"",
        )),
    }
}

impl Key {
    pub(super) fn new(key: &PrivateKey, name: String, random: &dyn Random) -> Result<Key, Fault> {
        Ok(Key {
            id: uuid_v4(random),
            name,
            private: Secret::copy(&key.to_pkcs8().map_err(bad)?),
        })
    }

    pub(super) fn open(&self) -> Result<PrivateKey, Fault> {
        PrivateKey::from_pkcs8(self.private.expose())
            .map_err(|_| Fault::Internal("a stored key is unusable"))
    }

    pub(super) async fn get(view: &mut View<'_>, id: &str) -> Result<Option<Key>, Fault> {
        match id.is_empty() {
            true => Ok(None),
            false => Ok(view.get(&row(id)).await?),
        }
    }

    /// The first key is the default one.
    pub(super) async fn store(&self, view: &mut View<'_>) -> Result<(), Fault> {
        view.put(&row(&self.id), self).await?;
        let config: Config = view.get(CONFIG).await?.unwrap_or_default();
        if config.default.is_empty() {
            let default = self.id.clone();
            view.put(CONFIG, &Config { default }).await?;
        }
        Ok(())
    }

    /// By id, by name, or the default one.
    pub(super) async fn named(view: &mut View<'_>, reference: &str) -> Result<Key, Fault> {
        let missing = || Fault::invalid("unable to find key for reference: no such key");
        if reference == "default" {
            let config: Config = view.get(CONFIG).await?.unwrap_or_default();
            return Key::get(view, &config.default).await?.ok_or_else(missing);
        }
        for key in Key::all(view).await? {
            if key.id == reference || !key.name.is_empty() && key.name == reference {
                return Ok(key);
            }
        }
        Err(missing())
    }

    pub(super) async fn all(view: &mut View<'_>) -> Result<Vec<Key>, Fault> {
        let mut found = Vec::new();
        for id in view.list(FOLDER).await? {
            found.extend(Key::get(view, &id).await?);
        }
        Ok(found)
    }

    /// The key that is there already, or a new one.
    pub(super) async fn keep(
        key: &PrivateKey,
        name: String,
        ctx: &Ctx<'_>,
        view: &mut View<'_>,
    ) -> Result<(Key, bool), Fault> {
        let public_der = key.public_der().map_err(bad)?;
        for known in Key::all(view).await? {
            if known.open()?.public_der().map_err(bad)? == public_der {
                return Ok((known, false));
            }
        }
        let new = Key::new(key, name, ctx.random)?;
        new.store(view).await?;
        Ok((new, true))
    }

    fn show(&self) -> Result<Map<String, Value>, Fault> {
        let key = self.open()?;
        let Value::Object(map) = json!({
            "key_id": self.id,
            "key_name": self.name,
            "key_type": type_of(&key),
            "subject_key_id": super::serial::colons(&public(&key)?.id()),
        }) else {
            return Err(Fault::Internal("show a key"));
        };
        Ok(map)
    }
}

/// The name that a request gives to a new key.
pub(super) async fn new_name(body: &Body, view: &mut View<'_>) -> Result<String, Fault> {
    let name = name::optional(body, "key_name")?;
    let taken = !name.is_empty() && Key::all(view).await?.iter().any(|key| key.name == name);
    match taken {
        true => Err(Fault::invalid(
            "key_name: another key has this name already",
        )),
        false => Ok(name),
    }
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(CONFIG).await?.unwrap_or_default();
    let keys = Key::all(view).await?;
    let info = keys.iter().map(|key| {
        let shown = json!({ "key_name": key.name, "is_default": key.id == config.default });
        (key.id.clone(), shown)
    });
    let ids = ctx.page(keys.iter().map(|key| key.id.clone()).collect())?;
    Reply::list_with_info(ids, info.collect())
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(Reply::map(
        Key::named(view, ctx.param("ref")).await?.show()?,
    ))
}

pub(super) async fn rename(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut key = Key::named(view, ctx.param("ref")).await?;
    let name = name::optional(ctx.body(), "key_name")?;
    if name != key.name {
        key.name = new_name(ctx.body(), view).await?;
        key.store(view).await?;
    }
    Ok(Reply::map(key.show()?))
}

/// A key that an issuer signs with stays.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let Ok(key) = Key::named(view, ctx.param("ref")).await else {
        return Ok(Reply::none());
    };
    let issuers = super::issuer::Issuer::all(view).await?;
    if issuers.iter().any(|issuer| issuer.key_id == key.id) {
        return Err(Fault::invalid(
            "unable to delete key: it is in use by an issuer; delete the issuer first",
        ));
    }
    view.delete(&row(&key.id)).await?;
    let config: Config = view.get(CONFIG).await?.unwrap_or_default();
    match config.default == key.id {
        true => {
            view.put(CONFIG, &Config::default()).await?;
            Ok(Reply::none().warn("deleted the default key: set another one in config/keys"))
        }
        false => Ok(Reply::none()),
    }
}

pub(super) async fn generate(
    ctx: &Ctx<'_>,
    made: &PrivateKey,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let exported = match ctx.param("type") {
        "exported" => true,
        "internal" => false,
        _ => return Err(Fault::invalid("unknown type: use internal or exported")),
    };
    let key = Key::new(made, new_name(ctx.body(), view).await?, ctx.random)?;
    key.store(view).await?;
    let mut map = key.show()?;
    if exported {
        map.insert("private_key".into(), pem(made, ctx.body())?.as_str().into());
    }
    Ok(Reply::map(map))
}

pub(super) async fn import(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let text = Zeroizing::new(ctx.body().required("pem_bundle")?);
    let key = PrivateKey::from_pem(&text).map_err(bad)?;
    let name = new_name(ctx.body(), view).await?;
    let (key, _) = Key::keep(&key, name, ctx, view).await?;
    Ok(Reply::map(key.show()?))
}

pub(super) async fn read_config(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(CONFIG).await?.unwrap_or_default();
    Ok(Reply::json(json!({ "default": config.default })))
}

pub(super) async fn write_config(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let reference = ctx.body().required("default")?;
    let default = Key::named(view, &reference).await?.id;
    view.put(
        CONFIG,
        &Config {
            default: default.clone(),
        },
    )
    .await?;
    Ok(Reply::json(json!({ "default": default })))
}

/// Bits that a key of a CSR has to have at least, by type.
pub(super) fn strong(kind: vault_x509::PublicKind, key_type: &str, bits: i64) -> Result<(), Fault> {
    use vault_x509::PublicKind;
    let (found, have) = match kind {
        PublicKind::Ed25519 => ("ed25519", 0),
        PublicKind::Ecdsa(Curve::P256) => ("ec", 256),
        PublicKind::Ecdsa(Curve::P384) => ("ec", 384),
        PublicKind::Ecdsa(Curve::P521) => ("ec", 521),
        PublicKind::Rsa(bits) => ("rsa", i64::try_from(bits).unwrap_or(i64::MAX)),
    };
    if key_type != "any" && key_type != found {
        return Err(Fault::invalid(format!(
            "role requires keys of type {key_type}"
        )));
    }
    if key_type != "any" && have < bits {
        return Err(Fault::invalid(format!(
            "role requires a minimum of a {bits}-bit key, but CSR's key is {have} bits"
        )));
    }
    Ok(())
}
