//! Signing and verifying, with signatures and with HMACs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use vault_crypto::SecretBytes;
use zeroize::Zeroizing;

use super::batch::{Batch, Item, parse_versioned, versioned};
use super::cmac;
use super::hash::Hash;
use super::keys::{current, existing};
use super::model::{Key, KeyName};
use super::signature::{self, Marshaling, Padding, Salt, Scheme};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::from_base64;

pub(super) async fn sign(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let scheme = Scheme::parse(ctx)?;
    let batch = Batch::parse(ctx.body())?;
    let asked = ctx.body().int("key_version")?.unwrap_or(0);
    let key = current(ctx, view, "signing key not found").await?;
    check_kind(&key, "signing")?;
    batch
        .each_ok(|item| {
            let (input, context) = (input(item)?, item.context()?);
            let (number, version) = key.to_make(asked, "signing")?;
            let signed = signature::sign(&key, version, &scheme, &context, &input)?;
            let text = match scheme.marshaling {
                Marshaling::Asn1 => STANDARD.encode(signed.signature),
                Marshaling::Jws => URL_SAFE_NO_PAD.encode(signed.signature),
            };
            let mut result = one("signature", versioned(number, &text));
            result.insert("key_version".to_owned(), Value::from(number));
            if let Some(public) = signed.public {
                result.insert("public_key".to_owned(), STANDARD.encode(public).into());
            }
            Ok(result)
        })
        .await
}

pub(super) async fn verify(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let batch = Batch::parse(ctx.body())?;
    match what_to_verify(&batch.items)? {
        Proof::Signature => verify_signatures(ctx, view, &batch).await,
        Proof::Hmac => verify_hmacs(ctx, view, &batch).await,
        Proof::Cmac => cmac::verify(ctx, view, &batch).await,
    }
}

enum Proof {
    Signature,
    Hmac,
    Cmac,
}

/// All items have the one or all have the other.
fn what_to_verify(items: &[Item]) -> Result<Proof, Fault> {
    let signatures = items.iter().filter(|item| item.signature.is_some()).count();
    let hmacs = items.iter().filter(|item| item.hmac.is_some()).count();
    let cmacs = items.iter().filter(|item| item.cmac.is_some()).count();
    if cmacs > 0 {
        return match (signatures + hmacs, cmacs) {
            (0, n) if n == items.len() => Ok(Proof::Cmac),
            (0, _) => Err(Fault::invalid(
                "some elements of batch_input are missing 'cmac'",
            )),
            _ => Err(Fault::invalid(
                "provide one of 'signature', 'hmac' or 'cmac'",
            )),
        };
    }
    let text = match (signatures, hmacs) {
        (n, 0) if n == items.len() => return Ok(Proof::Signature),
        (0, n) if n == items.len() => return Ok(Proof::Hmac),
        (0, 0) => "neither a 'signature' nor an 'hmac' were given to verify",
        (_, 0) => "some elements of batch_input are missing 'signature'",
        (0, _) => "some elements of batch_input are missing 'hmac'",
        _ if items.len() == 1 => "provide one of 'signature' or 'hmac'",
        _ => "elements of batch_input must all provide 'signature' or all provide 'hmac'",
    };
    Err(Fault::invalid(text))
}

async fn verify_signatures(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    batch: &Batch,
) -> Result<Reply, Fault> {
    let scheme = Scheme::parse(ctx)?;
    let name = KeyName::of(ctx)?;
    let key = existing(view, &name, "signature verification key not found").await?;
    check_kind(&key, "verification")?;
    batch
        .check(|item| {
            let (input, context) = (input(item)?, item.context()?);
            let given = item.signature.as_deref().unwrap_or_default();
            let (number, text) = parse_versioned(given, "signature")?;
            let version = key.to_check(number, "signature")?;
            let bytes = match scheme.marshaling {
                Marshaling::Asn1 => STANDARD.decode(text),
                Marshaling::Jws => URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')),
            };
            let bytes = bytes.map_err(|_| Fault::invalid("invalid base64 signature value"))?;
            signature::verify(&key, version, &scheme, &context, &input, &bytes)
        })
        .await
}

