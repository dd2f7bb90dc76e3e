//! Asking for certificates, reading how they stand, renewing, revoking, deleting.

use std::collections::{BTreeMap, BTreeSet};

use instant_acme::RevocationReason;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::account::Account;
use super::cert::{self, Cert, ChallengeKind, FOLDER, KeyType, Pair};
use super::dns::Provider;
use super::name::{Host, Name};
use super::{Prepared, show};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// Names in one certificate: as many as public authorities allow.
const NAMES_MAX: usize = 100;
const VERSIONS: usize = 5;
const VERSIONS_MAX: usize = 50;

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let keys = view.list_within(FOLDER, &ctx.window()?).await?;
    let mut info = BTreeMap::new();
    for key in &keys {
        if let Some(cert) = Cert::find(view, &Name::parse(key)?).await? {
            info.insert(key.clone(), show::short(&cert, ctx.now()));
        }
    }
    Reply::list_with_info(keys, info)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, cert) = Cert::named(ctx, view).await?;
    Ok(Reply::map(show::long(&cert, ctx.now())))
}

pub(super) async fn history(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, cert) = Cert::named(ctx, view).await?;
    let versions = cert.versions.iter().rev();
    let versions: Vec<Value> = versions
        .map(|(number, version)| show::version(*number, version).into())
        .collect();
    Ok(Reply::json(
        json!({ "current_version": cert.current, "versions": versions }),
    ))
}

fn names(given: &[String]) -> Result<Vec<Host>, Fault> {
    let names: Vec<Host> = given
        .iter()
        .map(|name| Host::parse(name))
        .collect::<Result<_, _>>()?;
    let distinct: BTreeSet<&Host> = names.iter().collect();
    if names.is_empty() || names.len() > NAMES_MAX || distinct.len() != names.len() {
        return Err(Fault::invalid("names: expected 1 to 100 different names"));
    }
    Ok(names)
}

fn optional(text: Option<String>, before: Option<String>) -> Option<String> {
    match text {
        Some(text) => Some(text).filter(|text| !text.is_empty()),
        None => before,
    }
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body, now) = (Name::parse(ctx.param("name"))?, ctx.body(), ctx.now());
    let old = Cert::find(view, &name).await?;
    let mut cert = match old {
        Some(cert) => cert,
        None => Cert {
            account: Name::parse(&body.required("account")?)?,
            names: names(&body.list("names")?.unwrap_or_default())?,
            challenge: ChallengeKind::parse(&body.required("challenge")?)?,
            dns: None,
            key_type: KeyType::P256,
            profile: None,
            renew_before: None,
            max_versions: VERSIONS,
            created: now,
            current: 0,
            last: 0,
            versions: BTreeMap::new(),
            wanted: false,
            order: None,
            window: None,
            renew_at: None,
            ask_at: None,
            next: now,
            failure: None,
        },
    };
    let is_new = cert.last == 0;
    let (before, way) = (content(&cert), (cert.challenge, cert.dns.clone()));
    set(&mut cert, ctx)?;
    check(&cert, view).await?;
    cert.wanted |= is_new || before != content(&cert);
    // What was ordered is not what is wanted now, or not in this way.
    if before != content(&cert) || way != (cert.challenge, cert.dns.clone()) {
        cert.end_order(view, &name).await?;
    }
    if cert.wanted {
        cert.try_now(now);
    }
    cert.plan(now, ctx.random);
    cert.store(view, &name, now).await?;
    view.announce(&cert::row(&name), "written", cert.current);
    Ok(Reply::map(show::long(&cert, now)))
}

/// What makes one certificate another one.
fn content(cert: &Cert) -> (Name, Vec<Host>, KeyType, Option<String>) {
    let (account, names) = (cert.account.clone(), cert.names.clone());
    (account, names, cert.key_type, cert.profile.clone())
}

fn set(cert: &mut Cert, ctx: &Ctx<'_>) -> Result<(), Fault> {
    let body = ctx.body();
    if let Some(account) = body.string("account")? {
        cert.account = Name::parse(&account)?;
    }
    if let Some(given) = body.list("names")? {
        cert.names = names(&given)?;
    }
    if let Some(text) = body.string("challenge")? {
        cert.challenge = ChallengeKind::parse(&text)?;
    }
    let dns = optional(
        body.string("dns")?,
        cert.dns.as_ref().map(|name| name.as_str().to_owned()),
    );
    cert.dns = dns.as_deref().map(Name::parse).transpose()?;
    if let Some(text) = body.string("key_type")? {
        cert.key_type = KeyType::parse(&text)?;
    }
    cert.profile = optional(body.string("profile")?, cert.profile.take());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if cert
        .profile
        .as_ref()
        .is_some_and(|text| text.len() > 64 || !text.bytes().all(fits))
    {
        return Err(Fault::invalid(
            "profile: expected a name from the authority's directory",
        ));
    }
    if let Some(seconds) = body.seconds("renew_before")? {
        cert.renew_before = Some(seconds).filter(|seconds| *seconds > 0);
    }
    if let Some(count) = body.int("max_versions")? {
        let count = usize::try_from(count)
            .ok()
            .filter(|count| (1..=VERSIONS_MAX).contains(count));
        cert.max_versions =
            count.ok_or_else(|| Fault::invalid("max_versions: expected 1 to 50"))?;
    }
    Ok(())
}

