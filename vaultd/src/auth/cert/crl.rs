//! Revocation lists (RFC 5280, 5), as an operator gave them or from where he said. Whoever may write
//! them is trusted: signatures are not checked, but of what came over plain http. They hold until they
//! are replaced. A fetched one is fetched again, at a login, once it is an hour old or over; until it is
//! there the old one holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use x509_parser::asn1_rs::FromDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::CertificateRevocationList;

use super::certificate::{Facts, significant};
use super::model::Role;
use super::ocsp::vouches_for;
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::aside::Keep;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::outbound::{Answer, Outbound, Request, Trust, Url};

/// What fits into one row.
const SERIALS_MAX: usize = 15_000;

/// The extension by which an entry names another issuer.
const CERTIFICATE_ISSUER: &str = "2.5.29.29";

/// Seconds after which a list is fetched again, and after which that is tried again.
const FRESH: i64 = 3600;
const PAUSE: i64 = 60;

/// One list.
#[derive(Clone, Serialize, Deserialize)]
pub struct Crl {
    /// Name of the issuer and identifier of its key, in hex.
    issuer: String,
    key: String,
    /// In hex, without leading zeros.
    serials: BTreeSet<String>,
    /// `None` if an operator gave it.
    #[serde(default)]
    source: Option<Source>,
}

/// Where a list comes from. Times in seconds since 1970.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Source {
    url: Url,
    /// As the list says; 0 if it does not.
    valid_until: i64,
    /// When it is fetched again.
    due: i64,
}

/// Every list of a mount.
#[derive(Default)]
pub(super) struct Revoked(Vec<Arc<Crl>>);

impl Revoked {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Revoked, Fault> {
        let mut all = Vec::new();
        for name in view.list("crl").await? {
            all.extend(view.get_shared::<Crl>(&row_of(&name)).await?);
        }
        Ok(Revoked(all))
    }

    pub(super) fn holds(&self, facts: &Facts) -> bool {
        let issuer = hex::encode(&facts.issuer);
        let key = hex::encode(&facts.authority_key_id);
        let serial = hex::encode(&facts.serial);
        self.0.iter().any(|crl| {
            let same = crl.issuer == issuer || (!key.is_empty() && crl.key == key);
            same && crl.serials.contains(&serial)
        })
    }
}

impl Crl {
    fn parse(text: &str) -> Result<Crl, Fault> {
        let der = CertificateRevocationListDer::from_pem_slice(text.as_bytes())
            .map_err(|_| Fault::invalid("crl: expected a revocation list in PEM (X509 CRL)"))?;
        Crl::read(&der)
    }

    fn read(der: &[u8]) -> Result<Crl, Fault> {
        let unreadable = || Fault::invalid("crl: it is no valid revocation list");
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| unreadable())?;
        if !rest.is_empty() {
            return Err(unreadable());
        }
        let mut serials = BTreeSet::new();
        for revoked in list.iter_revoked_certificates() {
            let mut extensions = revoked.extensions().iter();
            if extensions.any(|extension| extension.oid.to_id_string() == CERTIFICATE_ISSUER) {
                return Err(Fault::invalid(
                    "crl: indirect lists, which name certificates of other issuers, are not supported",
                ));
            }
            serials.insert(hex::encode(significant(revoked.raw_serial())));
        }
        if serials.len() > SERIALS_MAX {
            return Err(Fault::invalid(format!(
                "crl: the list names more than {SERIALS_MAX} certificates; split it by issuer"
            )));
        }
        let key = list.extensions().iter().find_map(|extension| {
            let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else {
                return None;
            };
            Some(hex::encode(id.key_identifier.as_ref()?.0))
        });
        Ok(Crl {
            issuer: hex::encode(list.issuer().as_raw()),
            key: key.unwrap_or_default(),
            serials,
            source: None,
        })
    }

    /// The list that is there now. Over plain http it has to be signed by one of these.
    async fn fetch(
        outbound: &Outbound,
        url: &Url,
        now: i64,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Crl, String> {
        let request = Request::get(url.clone()).accept("application/pkix-crl");
        let answer = outbound.send(&Trust::System, request).await;
        let body = answer.and_then(Answer::success);
        let body = body.map_err(|failure| failure.to_string())?;
        let der = match CertificateRevocationListDer::from_pem_slice(&body) {
            Ok(der) => der.to_vec(),
            Err(_) => body.to_vec(),
        };
        let mut list = Crl::read(&der).map_err(|fault| fault.to_string())?;
        let signed = |one: &CertificateDer<'_>| list.is_of(one) && vouches_for(one, &der);
        if !url.is_tls() && !authorities.iter().any(signed) {
            return Err(
                "it came over plain http, and no certificate of a role has signed it".into(),
            );
        }
        let valid_until = valid_until(&der);
        let due = now.saturating_add(FRESH);
        list.source = Some(Source {
            url: url.clone(),
            valid_until,
            due: match valid_until > now {
                true => due.min(valid_until),
                false => due,
            },
        });
        Ok(list)
    }

    fn is_of(&self, authority: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(authority)
            .is_ok_and(|(_, parsed)| hex::encode(parsed.subject().as_raw()) == self.issuer)
    }

    /// By serial number in decimal, as clients know it.
    fn show(&self) -> Map<String, Value> {
        let decimal = |serial: &String| {
            let bytes = hex::decode(serial).unwrap_or_default();
            x509_parser::num_bigint::BigUint::from_bytes_be(&bytes).to_string()
        };
        let serials = self.serials.iter();
        serials.map(|serial| (decimal(serial), json!({}))).collect()
    }
}

