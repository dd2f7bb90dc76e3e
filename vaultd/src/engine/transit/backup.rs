//! A whole key as text, and back. The text is in plain: who has it has the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::model::{Key, KeyName, Moment};
use super::version::public_part;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::{Text, from_base64};

const FORMAT: &str = "vaultd-transit-1";

#[derive(Serialize, Deserialize)]
struct Backup<K> {
    format: String,
    name: String,
    key: K,
}

pub(super) async fn backup(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let mut key = Key::load(view, &name).await?.ok_or(Fault::Missing)?;
    key.check_use()?;
    if !key.exportable {
        return Err(Fault::Refused("exporting is disallowed on the policy"));
    }
    if !key.allow_plaintext_backup {
        return Err(Fault::Refused(
            "plaintext backup is disallowed on the policy",
        ));
    }
    key.backed_up = Some(Moment {
        time: ctx.now(),
        version: key.latest(),
    });
    key.store(view, &name).await?;
    let mut text = Zeroizing::new(Vec::with_capacity(key.size()));
    let backup = Backup {
        format: FORMAT.to_owned(),
        name: name.as_str().to_owned(),
        key: &key,
    };
    serde_json::to_writer(&mut *text, &backup)
        .map_err(|_| Fault::Internal("serialise a backup"))?;
    Ok(Reply::json(json!({ "backup": STANDARD.encode(&*text) })))
}

pub(super) async fn restore(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let text = Text::new(body.required("backup")?);
    let force = body.bool("force")?.unwrap_or(false);
    let unreadable = || Fault::invalid("'backup' is not a key backup of this server");
    let bytes = from_base64(text.as_str(), "backup")?;
    let backup: Backup<Key> = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    if backup.format != FORMAT || !is_sound(&backup.key) {
        return Err(unreadable());
    }
    let name = match ctx.param("name") {
        "" => KeyName::parse(&backup.name)?,
        given => KeyName::parse(given)?,
    };
    if !force && Key::load(view, &name).await?.is_some() {
        return Err(Fault::Refused(
            "key already exists: restore it under another name, or set 'force'",
        ));
    }
    let mut key = backup.key;
    key.restored = Some(Moment {
        time: ctx.now(),
        version: key.latest(),
    });
    key.store(view, &name).await?;
    Ok(Reply::none())
}

/// Whether every rule holds that the engine keeps for its own keys.
fn is_sound(key: &Key) -> bool {
    let Some(latest) = (key.versions.len() as u64)
        .checked_sub(1)
        .and_then(|more| more.checked_add(key.first))
    else {
        return false;
    };
    let numbers = key.first >= 1
        && latest < u64::MAX / 2
        && (1..=latest).contains(&key.min_decryption_version)
        && key.min_decryption_version >= key.first
        && key.min_encryption_version <= latest;
    let derivation = !key.derived || key.kind.derives();
    let convergence = !key.convergent || (key.derived && key.kind.is_symmetric());
    let material = key.versions.iter().all(|version| {
        let public = match version.has_private() {
            true => public_part(key.kind, &version.material),
            false => version.public_bytes().ok().filter(|_| !key.derived),
        };
        public.is_some_and(|public| STANDARD.encode(public) == version.public)
            && (version.has_private() || key.kind.signs())
            && (version.hmac.len() >= 32 || key.kind == super::version::KeyType::Hmac)
    });
    numbers && derivation && convergence && material
}
