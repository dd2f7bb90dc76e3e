//! Keys that were made elsewhere, wrapped so that nobody on the way sees them.
//!
//! What is given is an AES-256 key under the engine's wrapping key (RSA-4096, OAEP, RFC 8017), and the
//! key itself under that one (AES key wrap with padding, RFC 5649). A cipher's and an HMAC's key is
//! given as its bytes, all else as PKCS #8 (RFC 5958).

use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384,
    OAEP_SHA512_MGF1SHA512, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::export::pem;
use super::keys::{Wanted, existing};
use super::model::{Key, KeyName};
use super::public;
use super::version::{HMAC_KEY, KeyType, Version, ed25519_pair, public_part};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::{Secret, Text, from_base64};

const ROW: &str = "wrapping-key";
/// Bytes of the first part of what is given.
const RSA: usize = 512;

/// The engine's own; made when it is first asked for.
#[derive(Serialize, Deserialize)]
struct WrappingKey {
    pkcs8: Secret,
}

impl WrappingKey {
    async fn load(view: &mut View<'_>) -> Result<PrivateDecryptingKey, Fault> {
        if let Some(stored) = view.get::<WrappingKey>(ROW).await? {
            return PrivateDecryptingKey::from_pkcs8(stored.pkcs8.expose())
                .map_err(|_| Fault::Damaged(ROW.to_owned()));
        }
        let failed = || Fault::Internal("key generation failed");
        // Takes seconds.
        let key = tokio::task::spawn_blocking(|| PrivateDecryptingKey::generate(KeySize::Rsa4096))
            .await
            .map_err(|_| failed())?
            .map_err(|_| failed())?;
        let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| failed())?;
        let pkcs8 = Secret::copy(der.as_ref());
        view.put(ROW, &WrappingKey { pkcs8 }).await?;
        Ok(key)
    }
}

pub(super) async fn wrapping_key(view: &mut View<'_>) -> Result<Reply, Fault> {
    let key = WrappingKey::load(view).await?.public_key();
    let der: PublicKeyX509Der<'_> = key
        .as_der()
        .map_err(|_| Fault::Internal("the wrapping key is unusable"))?;
    Ok(Reply::json(
        json!({ "public_key": pem("PUBLIC KEY", der.as_ref()).as_str() }),
    ))
}

pub(super) async fn import(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (KeyName::of(ctx)?, ctx.body());
    if Key::load(view, &name).await?.is_some() {
        return Err(Fault::invalid(
            "the import path cannot be used with an existing key; use import_version to rotate an existing imported key",
        ));
    }
    let wanted = Wanted::parse(body)?;
    let allow_rotation = body.bool("allow_rotation")?.unwrap_or(false);
    if wanted.auto_rotate_period > 0 && !allow_rotation {
        return Err(Fault::invalid(
            "allow_rotation must be set to true if auto-rotation is enabled",
        ));
    }
    let version = match Given::of(body)? {
        Given::Private => private(ctx, view, wanted.kind).await?,
        Given::Public(_) if wanted.derived => {
            return Err(Fault::invalid(
                "a derived key needs its private part: it cannot be imported by its public_key",
            ));
        }
        Given::Public(pem) => public_only(ctx, wanted.kind, &pem)?,
    };
    let mut key = wanted.with(version);
    key.import = Some(super::model::Import { allow_rotation });
    key.store(view, &name).await?;
    Ok(Reply::none())
}

pub(super) async fn import_version(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let missing = "no key found with that name; to import a new key, use the import endpoint";
    let mut key = existing(view, &name, missing).await?;
    if key.import.is_none() {
        return Err(Fault::invalid(
            "the import_version endpoint can only be used with an imported key",
        ));
    }
    if key.convergent {
        return Err(Fault::invalid(
            "import_version cannot be used on keys with convergent encryption enabled",
        ));
    }
    let number = ctx.body().int("version")?;
    match Given::of(ctx.body())? {
        Given::Public(_) if number.is_some() => {
            return Err(Fault::invalid(
                "cannot add a public key to a key version that already has a public key set",
            ));
        }
        Given::Public(_) if key.derived => {
            return Err(Fault::invalid("a derived key needs its private part"));
        }
        Given::Public(pem) => key.versions.push(public_only(ctx, key.kind, &pem)?),
        Given::Private => {
            let version = private(ctx, view, key.kind).await?;
            match number {
                Some(number) => complete(&mut key, number, version)?,
                None => add(&mut key, version),
            }
        }
    }
    key.store(view, &name).await?;
    Ok(Reply::none())
}

/// What a request brings.
enum Given {
    /// Wrapped in `ciphertext`.
    Private,
    /// PEM.
    Public(String),
}

impl Given {
    fn of(body: &Body) -> Result<Given, Fault> {
        match (body.has("ciphertext"), body.string("public_key")?) {
            (true, None) => Ok(Given::Private),
            (false, Some(pem)) => Ok(Given::Public(pem)),
            (true, Some(_)) => Err(Fault::invalid(
                "only one of the following fields, ciphertext and public_key, can be set",
            )),
            (false, None) => Err(Fault::invalid(
                "missing ciphertext: give the wrapped private key, or a public_key",
            )),
        }
    }
}

