//! Creating, showing, changing and removing keys.

use super::model::{FOLDER, Key, KeyName, new_version};
use super::show::show;
use super::version::{KeyType, Version};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::from_base64;

/// Bytes of the keys of type `hmac`.
const HMAC_SIZES: std::ops::RangeInclusive<usize> = 32..=512;
const HOUR: u64 = 3600;

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let key = Key::load(view, &name).await?.ok_or(Fault::Missing)?;
    let context = ctx.body().string("context")?.unwrap_or_default();
    show(&name, &key, &from_base64(&context, "context")?)
}

/// A key that exists stays as it is.
pub(super) async fn create(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let wanted = Wanted::parse(ctx.body())?;
    if let Some(key) = Key::load(view, &name).await? {
        return Ok(show(&name, &key, &[])?.warn(format!("key {} already existed", name.as_str())));
    }
    let key = wanted.make(ctx).await?;
    key.store(view, &name).await?;
    show(&name, &key, &[])
}

/// What a new key shall be.
pub(super) struct Wanted {
    pub kind: KeyType,
    pub derived: bool,
    pub convergent: bool,
    pub exportable: bool,
    pub allow_plaintext_backup: bool,
    pub auto_rotate_period: u64,
    pub hmac_size: usize,
}

impl Wanted {
    pub(super) fn parse(body: &Body) -> Result<Wanted, Fault> {
        let flag = |name| Ok::<_, Fault>(body.bool(name)?.unwrap_or(false));
        let kind = match body.string("type")? {
            Some(name) if !name.is_empty() => KeyType::parse(&name)?,
            _ => KeyType::Aes256,
        };
        let wanted = Wanted {
            kind,
            derived: flag("derived")?,
            convergent: flag("convergent_encryption")?,
            exportable: flag("exportable")?,
            allow_plaintext_backup: flag("allow_plaintext_backup")?,
            auto_rotate_period: period(body)?.unwrap_or(0),
            hmac_size: hmac_size(body, kind)?,
        };
        wanted.check()?;
        Ok(wanted)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.convergent && !self.derived {
            return Err(Fault::invalid(
                "convergent encryption requires derivation to be enabled",
            ));
        }
        let kind = self.kind.name();
        if self.derived && !self.kind.derives() {
            return Err(Fault::invalid(format!(
                "key derivation and convergent encryption not supported for keys of type {kind}"
            )));
        }
        if self.convergent && !self.kind.is_symmetric() {
            return Err(Fault::invalid(format!(
                "convergent encryption not supported for keys of type {kind}"
            )));
        }
        Ok(())
    }

    pub(super) async fn make(self, ctx: &Ctx<'_>) -> Result<Key, Fault> {
        let version = new_version(self.kind, self.hmac_size, ctx.now(), ctx.random).await?;
        Ok(self.with(version))
    }

    pub(super) fn with(self, version: Version) -> Key {
        Key {
            kind: self.kind,
            derived: self.derived,
            convergent: self.convergent,
            exportable: self.exportable,
            allow_plaintext_backup: self.allow_plaintext_backup,
            deletion_allowed: false,
            auto_rotate_period: self.auto_rotate_period,
            hmac_size: self.hmac_size,
            min_decryption_version: 1,
            min_encryption_version: 0,
            first: 1,
            versions: vec![version],
            backed_up: None,
            restored: None,
            import: None,
            soft_deleted: false,
        }
    }
}

fn period(body: &Body) -> Result<Option<u64>, Fault> {
    match body.seconds("auto_rotate_period")? {
        Some(seconds) if seconds != 0 && seconds < HOUR => Err(Fault::invalid(
            "auto rotate period must be 0 to disable or at least an hour",
        )),
        period => Ok(period),
    }
}

fn hmac_size(body: &Body, kind: KeyType) -> Result<usize, Fault> {
    match body.int("key_size")?.unwrap_or(0) {
        0 => Ok(0),
        _ if kind != KeyType::Hmac => Err(Fault::invalid(
            "key_size is only valid for keys of type hmac",
        )),
        size => usize::try_from(size)
            .ok()
            .filter(|size| HMAC_SIZES.contains(size))
            .ok_or_else(|| Fault::invalid("invalid key_size: use 32 to 512 bytes")),
    }
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    match Key::load(view, &name).await? {
        None => Err(Fault::invalid("could not delete key; not found")),
        Some(key) if !key.deletion_allowed => Err(Fault::invalid(
            "deletion is not allowed for this key: set 'deletion_allowed' in its config first",
        )),
        Some(_) => {
            Key::remove(view, &name).await?;
            Ok(Reply::none())
        }
    }
}

