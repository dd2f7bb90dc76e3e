//! `oidc/key/…`: named keys that sign identity tokens. Each has a key that signs and one that will:
//! both are published, so that who verifies knows the next before it is used. A key is rotated when it
//! is due and asked to sign, which is when it matters.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_crypto::{Random, SecretBytes, System, random_base62};
use zeroize::Zeroizing;

use super::jws::{self, Algorithm};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::token::plus;

const FOLDER: &str = "oidc/key";
/// There without being made; its key is generated when it is first used.
pub const DEFAULT: &str = "default";
const DAY: u64 = 86_400;

/// Durations in seconds.
#[derive(Serialize, Deserialize)]
pub struct Key {
    pub algorithm: Algorithm,
    pub rotation_period: u64,
    /// How long a token may be verified after its key was replaced.
    pub verification_ttl: u64,
    /// Client ids of the roles that may use it; `*` is all.
    pub allowed_client_ids: Vec<String>,
    current: Pair,
    next: Pair,
    old: Vec<Old>,
    rotates: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    id: String,
    secret: Private,
    public: Value,
    algorithm: Algorithm,
}

/// The public part of a key that was replaced.
#[derive(Serialize, Deserialize)]
struct Old {
    id: String,
    public: Value,
    algorithm: Algorithm,
    until: Timestamp,
}

/// Secret bytes, in URL-safe base64 where they are stored.
struct Private(SecretBytes);

impl Serialize for Private {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Zeroizing::new(jws::encode(self.0.expose())))
    }
}

impl<'de> Deserialize<'de> for Private {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Private, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        let bytes = jws::decode(&text).ok_or_else(|| serde::de::Error::custom("no base64"))?;
        Ok(Private(SecretBytes::from_vec(bytes)))
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(…)")
    }
}

impl Pair {
    /// RSA is generated off the thread that serves other requests.
    async fn generate(algorithm: Algorithm, random: &dyn Random) -> Result<Pair, Fault> {
        let (secret, public) = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                let made = tokio::task::spawn_blocking(move || jws::generate(algorithm, &System));
                made.await
                    .map_err(|_| Fault::Internal("generation of a key"))??
            }
            _ => jws::generate(algorithm, random)?,
        };
        Ok(Pair {
            id: random_base62(20, random),
            secret: Private(secret),
            public,
            algorithm,
        })
    }
}

impl Key {
    async fn new(algorithm: Algorithm, ctx: &Ctx<'_>) -> Result<Key, Fault> {
        Ok(Key {
            algorithm,
            rotation_period: DAY,
            verification_ttl: DAY,
            allowed_client_ids: Vec::new(),
            current: Pair::generate(algorithm, ctx.random).await?,
            next: Pair::generate(algorithm, ctx.random).await?,
            old: Vec::new(),
            rotates: plus(ctx.now(), DAY),
        })
    }

    pub async fn load(name: &str, view: &mut View<'_>) -> Result<Option<Key>, Fault> {
        Ok(view.get(&super::row(FOLDER, name)?).await?)
    }

    async fn store(&self, name: &str, view: &mut View<'_>) -> Result<(), Fault> {
        Ok(view.put(&super::row(FOLDER, name)?, self).await?)
    }

    pub fn allows(&self, client: &str) -> bool {
        let mut ids = self.allowed_client_ids.iter();
        ids.any(|id| id == "*" || id == client)
    }

    async fn rotate(&mut self, ttl: u64, ctx: &Ctx<'_>) -> Result<(), Fault> {
        let next = Pair::generate(self.algorithm, ctx.random).await?;
        // The next one may be of an algorithm that was changed since.
        let ready = std::mem::replace(&mut self.next, next);
        let ready = match ready.algorithm == self.algorithm {
            true => ready,
            false => Pair::generate(self.algorithm, ctx.random).await?,
        };
        let replaced = std::mem::replace(&mut self.current, ready);
        self.old.retain(|old| old.until > ctx.now());
        self.old.push(Old {
            id: replaced.id,
            public: replaced.public,
            algorithm: replaced.algorithm,
            until: plus(ctx.now(), ttl),
        });
        self.rotates = plus(ctx.now(), self.rotation_period);
        Ok(())
    }

    /// The public keys that may verify a token now.
    fn published(&self, now: Timestamp) -> Vec<(&str, Algorithm, &Value)> {
        let mut keys: Vec<_> = [&self.current, &self.next]
            .map(|pair| (pair.id.as_str(), pair.algorithm, &pair.public))
            .into();
        let old = self.old.iter().filter(|old| old.until > now);
        keys.extend(old.map(|old| (old.id.as_str(), old.algorithm, &old.public)));
        keys
    }
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut names = names(view).await?;
    if !names.iter().any(|name| name == DEFAULT) {
        names.push(DEFAULT.to_owned());
        names.sort();
    }
    ctx.list(names)
}

