//! Revocation lists (RFC 5280, 5), stored as an operator gave them. Whoever may write them is trusted:
//! their signatures are not checked, and they hold until they are replaced.

use std::collections::BTreeSet;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use x509_parser::asn1_rs::FromDer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::CertificateRevocationList;

use super::certificate::{Facts, significant};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// What fits into one row.
const SERIALS_MAX: usize = 15_000;

/// The extension by which an entry names another issuer.
const CERTIFICATE_ISSUER: &str = "2.5.29.29";

/// One list.
#[derive(Serialize, Deserialize)]
struct Crl {
    /// Name of the issuer and identifier of its key, in hex.
    issuer: String,
    key: String,
    /// In hex, without leading zeros.
    serials: BTreeSet<String>,
}

/// Every list of a mount.
#[derive(Default)]
pub(super) struct Revoked(Vec<Crl>);

impl Revoked {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Revoked, Fault> {
        let mut all = Vec::new();
        for name in view.list("crl").await? {
            all.extend(view.get::<Crl>(&format!("crl/{name}")).await?);
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
        let unreadable = || Fault::invalid("crl: the PEM holds no valid revocation list");
        let (rest, list) = CertificateRevocationList::from_der(&der).map_err(|_| unreadable())?;
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
        })
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

fn row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    Ok(format!(
        "crl/{}",
        RoleName::parse(ctx.param("name"))?.as_str()
    ))
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list(view.list("crl").await?)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let crl: Crl = view.get(&row(ctx)?).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({ "serials": crl.show() })))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = row(ctx)?;
    if ctx.body().has("url") {
        return Err(Fault::invalid(
            "url: revocation lists are not fetched here; give the list itself as PEM in crl",
        ));
    }
    let crl = Crl::parse(&ctx.body().required("crl")?)?;
    view.put(&row, &crl).await?;
    Ok(Reply::none())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&row(ctx)?).await?;
    Ok(Reply::none())
}