pub(super) async fn configure(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let mut key = existing(view, &name, "no existing key of that name could be found").await?;
    let body = ctx.body();
    let mut warning = None;
    if let Some(asked) = minimum(body, "min_decryption_version", key.latest())? {
        if asked == 0 {
            warning = Some("versions of keys start at 1; min_decryption_version was set to 1");
        }
        key.min_decryption_version = asked.max(1);
    }
    if let Some(asked) = minimum(body, "min_encryption_version", key.latest())? {
        key.min_encryption_version = asked;
    }
    check_minimums(&key)?;
    if let Some(allowed) = body.bool("deletion_allowed")? {
        key.deletion_allowed = allowed;
    }
    key.exportable |= body.bool("exportable")?.unwrap_or(false);
    key.allow_plaintext_backup |= body.bool("allow_plaintext_backup")?.unwrap_or(false);
    if let Some(seconds) = period(body)? {
        if seconds > 0
            && key
                .import
                .as_ref()
                .is_some_and(|import| !import.allow_rotation)
        {
            return Err(Fault::invalid(
                "auto rotation is not allowed for an imported key whose rotation is not allowed",
            ));
        }
        key.auto_rotate_period = seconds;
    }
    key.store(view, &name).await?;
    let reply = show(&name, &key, &[])?;
    Ok(match warning {
        Some(text) => reply.warn(text),
        None => reply,
    })
}

fn minimum(body: &Body, field: &str, latest: u64) -> Result<Option<u64>, Fault> {
    let Some(asked) = body.int(field)? else {
        return Ok(None);
    };
    let asked =
        u64::try_from(asked).map_err(|_| Fault::invalid(format!("{field} cannot be negative")))?;
    if asked > latest {
        return Err(Fault::invalid(format!(
            "cannot set {field}: it is above the latest key version, which is {latest}"
        )));
    }
    Ok(Some(asked))
}

fn check_minimums(key: &Key) -> Result<(), Fault> {
    let (encryption, decryption) = (key.min_encryption_version, key.min_decryption_version);
    if encryption > 0 && encryption < decryption {
        return Err(Fault::invalid(format!(
            "cannot set min encryption/decryption values; min encryption version of {encryption} \
             must be greater than or equal to min decryption version of {decryption}"
        )));
    }
    if key.first > 1 && encryption < key.first {
        return Err(Fault::invalid(
            "min encryption version should not be less than min available version",
        ));
    }
    if key.first > 1 && decryption < key.first {
        return Err(Fault::invalid(
            "min decryption version should not be less than min available version",
        ));
    }
    Ok(())
}

pub(super) async fn rotate(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let mut key = existing(view, &name, "key not found").await?;
    if key
        .import
        .as_ref()
        .is_some_and(|import| !import.allow_rotation)
    {
        return Err(Fault::invalid(format!(
            "imported key {} does not allow rotation within Vault",
            name.as_str()
        )));
    }
    key.rotate(ctx.now(), ctx.random).await?;
    key.store(view, &name).await?;
    show(&name, &key, &[])
}

/// Puts a key out of use, or back into it.
pub(super) async fn soft_delete(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    deleted: bool,
) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let missing = || Fault::invalid("no existing key of that name could be found");
    let mut key = Key::load(view, &name).await?.ok_or_else(missing)?;
    key.soft_deleted = deleted;
    key.store(view, &name).await?;
    Ok(Reply::none())
}

/// Versions below the given one are gone for good.
pub(super) async fn trim(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = KeyName::of(ctx)?;
    let mut key = existing(view, &name, "invalid key name: no such key").await?;
    let refuse = |text: &str| Err(Fault::invalid(text));
    let Some(asked) = ctx.body().int("min_available_version")? else {
        return refuse("missing min_available_version");
    };
    let least = u64::try_from(asked).unwrap_or(0).max(1);
    if asked < 0 || (least < key.first) {
        return refuse("minimum available version cannot be decremented");
    }
    if key.min_encryption_version == 0 {
        return refuse(
            "minimum available version cannot be set when minimum encryption version is not set",
        );
    }
    if least > key.latest() {
        return refuse("minimum available version cannot be higher than the latest version");
    }
    if least > key.min_encryption_version {
        return refuse(
            "minimum available version cannot be higher than minimum encryption version",
        );
    }
    if least > key.min_decryption_version {
        return refuse(
            "minimum available version cannot be higher than minimum decryption version",
        );
    }
    let gone = usize::try_from(least - key.first).unwrap_or(usize::MAX);
    key.versions.drain(..gone.min(key.versions.len() - 1));
    key.first = least;
    key.store(view, &name).await?;
    show(&name, &key, &[])
}

/// The key, or 400 with this text.
pub(super) async fn existing(
    view: &mut View<'_>,
    name: &KeyName,
    missing: &str,
) -> Result<Key, Fault> {
    let key = Key::load(view, name).await?;
    let key = key.ok_or_else(|| Fault::invalid(missing))?;
    key.check_use()?;
    Ok(key)
}

/// The key for something new: rotated, if its time has come.
pub(super) async fn current(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    missing: &str,
) -> Result<Key, Fault> {
    let name = KeyName::of(ctx)?;
    let mut key = existing(view, &name, missing).await?;
    if key.rotate_if_due(ctx.now(), ctx.random).await? {
        key.store(view, &name).await?;
    }
    Ok(key)
}