async fn names(view: &mut View<'_>) -> Result<Vec<String>, Fault> {
    Ok(view.list(FOLDER).await?)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let shown = |algorithm: Algorithm, rotation: u64, ttl: u64, clients: &[String]| {
        Reply::json(json!({
            "algorithm": algorithm.name(),
            "rotation_period": rotation,
            "verification_ttl": ttl,
            "allowed_client_ids": clients,
        }))
    };
    match Key::load(ctx.param("name"), view).await? {
        Some(key) => Ok(shown(
            key.algorithm,
            key.rotation_period,
            key.verification_ttl,
            &key.allowed_client_ids,
        )),
        None if ctx.param("name") == DEFAULT => {
            Ok(shown(Algorithm::Rs256, DAY, DAY, &["*".to_owned()]))
        }
        None => Err(Fault::Missing),
    }
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (ctx.param("name"), ctx.body());
    let asked = body.string("algorithm")?.filter(|name| !name.is_empty());
    let asked = asked.map(|name| Algorithm::parse(&name)).transpose()?;
    let known = Key::load(name, view).await?;
    let (rotation, ttl) = (
        body.seconds("rotation_period")?,
        body.seconds("verification_ttl")?,
    );
    let rotation = rotation.unwrap_or(known.as_ref().map_or(DAY, |key| key.rotation_period));
    let ttl = ttl.unwrap_or(known.as_ref().map_or(DAY, |key| key.verification_ttl));
    check_times(rotation, ttl)?;
    let clients = body.list("allowed_client_ids")?;
    let mut key = match known {
        Some(key) => key,
        None => Key::new(asked.unwrap_or(Algorithm::Rs256), ctx).await?,
    };
    if let Some(clients) = clients {
        key.allowed_client_ids = clients;
    } else if name == DEFAULT && key.allowed_client_ids.is_empty() {
        key.allowed_client_ids = vec!["*".to_owned()];
    }
    (key.rotation_period, key.verification_ttl) = (rotation, ttl);
    key.rotates = plus(ctx.now(), rotation);
    if let Some(asked) = asked.filter(|asked| *asked != key.algorithm) {
        key.algorithm = asked;
        key.rotate(ttl, ctx).await?;
    }
    key.store(name, view).await?;
    Ok(Reply::none())
}

fn check_times(rotation: u64, ttl: u64) -> Result<(), Fault> {
    if rotation < 60 {
        return Err(Fault::invalid(
            "rotation_period must be at least one minute",
        ));
    }
    match ttl > rotation.saturating_mul(10) {
        true => Err(Fault::invalid(
            "verification_ttl cannot be longer than 10x rotation_period",
        )),
        false => Ok(()),
    }
}

/// A key that a role or client signs with stays.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = ctx.param("name");
    if name == DEFAULT {
        return Err(Fault::invalid("deletion of key \"default\" not allowed"));
    }
    if super::role::uses_key(name, view).await? {
        return Err(Fault::invalid(
            "unable to delete the key: a role signs with it; change or delete that first",
        ));
    }
    view.delete(&super::row(FOLDER, name)?).await?;
    Ok(Reply::none())
}

pub(super) async fn rotate(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = ctx.param("name");
    let known = Key::load(name, view).await?;
    let mut key = known.ok_or_else(|| Fault::invalid("no named key of this name"))?;
    if let Some(ttl) = ctx.body().seconds("verification_ttl")? {
        check_times(key.rotation_period, ttl)?;
        key.verification_ttl = ttl;
    }
    key.rotate(key.verification_ttl, ctx).await?;
    key.store(name, view).await?;
    Ok(Reply::none())
}

/// A key that is about to sign: rotated if it is due, made if it is the default one.
pub(super) async fn ready(
    name: &str,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Option<Key>, Fault> {
    let mut key = match Key::load(name, view).await? {
        Some(key) if key.rotates > ctx.now() => return Ok(Some(key)),
        Some(mut key) => {
            key.rotate(key.verification_ttl, ctx).await?;
            key
        }
        None if name == DEFAULT => Key::new(Algorithm::Rs256, ctx).await?,
        None => return Ok(None),
    };
    if name == DEFAULT && key.allowed_client_ids.is_empty() {
        key.allowed_client_ids = vec!["*".to_owned()];
    }
    key.store(name, view).await?;
    Ok(Some(key))
}

/// A JWT (RFC 7519) in compact form.
pub(super) fn sign(key: &Key, claims: &Value) -> Result<String, Fault> {
    let header = json!({"alg": key.current.algorithm.name(), "kid": key.current.id, "typ": "JWT"});
    let input = [&header, claims].map(|part| jws::encode(part.to_string().as_bytes()));
    let input = input.join(".");
    let pair = &key.current;
    let signature = jws::sign(pair.algorithm, &pair.secret.0, input.as_bytes())?;
    Ok(format!("{input}.{}", jws::encode(&signature)))
}

/// All public keys as a JWK set (RFC 7517).
pub(super) async fn published(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Vec<Value>, Fault> {
    let mut keys = Vec::new();
    for name in names(view).await? {
        let Some(key) = Key::load(&name, view).await? else {
            continue;
        };
        for (id, algorithm, public) in key.published(ctx.now()) {
            let mut jwk = public.clone();
            jwk["kid"] = json!(id);
            jwk["use"] = json!("sig");
            jwk["alg"] = json!(algorithm.name());
            keys.push(jwk);
        }
    }
    Ok(keys)
}

/// The claims of a token that one of our keys signed. `None` for everything else, and what is over
/// 64 KiB.
pub(super) async fn verified(
    token: &str,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Option<Value>, Fault> {
    let Some((input, signature)) = token.rsplit_once('.').filter(|_| token.len() < 1 << 16) else {
        return Ok(None);
    };
    let part = |text: &str| -> Option<Value> { serde_json::from_slice(&jws::decode(text)?).ok() };
    let parsed = input.split_once('.');
    let parsed = parsed.and_then(|(header, claims)| Some((part(header)?, part(claims)?)));
    let (Some((header, claims)), Some(signature)) = (parsed, jws::decode(signature)) else {
        return Ok(None);
    };
    for name in names(view).await? {
        let Some(key) = Key::load(&name, view).await? else {
            continue;
        };
        // The key says which algorithm, never the token.
        for (id, algorithm, public) in key.published(ctx.now()) {
            if header["kid"] == id && header["alg"] == algorithm.name() {
                let good = jws::verify(algorithm, public, input.as_bytes(), &signature);
                return Ok(good.then_some(claims));
            }
        }
    }
    Ok(None)
}
