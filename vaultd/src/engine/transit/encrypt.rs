//! Encrypting and decrypting, and both at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::batch::{Batch, Item, Outcome, parse_versioned, versioned};
use super::cipher::{self, Binding};
use super::keys::{Wanted, current, existing};
use super::model::{Key, KeyName};
use super::settings::Settings;
use super::version::KeyType;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::{Secret, from_base64};
use crate::policy::Capability;

const NOT_FOUND: &str = "encryption key not found";

pub(super) async fn encrypt(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let batch = Batch::parse(ctx.body())?;
    let has_context = batch.has_context()?;
    let name = KeyName::of(ctx)?;
    let key = match ctx.operation {
        Capability::Create => created(ctx, view, &name, has_context).await?,
        _ => current(ctx, view, NOT_FOUND).await?,
    };
    check_kind(&key, "encryption")?;
    batch
        .each(|item| {
            let plaintext = item.plaintext.as_ref();
            let plaintext =
                plaintext.ok_or_else(|| Fault::invalid("missing plaintext to encrypt"))?;
            let plaintext = from_base64(plaintext.as_str(), "plaintext")?;
            seal(ctx, &key, item, &plaintext)
        })
        .await
}

/// A caller who may create the key does so by encrypting with it.
async fn created(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    name: &KeyName,
    derived: bool,
) -> Result<Key, Fault> {
    if Settings::load(view).await?.disable_upsert {
        return Err(Fault::invalid(NOT_FOUND));
    }
    let convergent = ctx.body().bool("convergent_encryption")?.unwrap_or(false);
    if convergent && !derived {
        return Err(Fault::invalid(
            "convergent encryption requires derivation to be enabled, so context is required",
        ));
    }
    let kind = match ctx.body().string("type")? {
        Some(text) if !text.is_empty() => KeyType::parse(&text)?,
        _ => KeyType::Aes256,
    };
    if !kind.is_symmetric() {
        return Err(Fault::invalid(format!(
            "key type {} not supported for this operation: create the key first",
            kind.name()
        )));
    }
    let wanted = Wanted {
        kind,
        derived,
        convergent,
        exportable: false,
        allow_plaintext_backup: false,
        auto_rotate_period: 0,
        hmac_size: 0,
    };
    let key = wanted.make(ctx).await?;
    key.store(view, name).await?;
    Ok(key)
}

pub(super) async fn decrypt(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let batch = Batch::parse(ctx.body())?;
    batch.has_context()?;
    let key = existing(view, &KeyName::of(ctx)?, NOT_FOUND).await?;
    check_kind(&key, "decryption")?;
    batch
        .each(|item| {
            let plaintext = open(&key, item)?;
            Ok(Map::from_iter([(
                "plaintext".to_owned(),
                Value::from(STANDARD.encode(&*plaintext)),
            )]))
        })
        .await
}

/// To the latest version, or the one that is named.
pub(super) async fn rewrap(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let batch = Batch::parse(ctx.body())?;
    batch.has_context()?;
    let key = current(ctx, view, NOT_FOUND).await?;
    check_kind(&key, "encryption")?;
    batch
        .each_ok(|item| {
            let plaintext = open(&key, item)?;
            seal(ctx, &key, item, &plaintext)
        })
        .await
}

pub(super) async fn data_key(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let shown = match ctx.param("kind") {
        "plaintext" => true,
        "wrapped" => false,
        _ => {
            return Err(Fault::invalid(
                "Invalid path, must be 'plaintext' or 'wrapped'",
            ));
        }
    };
    let length = match ctx.body().int("bits")? {
        Some(512) => 64,
        None | Some(256) => 32,
        Some(128) => 16,
        Some(_) => return Err(Fault::invalid("invalid bit length: use 128, 256 or 512")),
    };
    let batch = Batch::parse(ctx.body())?;
    let key = current(ctx, view, NOT_FOUND).await?;
    check_kind(&key, "encryption")?;
    batch
        .each(|item| {
            let new = Secret::random(length, ctx.random);
            let mut result = seal(ctx, &key, item, new.expose())?;
            if shown {
                result.insert(
                    "plaintext".to_owned(),
                    Value::from(new.to_base64().as_str()),
                );
            }
            Ok(result)
        })
        .await
}

fn check_kind(key: &Key, act: &str) -> Result<(), Fault> {
    if key.kind.encrypts() {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "message {act} not supported for key type {}",
        key.kind.name()
    )))
}

fn seal(ctx: &Ctx<'_>, key: &Key, item: &Item, plaintext: &[u8]) -> Outcome {
    item.refuse_nonce()?;
    let (context, associated_data) = (item.context()?, item.associated_data()?);
    let (number, version) = key.to_make(item.key_version(), "encryption")?;
    let binding = Binding {
        context: &context,
        associated_data: &associated_data,
    };
    let sealed = cipher::encrypt(key, version, &binding, plaintext, ctx.random)?;
    Ok(Map::from_iter([
        (
            "ciphertext".to_owned(),
            Value::from(versioned(number, &STANDARD.encode(sealed))),
        ),
        ("key_version".to_owned(), Value::from(number)),
    ]))
}

fn open(key: &Key, item: &Item) -> Result<zeroize::Zeroizing<Vec<u8>>, Fault> {
    item.refuse_nonce()?;
    let ciphertext = match item.ciphertext.as_deref() {
        None | Some("") => return Err(Fault::invalid("missing ciphertext to decrypt")),
        Some(text) => text,
    };
    let (context, associated_data) = (item.context()?, item.associated_data()?);
    let (number, text) = parse_versioned(ciphertext, "ciphertext")?;
    let version = key.to_check(number, "ciphertext")?;
    let sealed = from_base64(text, "ciphertext")
        .map_err(|_| Fault::invalid("invalid ciphertext: could not decode base64"))?;
    let binding = Binding {
        context: &context,
        associated_data: &associated_data,
    };
    cipher::decrypt(key, version, &binding, &sealed)
}