/// Whether it can be obtained at all, as far as that is known here.
async fn check(cert: &Cert, view: &mut View<'_>) -> Result<(), Fault> {
    if Account::find(view, &cert.account).await?.is_none() {
        return Err(Fault::invalid(
            "there is no such account: write account/NAME first",
        ));
    }
    let wild = cert
        .names
        .iter()
        .any(|name| matches!(name, Host::Wildcard(_)));
    let address = cert.names.iter().any(|name| matches!(name, Host::Ip(_)));
    match (cert.challenge, &cert.dns) {
        (ChallengeKind::Dns, None) => Err(Fault::invalid(
            "dns-01 writes records: set dns to the name of a way to write them, see dns/NAME",
        )),
        (ChallengeKind::Dns, Some(_)) if address => Err(Fault::invalid(
            "addresses are validated by http-01 or tls-alpn-01, not by dns-01",
        )),
        (ChallengeKind::Dns, Some(dns)) => match Provider::find(view, dns).await? {
            Some(_) => Ok(()),
            None => Err(Fault::invalid("there is no such dns: write dns/NAME first")),
        },
        _ if wild => Err(Fault::invalid("names with * are validated by dns-01 only")),
        _ => Ok(()),
    }
}

pub(super) async fn renew(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut cert) = Cert::named(ctx, view).await?;
    cert.wanted = true;
    cert.try_now(ctx.now());
    let limited = cert.next > ctx.now();
    cert.store(view, &name, ctx.now()).await?;
    let reply = Reply::map(show::long(&cert, ctx.now()));
    Ok(match limited {
        true => reply.warn("the authority's limit is waited for: see next_attempt"),
        false => reply,
    })
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let Some(mut cert) = Cert::find(view, &name).await? else {
        return Ok(Reply::none());
    };
    cert.end_order(view, &name).await?;
    for version in cert.versions.keys() {
        view.delete(&cert::pair_row(&name, *version)).await?;
    }
    view.delete(&format!("{}/{}", cert::BUSY, name.as_str()))
        .await?;
    view.delete(&cert::row(&name)).await?;
    view.announce(&cert::row(&name), "deleted", cert.last);
    Ok(match cert.order {
        Some(_) => Reply::none().warn(
            "an order was under way: remove the _acme-challenge records of its names from the DNS",
        ),
        None => Reply::none(),
    })
}

/// The version that is asked for, or the current one.
pub(super) fn chosen(ctx: &Ctx<'_>, cert: &Cert) -> Result<u64, Fault> {
    let number = match ctx.body().int("version")? {
        None | Some(0) => cert.current,
        Some(number) => u64::try_from(number).unwrap_or(0),
    };
    match (
        cert.versions.contains_key(&number),
        cert.current,
        &cert.failure,
    ) {
        (true, _, _) => Ok(number),
        (false, 0, Some(failed)) => Err(Fault::invalid(format!(
            "there is no certificate yet: {}; what to do: {}",
            failed.cause, failed.hint
        ))),
        (false, 0, None) => Err(Fault::invalid(
            "there is no certificate yet: it is being obtained",
        )),
        (false, current, _) => Err(Fault::invalid(format!(
            "version {number} is not kept any more; the current one is {current}"
        ))),
    }
}

fn reason(ctx: &Ctx<'_>) -> Result<RevocationReason, Fault> {
    match ctx.body().string("reason")?.as_deref() {
        None | Some("" | "unspecified") => Ok(RevocationReason::Unspecified),
        Some("keyCompromise") => Ok(RevocationReason::KeyCompromise),
        Some("affiliationChanged") => Ok(RevocationReason::AffiliationChanged),
        Some("superseded") => Ok(RevocationReason::Superseded),
        Some("cessationOfOperation") => Ok(RevocationReason::CessationOfOperation),
        Some(_) => Err(Fault::invalid(
            "reason: use unspecified, keyCompromise, affiliationChanged, superseded or \
             cessationOfOperation",
        )),
    }
}

/// The authority is told before the transaction.
pub(super) async fn ask_revocation(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let (name, cert) = Cert::named(ctx, view).await?;
    let (number, reason) = (chosen(ctx, &cert)?, reason(ctx)?);
    let pair: Option<Pair> = view.get(&cert::pair_row(&name, number)).await?;
    let pair = pair.ok_or(Fault::Internal("a version without its pair"))?;
    let own = CertificateDer::from_pem_slice(pair.chain.as_bytes());
    let own = own.map_err(|_| Fault::Internal("a stored certificate"))?;
    let account = Account::find(view, &cert.account).await?;
    let access = account
        .map(|account| account.access())
        .transpose()?
        .flatten();
    let Some(access) = access else {
        return Err(Fault::invalid("the account is not registered: renew first"));
    };
    let session = access.open(outside.outbound).await.map_err(super::told)?;
    session.revoke(&own, reason).await.map_err(super::told)?;
    Ok(Prepared::Revoked(number))
}

/// A revoked certificate is not served for long: another one is obtained.
pub(super) async fn revoke(
    ctx: &Ctx<'_>,
    number: u64,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (name, mut cert) = Cert::named(ctx, view).await?;
    let Some(version) = cert.versions.get_mut(&number) else {
        return Ok(Reply::none());
    };
    version.revoked = Some(ctx.now());
    if number == cert.current {
        cert.wanted = true;
        cert.try_now(ctx.now());
    }
    cert.store(view, &name, ctx.now()).await?;
    view.announce(&cert::row(&name), "revoked", number);
    Ok(Reply::map(show::long(&cert, ctx.now())))
}
