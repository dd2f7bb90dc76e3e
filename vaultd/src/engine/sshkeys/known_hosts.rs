//! Keys of hosts, pinned by an operator, and those of authorities that sign for hosts.
//!
//! A host that shows another key than those pinned is told of as an event and is an error for whoever
//! asked; only an operator who says so replaces a pin.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_ssh::Key as PublicKey;

use super::name;
use super::published::Published;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const FOLDER: &str = "known-hosts";

#[derive(Serialize, Deserialize)]
pub(super) struct Pins {
    /// `ssh-ed25519 AAAA…`
    pub keys: BTreeSet<String>,
    /// Keys of those that may sign certificates of the host.
    #[serde(default)]
    pub authorities: BTreeSet<String>,
    /// Where they are from.
    pub source: String,
    pub since: Timestamp,
    /// What the host showed instead, last.
    #[serde(default)]
    pub changed: Option<Changed>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Changed {
    pub fingerprints: BTreeSet<String>,
    pub at: Timestamp,
}

impl Pins {
    /// For a file of known hosts. A pattern stands for the hosts below a domain.
    pub(super) fn lines(&self, host: &str) -> Vec<String> {
        let authorities = self.authorities.iter();
        let authorities = authorities.map(|key| format!("@cert-authority {host} {key}"));
        let keys = self.keys.iter().map(|key| format!("{host} {key}"));
        authorities.chain(keys).collect()
    }

    fn show(&self, host: &str) -> Value {
        let changed = self.changed.as_ref().map(|changed| {
            json!({
                "fingerprints": changed.fingerprints,
                "time": changed.at.to_string(),
            })
        });
        json!({
            "host": host,
            "keys": self.keys,
            "fingerprints": fingerprints(&self.keys),
            "authorities": self.authorities,
            "lines": self.lines(host),
            "source": self.source,
            "since": self.since.to_string(),
            "changed": changed,
        })
    }
}

fn fingerprints(keys: &BTreeSet<String>) -> BTreeSet<String> {
    let keys = keys
        .iter()
        .filter_map(|line| PublicKey::from_line(line).ok());
    keys.map(|key| key.fingerprint()).collect()
}

fn row(host: &str) -> String {
    format!("{FOLDER}/{host}")
}

/// The pins of a host, as SSH names it.
pub(super) async fn pins(view: &mut View<'_>, host: &str) -> Result<Option<Pins>, Fault> {
    Ok(view.get(&row(host)).await?)
}

/// The lines of known_hosts for a host: its own, and those of the domains that it is in.
pub(super) async fn lines(view: &mut View<'_>, host: &str) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for name in std::iter::once(host.to_owned()).chain(name::domains(host)) {
        if let Some(pins) = pins(view, &name).await? {
            found.extend(pins.lines(&name));
        }
    }
    Ok(found)
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let host = name::host_or_domain(ctx.param("host"))?;
    let pins = pins(view, &host).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(pins.show(&host)))
}

fn keys(ctx: &Ctx<'_>, field: &str) -> Result<BTreeSet<String>, Fault> {
    parse(field, &ctx.body().list(field)?.unwrap_or_default())
}

/// Strong keys in their own spelling.
pub(super) fn parse(field: &str, lines: &[String]) -> Result<BTreeSet<String>, Fault> {
    let keys = lines.iter().map(|line| match PublicKey::from_line(line) {
        Ok(key) if key.is_strong() => Ok(key.line()),
        Ok(_) => Err(Fault::invalid(format!(
            "{field}: an RSA key has to have at least 2048 bits"
        ))),
        Err(_) => Err(Fault::invalid(format!(
            "{field}: not a public key of the form 'ssh-ed25519 AAAA…'"
        ))),
    });
    keys.collect()
}

/// Other keys than those that are pinned only if the operator says so.
pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (host, body) = (name::host_or_domain(ctx.param("host"))?, ctx.body());
    let (keys, authorities) = (keys(ctx, "keys")?, keys(ctx, "authorities")?);
    if keys.is_empty() && authorities.is_empty() {
        return Err(Fault::invalid(
            "missing keys: the lines that 'ssh-keyscan HOST' prints, checked; or authorities",
        ));
    }
    let source = name::comment(body.string("source")?.unwrap_or_default())?;
    let pins = Pins {
        keys,
        authorities,
        source,
        since: ctx.now(),
        changed: None,
    };
    pin(ctx, &host, &pins, view).await?;
    Ok(Reply::none())
}

/// What a forge publishes of its host.
pub(super) async fn import(
    ctx: &Ctx<'_>,
    published: &Published,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let host = name::host(ctx.param("host"))?;
    let pins = Pins {
        keys: published.keys.clone(),
        authorities: BTreeSet::new(),
        source: published.source.clone(),
        since: ctx.now(),
        changed: None,
    };
    pin(ctx, &host, &pins, view).await?;
    Ok(Reply::json(pins.show(&host)))
}

async fn pin(ctx: &Ctx<'_>, host: &str, pins: &Pins, view: &mut View<'_>) -> Result<(), Fault> {
    let replace = ctx.body().bool("replace")?.unwrap_or(false);
    let known = self::pins(view, host).await?;
    let is_new = known.is_none();
    let differs = |known: Pins| known.keys != pins.keys || known.authorities != pins.authorities;
    if known.is_some_and(differs) && !replace {
        return Err(Fault::invalid(
            "other keys are pinned for the host: check with its operator, then give replace=true",
        ));
    }
    view.put(&row(host), pins).await?;
    view.announce(&row(host), if is_new { "pinned" } else { "replaced" }, 0);
    Ok(())
}

/// Compares what a host showed with what is pinned.
pub(super) async fn compare(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (host, shown) = (name::host(ctx.param("host"))?, keys(ctx, "keys")?);
    let pinned = pins(view, &host).await?.ok_or(Fault::Missing)?;
    let known = shown.iter().any(|key| pinned.keys.contains(key));
    let lacks = shown.iter().any(|key| !pinned.keys.contains(key));
    if shown.is_empty() {
        return Err(Fault::invalid("missing keys: what the host showed"));
    }
    if !known {
        changed(view, &host, fingerprints(&shown), ctx.now()).await?;
    }
    Ok(Reply::json(json!({
        "changed": !known,
        "more": known && lacks,
        "fingerprints": fingerprints(&pinned.keys),
    })))
}

/// Remembers and tells that a host showed none of its pinned keys. Its pins stay.
pub(super) async fn changed(
    view: &mut View<'_>,
    host: &str,
    fingerprints: BTreeSet<String>,
    at: Timestamp,
) -> Result<(), Fault> {
    let Some(mut pins) = pins(view, host).await? else {
        return Ok(());
    };
    pins.changed = Some(Changed { fingerprints, at });
    view.put(&row(host), &pins).await?;
    view.announce(&row(host), "host-key-changed", 0);
    Ok(())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let host = name::host_or_domain(ctx.param("host"))?;
    if pins(view, &host).await?.is_some() {
        view.announce(&row(&host), "deleted", 0);
    }
    view.delete(&row(&host)).await?;
    Ok(Reply::none())
}