pub(super) async fn hmac(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let hash = hash_of(ctx, &["algorithm"])?;
    let batch = Batch::parse(ctx.body())?;
    let asked = ctx.body().int("key_version")?.unwrap_or(0);
    let key = current(ctx, view, "encryption key not found").await?;
    check_hmac(&key)?;
    batch
        .each_ok(|item| {
            if item.input.is_none() {
                return Err(Fault::invalid("missing input for HMAC"));
            }
            let (number, version) = key.to_make(asked, "HMAC")?;
            let tag = hash.hmac(version.hmac_key().expose(), &input(item)?);
            Ok(one("hmac", versioned(number, &STANDARD.encode(tag))))
        })
        .await
}

async fn verify_hmacs(ctx: &Ctx<'_>, view: &mut View<'_>, batch: &Batch) -> Result<Reply, Fault> {
    let hash = hash_of(ctx, &["hash_algorithm", "algorithm"])?;
    let key = existing(view, &KeyName::of(ctx)?, "encryption key not found").await?;
    check_hmac(&key)?;
    batch
        .check(|item| {
            let given = item.hmac.as_deref().unwrap_or_default();
            let (number, text) = parse_versioned(given, "HMAC")?;
            let version = key.to_check(number, "HMAC")?;
            let claimed = from_base64(text, "HMAC")?;
            let tag = hash.hmac(version.hmac_key().expose(), &input(item)?);
            Ok(SecretBytes::from_vec(tag).ct_eq(&SecretBytes::from_slice(&claimed)))
        })
        .await
}

/// A key of CMAC is for that alone.
fn check_hmac(key: &Key) -> Result<(), Fault> {
    match key.kind.cmac_key() {
        None => Ok(()),
        Some(_) => Err(Fault::invalid(format!(
            "key type {} does not support HMAC",
            key.kind.name()
        ))),
    }
}

fn one(field: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(field.to_owned(), value.into())])
}

/// No input is an empty one.
pub(super) fn input(item: &Item) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let text = item.input.as_ref().map_or("", |text| text.as_str());
    from_base64(text, "input")
}

fn check_kind(key: &Key, act: &str) -> Result<(), Fault> {
    if key.kind.signs() {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "key type {} does not support {act}",
        key.kind.name()
    )))
}

/// The algorithm in the path, or in the first of these fields that has one.
fn hash_of(ctx: &Ctx<'_>, fields: &[&str]) -> Result<Hash, Fault> {
    let mut name = ctx.param("algorithm").to_owned();
    for field in fields {
        if name.is_empty() {
            name = ctx.body().string(field)?.unwrap_or_default();
        }
    }
    Hash::parse(&name, fields[0])
}

impl Scheme {
    fn parse(ctx: &Ctx<'_>) -> Result<Scheme, Fault> {
        let body = ctx.body();
        let marshaling = match body.string("marshaling_algorithm")?.as_deref() {
            None | Some("" | "asn1") => Marshaling::Asn1,
            Some("jws") => Marshaling::Jws,
            Some(_) => {
                return Err(Fault::invalid(
                    "invalid marshaling_algorithm: use asn1 or jws",
                ));
            }
        };
        let padding = match body.string("signature_algorithm")?.as_deref() {
            None | Some("" | "pss") => Padding::Pss(Salt::parse(body)?),
            Some("pkcs1v15") => Padding::Pkcs1,
            Some(_) => {
                return Err(Fault::invalid(
                    "unsupported signature_algorithm: use pss or pkcs1v15",
                ));
            }
        };
        Ok(Scheme {
            hash: hash_of(ctx, &["hash_algorithm", "algorithm"])?,
            prehashed: body.bool("prehashed")?.unwrap_or(false),
            padding,
            marshaling,
        })
    }
}

impl Salt {
    /// `auto` and `0` are one, `hash` and `-1` another.
    fn parse(body: &Body) -> Result<Salt, Fault> {
        let text = body.string("salt_length")?.unwrap_or_default();
        Ok(match text.to_ascii_lowercase().as_str() {
            "" | "auto" | "0" => Salt::Auto,
            "hash" | "-1" => Salt::Hash,
            number => Salt::Bytes(number.parse().map_err(|_| {
                Fault::invalid("salt length neither 'auto', 'hash', nor a length in bytes")
            })?),
        })
    }
}