/// The private part for a version that has none.
fn complete(key: &mut Key, number: i64, private: Version) -> Result<(), Fault> {
    let at = u64::try_from(number)
        .ok()
        .and_then(|number| usize::try_from(number.checked_sub(key.first)?).ok());
    let version = at.and_then(|at| key.versions.get_mut(at));
    let version = version.ok_or_else(|| Fault::invalid("the key has no such version"))?;
    if version.has_private() {
        return Err(Fault::invalid(
            "private key imported, key version cannot be updated",
        ));
    }
    if version.public != private.public {
        return Err(Fault::invalid("cannot import key, key pair does not match"));
    }
    version.material = private.material;
    Ok(())
}

/// As a new version, unless the latest one waits for it.
fn add(key: &mut Key, private: Version) {
    match key.versions.last_mut() {
        Some(latest) if !latest.has_private() && latest.public == private.public => {
            latest.material = private.material;
        }
        _ => key.versions.push(private),
    }
}

fn public_only(ctx: &Ctx<'_>, kind: KeyType, pem: &str) -> Result<Version, Fault> {
    Ok(Version {
        created: ctx.now(),
        material: Secret::new(Vec::new()),
        hmac: Secret::random(HMAC_KEY, ctx.random),
        public: STANDARD.encode(public::parse(kind, pem)?),
        chain: Vec::new(),
    })
}

/// The key in the request as a version.
async fn private(ctx: &Ctx<'_>, view: &mut View<'_>, kind: KeyType) -> Result<Version, Fault> {
    let body = ctx.body();
    let algorithm = oaep(&body.string("hash_function")?.unwrap_or_default())?;
    let wrapped = Text::new(body.required("ciphertext")?);
    let wrapped = from_base64(wrapped.as_str(), "ciphertext")?;
    let key = WrappingKey::load(view).await?;
    let plain = unwrapped(key, algorithm, &wrapped)?;
    let (material, public) = material(kind, &plain).ok_or_else(|| {
        Fault::invalid(format!(
            "the imported key is not one of type {}: a cipher's key is given as its bytes, all else as PKCS #8",
            kind.name()
        ))
    })?;
    let hmac = match kind {
        KeyType::Hmac => Secret::new(Vec::new()),
        _ => Secret::random(HMAC_KEY, ctx.random),
    };
    Ok(Version {
        created: ctx.now(),
        material,
        hmac,
        public: STANDARD.encode(public),
        chain: Vec::new(),
    })
}

pub(super) fn oaep(name: &str) -> Result<&'static OaepAlgorithm, Fault> {
    match name.to_ascii_uppercase().as_str() {
        "" | "SHA256" => Ok(&OAEP_SHA256_MGF1SHA256),
        "SHA1" => Ok(&OAEP_SHA1_MGF1SHA1),
        "SHA384" => Ok(&OAEP_SHA384_MGF1SHA384),
        "SHA512" => Ok(&OAEP_SHA512_MGF1SHA512),
        _ => Err(Fault::invalid(
            "unsupported hash_function: use SHA1, SHA256, SHA384 or SHA512",
        )),
    }
}

/// One text for every failure: which part was wrong is nobody's business.
fn unwrapped(
    key: PrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let wrong = || {
        Fault::invalid(
            "the ciphertext does not unwrap: it must be an AES-256 key under the wrapping key and \
             hash_function, followed by the key under that one (AES-KWP)",
        )
    };
    let (ephemeral, key_part) = wrapped.split_at_checked(RSA).ok_or_else(wrong)?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| wrong())?;
    let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
    let kek = key
        .decrypt(algorithm, ephemeral, &mut room, None)
        .map_err(|_| wrong())?;
    let kek = AesKek::new(&AES_256, kek).map_err(|_| wrong())?;
    let mut plain = Zeroizing::new(vec![0; key_part.len()]);
    let length = kek
        .unwrap_with_padding(key_part, &mut plain)
        .map_err(|_| wrong())?
        .len();
    plain.truncate(length);
    Ok(plain)
}

/// The key as it is stored, and its public part; `None` if it is no key of this type.
fn material(kind: KeyType, plain: &[u8]) -> Option<(Secret, Vec<u8>)> {
    let material = if let Some(curve) = kind.curve() {
        let pair = EcdsaKeyPair::from_pkcs8(curve, plain).ok()?;
        Secret::copy(pair.to_pkcs8v1().ok()?.as_ref())
    } else if kind.rsa_size().is_some() {
        let pair = RsaKeyPair::from_pkcs8(plain).ok()?;
        let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        Secret::copy(der.as_ref())
    } else if kind == KeyType::Ed25519 {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(plain).ok()?;
        let seed = pair.seed().ok()?;
        let bytes: Curve25519SeedBin<'_> = seed.as_be_bytes().ok()?;
        ed25519_pair(bytes.as_ref()).ok()?
    } else {
        Secret::copy(plain)
    };
    let public = public_part(kind, &material)?;
    Some((material, public))
}