fn valid_until(der: &[u8]) -> i64 {
    let parsed = CertificateRevocationList::from_der(der).ok();
    let until = parsed.and_then(|(_, list)| Some(list.next_update()?.timestamp()));
    until.unwrap_or(0)
}

fn row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    Ok(row_of(RoleName::parse(ctx.param("name"))?.as_str()))
}

fn row_of(name: &str) -> String {
    format!("crl/{name}")
}

/// Every authority of every role.
async fn authorities(view: &mut View<'_>) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut all = Vec::new();
    for name in view.list("role").await? {
        if let Some(role) = view.get::<Role>(&format!("role/{name}")).await? {
            all.extend(role.certificates()?);
            all.extend(role.ocsp.authorities());
        }
    }
    Ok(all)
}

/// Whether any list is due.
pub(super) async fn is_any_due(now: i64, view: &mut View<'_>) -> Result<bool, Fault> {
    Ok(!due(now, view).await?.is_empty())
}

async fn due(now: i64, view: &mut View<'_>) -> Result<Vec<(String, Arc<Crl>)>, Fault> {
    let mut due = Vec::new();
    for name in view.list("crl").await? {
        let list: Option<Arc<Crl>> = view.get_shared(&row_of(&name)).await?;
        let is_due = |list: &Arc<Crl>| list.source.as_ref().is_some_and(|from| from.due <= now);
        due.extend(list.filter(is_due).map(|list| (name, list)));
    }
    Ok(due)
}

/// Lists that were due, as they are now.
#[derive(Default)]
pub(super) struct Fresh(Vec<(String, Crl)>);

impl Fresh {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The lists that were due, as they are now. One that cannot be had stays as it is for a while.
pub(super) async fn refresh(
    outbound: &Outbound,
    now: i64,
    view: &mut View<'_>,
) -> Result<Fresh, Fault> {
    let due = due(now, view).await?;
    if due.is_empty() {
        return Ok(Fresh::default());
    }
    let authorities = authorities(view).await?;
    let mut fresh = Vec::new();
    for (name, old) in due {
        let mut old = Crl::clone(&old);
        let Some(source) = &mut old.source else {
            continue;
        };
        let list = match Crl::fetch(outbound, &source.url, now, &authorities).await {
            Ok(list) => list,
            Err(why) => {
                tracing::warn!(
                    crl = name,
                    why,
                    "a revocation list was not fetched: the old one holds"
                );
                source.due = now.saturating_add(PAUSE);
                old
            }
        };
        fresh.push((name, list));
    }
    Ok(Fresh(fresh))
}

impl Keep for Fresh {
    type Kept = ();

    /// Unless a list was replaced or deleted meanwhile.
    async fn keep(&self, view: &mut View<'_>) -> Result<(), Fault> {
        for (name, list) in &self.0 {
            let stored: Option<Crl> = view.get(&row_of(name)).await?;
            let url = |list: &Crl| list.source.as_ref().map(|source| source.url.clone());
            if stored.is_some_and(|stored| url(&stored) == url(list)) {
                view.put(&row_of(name), list).await?;
            }
        }
        Ok(())
    }
}

/// The list behind the URL of the request, if it has one.
pub(super) async fn fetched(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outbound: &Outbound,
) -> Result<Option<Crl>, Fault> {
    let Some(url) = ctx.body().string("url")?.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    if ctx.body().has("crl") {
        return Err(Fault::invalid("only one of 'crl' or 'url' can be provided"));
    }
    let wrong = |why: String| Fault::invalid(format!("url: {why}"));
    let url = Url::parse(&url).map_err(|failure| wrong(failure.to_string()))?;
    let authorities = authorities(view).await?;
    let list = Crl::fetch(outbound, &url, ctx.now().as_second(), &authorities).await;
    list.map(Some).map_err(wrong)
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list(view.list("crl").await?)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let crl: Crl = view.get(&row(ctx)?).await?.ok_or(Fault::Missing)?;
    let cdp = crl.source.as_ref().map(|source| {
        let until = Timestamp::from_second(source.valid_until).unwrap_or_default();
        json!({"url": source.url, "valid_until": until.to_string()})
    });
    Ok(Reply::json(json!({"cdp": cdp, "serials": crl.show()})))
}

pub(super) async fn write(
    ctx: &Ctx<'_>,
    fetched: Option<&Crl>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let row = row(ctx)?;
    match fetched {
        Some(list) => view.put(&row, list).await?,
        None if ctx.body().has("crl") => {
            let list = Crl::parse(&ctx.body().required("crl")?)?;
            view.put(&row, &list).await?;
        }
        None => return Err(Fault::invalid("one of 'crl' or 'url' must be provided")),
    }
    Ok(Reply::none())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&row(ctx)?).await?;
    Ok(Reply::none())
}
