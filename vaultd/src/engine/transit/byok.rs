//! A key for another server: wrapped under that one's public wrapping key, as its import takes it
//! (`import`), so that nobody on the way sees it.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{OaepAlgorithm, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::export::asked_version;
use super::import::oaep;
use super::keys::existing;
use super::model::KeyName;
use super::version::{KeyType, Version};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::Secret;

pub(super) async fn export(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let algorithm = oaep(&ctx.body().string("hash")?.unwrap_or_default())?;
    let to = KeyName::parse(ctx.param("destination"))?;
    let to = existing(view, &to, "no such destination key to export to").await?;
    if to.kind.rsa_size().is_none() {
        return Err(Fault::invalid(
            "the destination key must be of a type of RSA: import the other server's wrapping key with 'public_key'",
        ));
    }
    let (_, wrapping) = to.to_make(0, "wrapping")?;
    let wrapping = wrapping.public_bytes()?;
    let name = KeyName::parse(ctx.param("source"))?;
    let key = existing(view, &name, "no such source key for export").await?;
    if !key.exportable {
        return Err(Fault::invalid("key is not exportable"));
    }
    let wanted = asked_version(ctx, &key)?;
    let mut keys = Map::new();
    for (number, version) in key.visible() {
        if version.has_private() && wanted.is_none_or(|wanted| wanted == number) {
            let plain = plain(key.kind, version)?;
            let text = wrapped(ctx, &wrapping, algorithm, &plain)?;
            keys.insert(number.to_string(), Value::from(text));
        }
    }
    Ok(Reply::json(json!({
        "name": name.as_str(),
        "type": key.kind.name(),
        "keys": keys,
    })))
}

/// A cipher's and a MAC's key as its bytes, all else as PKCS #8 (RFC 5958).
fn plain(kind: KeyType, version: &Version) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let failed = |_| Fault::Internal("a stored Ed25519 key cannot be read");
    let material = version.material.expose();
    if kind != KeyType::Ed25519 {
        return Ok(Zeroizing::new(material.to_vec()));
    }
    let (seed, public) = material.split_at_checked(32).unwrap_or_default();
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
    let pair = pair.map_err(|_| Fault::Internal("a stored Ed25519 key is cut off"))?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn wrapped(
    ctx: &Ctx<'_>,
    wrapping: &[u8],
    algorithm: &'static OaepAlgorithm,
    plain: &[u8],
) -> Result<String, Fault> {
    let failed = || Fault::Internal("wrapping a key failed");
    let public = PublicEncryptingKey::from_der(wrapping).map_err(|_| failed())?;
    let public = OaepPublicEncryptingKey::new(public).map_err(|_| failed())?;
    let ephemeral = Secret::random(32, ctx.random);
    let mut out = vec![0; public.ciphertext_size()];
    public
        .encrypt(algorithm, ephemeral.expose(), &mut out, None)
        .map_err(|_| failed())?;
    let kek = AesKek::new(&AES_256, ephemeral.expose()).map_err(|_| failed())?;
    // Padded to 8 bytes, and 8 more (RFC 5649).
    let mut room = vec![0; plain.len().next_multiple_of(8) + 8];
    let key = kek
        .wrap_with_padding(plain, &mut room)
        .map_err(|_| failed())?;
    out.extend_from_slice(key);
    Ok(STANDARD.encode(out))
}
