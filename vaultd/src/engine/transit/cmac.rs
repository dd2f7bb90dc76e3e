//! Message authentication codes with AES (CMAC, NIST SP 800-38B), whole or cut.

use aws_lc_rs::cmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use vault_crypto::SecretBytes;

use super::batch::{Batch, parse_versioned, versioned};
use super::keys::{current, existing};
use super::model::{Key, KeyName};
use super::sign::input;
use super::version::{KeyType, Version};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::from_base64;

/// Bytes of a whole code.
const WHOLE: usize = 16;

pub(super) async fn make(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let length = length(ctx)?;
    let batch = Batch::parse(ctx.body())?;
    let key = current(ctx, view, "CMAC key not found").await?;
    check_kind(&key)?;
    batch
        .each_ok(|item| {
            if item.input.is_none() {
                return Err(Fault::invalid("missing input for CMAC"));
            }
            let (number, version) = key.to_make(item.key_version(), "CMAC")?;
            let tag = tag(key.kind, version, &input(item)?)?;
            let text = versioned(number, &STANDARD.encode(&tag[..length]));
            Ok(Map::from_iter([("cmac".to_owned(), text.into())]))
        })
        .await
}

pub(super) async fn verify(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    batch: &Batch,
) -> Result<Reply, Fault> {
    let length = length(ctx)?;
    let key = existing(view, &KeyName::of(ctx)?, "CMAC key not found").await?;
    check_kind(&key)?;
    batch
        .check(|item| {
            let given = item.cmac.as_deref().unwrap_or_default();
            let (number, text) = parse_versioned(given, "CMAC")?;
            let version = key.to_check(number, "CMAC")?;
            let claimed = from_base64(text, "CMAC")?;
            let tag = tag(key.kind, version, &input(item)?)?;
            Ok(SecretBytes::from_slice(&tag[..length]).ct_eq(&SecretBytes::from_slice(&claimed)))
        })
        .await
}

/// `mac_length` in the path or the body: bytes; 0 is all.
fn length(ctx: &Ctx<'_>) -> Result<usize, Fault> {
    let wrong = || Fault::invalid(format!("mac_length must be from 0 to {WHOLE} bytes"));
    let asked = match ctx.param("mac_length") {
        "" => ctx.body().int("mac_length")?.unwrap_or(0),
        text => text.parse().map_err(|_| wrong())?,
    };
    match usize::try_from(asked) {
        Ok(0) => Ok(WHOLE),
        Ok(length) if length <= WHOLE => Ok(length),
        _ => Err(wrong()),
    }
}

fn check_kind(key: &Key) -> Result<(), Fault> {
    match key.kind.cmac_key() {
        Some(_) => Ok(()),
        None => Err(Fault::invalid(format!(
            "key type {} does not support CMAC",
            key.kind.name()
        ))),
    }
}

fn tag(kind: KeyType, version: &Version, data: &[u8]) -> Result<[u8; WHOLE], Fault> {
    let failed = || Fault::Internal("a CMAC key is unusable");
    let algorithm = match kind {
        KeyType::Cmac128 => cmac::AES_128,
        _ => cmac::AES_256,
    };
    let key = cmac::Key::new(algorithm, version.material.expose()).map_err(|_| failed())?;
    let tag = cmac::sign(&key, data).map_err(|_| failed())?;
    tag.as_ref().try_into().map_err(|_| failed())
}
