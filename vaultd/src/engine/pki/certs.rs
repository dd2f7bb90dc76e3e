//! Certificates that were issued, and whether they still count.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::issuer::{self, certificate_pem};
use super::{ends, lists, serial};
use crate::barrier::{Cursor, View};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) const FOLDER: &str = "cert";

/// An issued certificate.
#[derive(Serialize, Deserialize)]
pub(super) struct Issued {
    /// DER in base64.
    certificate: String,
    /// Whose signature it bears; empty if nobody's who is known.
    pub issuer: String,
    pub not_after: Timestamp,
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    #[serde(default)]
    pub reason: u8,
}

pub(super) fn row(serial: &[u8]) -> String {
    format!("{FOLDER}/{}", serial::hex(serial))
}

impl Issued {
    pub(super) fn new(der: &[u8], issuer: &str, not_after: Timestamp) -> Issued {
        Issued {
            certificate: STANDARD.encode(der),
            issuer: issuer.to_owned(),
            not_after,
            revoked_at: None,
            reason: 0,
        }
    }

    pub(super) fn der(&self) -> Result<Vec<u8>, Fault> {
        STANDARD
            .decode(&self.certificate)
            .map_err(|_| Fault::Internal("a stored certificate is no base64"))
    }

    /// A new one, or what has become of one.
    pub(super) async fn store(&self, serial: &[u8], view: &mut View<'_>) -> Result<(), Fault> {
        view.put(&row(serial), self).await?;
        ends::put(self.not_after, serial, self.folder(), view).await
    }

    /// Below what its revocation is stored.
    pub(super) fn folder(&self) -> &str {
        match self.issuer.as_str() {
            "" => "unknown",
            id => id,
        }
    }

    pub(super) async fn get(view: &mut View<'_>, serial: &[u8]) -> Result<Option<Issued>, Fault> {
        Ok(view.get(&row(serial)).await?)
    }
}

/// Names of rows as people know serial numbers.
fn shown(names: Vec<String>) -> Vec<String> {
    let bytes = names.into_iter().filter_map(|name| hex::decode(name).ok());
    bytes.map(|bytes| serial::colons(&bytes)).collect()
}

pub(super) async fn list(ctx: &Ctx<'_>, folder: &str, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut window = ctx.window()?;
    window.after = match window.after {
        Some(after) if !after.is_empty() => Some(serial::hex(&serial::parse(&after)?)),
        after => after,
    };
    Reply::list(shown(view.list_within(folder, &window).await?))
}

pub(super) async fn list_detailed(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let names = ctx.page(view.list(FOLDER).await?)?;
    let mut info = std::collections::BTreeMap::new();
    for name in &names {
        let found: Option<Issued> = view.get(&format!("{FOLDER}/{name}")).await?;
        let Some(found) = found else {
            continue;
        };
        let facts = issuer::facts(&found.der()?)?;
        info.insert(
            serial::colons(&facts.serial),
            json!({
                "expiration": facts.not_after.as_second(),
                "issuer_id": found.issuer,
                "revocation_time": found.revoked_at.map_or(0, Timestamp::as_second),
            }),
        );
    }
    Reply::list_with_info(shown(names), info)
}

/// Those that are stored, and those that are revoked. Reads every name, a page at a time.
pub(super) async fn count(view: &mut View<'_>) -> Result<(usize, usize), Fault> {
    let mut revoked = 0;
    for issuer in view.list(lists::REVOKED).await? {
        let folder = format!("{}/{}", lists::REVOKED, issuer.trim_end_matches('/'));
        revoked += count_in(&folder, view).await?;
    }
    Ok((count_in(FOLDER, view).await?, revoked))
}

async fn count_in(folder: &str, view: &mut View<'_>) -> Result<usize, Fault> {
    let (mut count, mut cursor) = (0, Cursor::default());
    loop {
        match view.page(folder, &mut cursor).await?.len() {
            0 => return Ok(count),
            names => count += names,
        }
    }
}

/// Revoked ones of every issuer.
pub(super) async fn list_revoked(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut all = Vec::new();
    for issuer in view.list(lists::REVOKED).await? {
        let folder = format!("{}/{}", lists::REVOKED, issuer.trim_end_matches('/'));
        all.extend(view.list(&folder).await?);
    }
    ctx.list(shown(all))
}

/// `cert/<serial>`, `cert/ca`, `cert/ca_chain`, `cert/crl`, `cert/delta-crl`.
pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let text = match ctx.param("serial") {
        "ca" => issuer::Issuer::named(view, "default").await?.pem()?,
        "ca_chain" => {
            let issuer = issuer::Issuer::named(view, "default").await?;
            let chain = issuer.chain(view).await?;
            let chain: Vec<String> = chain.iter().map(|der| certificate_pem(der)).collect();
            let chain = chain.join("\n");
            return Ok(Reply::json(json!({
                "certificate": chain,
                "ca_chain": chain,
                "revocation_time": 0,
                "revocation_time_rfc3339": "",
            })));
        }
        "crl" | "unified-crl" => lists::pem("default", lists::Kind::Complete, view).await?,
        "delta-crl" | "unified-delta-crl" => {
            lists::pem("default", lists::Kind::Delta, view).await?
        }
        _ => {
            let serial = serial::parse(ctx.param("serial"))?;
            let found = Issued::get(view, &serial).await?.ok_or(Fault::Missing)?;
            return Ok(Reply::map(show(&found)?));
        }
    };
    Ok(Reply::json(json!({
        "certificate": text,
        "revocation_time": 0,
        "revocation_time_rfc3339": "",
    })))
}

fn show(found: &Issued) -> Result<Map<String, Value>, Fault> {
    let Value::Object(map) = json!({
        "certificate": certificate_pem(&found.der()?),
        "issuer_id": found.issuer,
        "revocation_time": found.revoked_at.map_or(0, Timestamp::as_second),
        "revocation_time_rfc3339": found.revoked_at.map_or(String::new(), |at| at.to_string()),
    }) else {
        return Err(Fault::Internal("show a certificate"));
    };
    Ok(map)
}

/// `cert/<serial>/raw` and `cert/<serial>/raw/pem`.
pub(super) async fn raw(ctx: &Ctx<'_>, pem: bool, view: &mut View<'_>) -> Result<Reply, Fault> {
    let der = match ctx.param("serial") {
        "ca" => issuer::Issuer::named(view, "default").await?.der()?,
        "crl" | "unified-crl" => {
            let der = lists::der("default", lists::Kind::Complete, view).await?;
            return Ok(lists::answer(der, pem));
        }
        text => {
            let found = Issued::get(view, &serial::parse(text)?).await?;
            found.ok_or(Fault::Missing)?.der()?
        }
    };
    Ok(Reply {
        text: Some(match pem {
            true => (
                "application/pem-certificate-chain",
                certificate_pem(&der).into_bytes(),
            ),
            false => ("application/pkix-cert", der),
        }),
        ..Reply::none()
    })
}
