//! Issuers: certificates of authorities, with the keys that they sign with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::{PrivateKey, Random, pem, uuid_v4};
use vault_x509::{Facts, Hash, NameConstraints, Signer, Urls};

use super::key::Key;
use super::settings::{Cluster, Places};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::name;

pub(super) const FOLDER: &str = "issuer";
pub(super) const CONFIG: &str = "config/issuers";
/// Of one chain, so that a circle of cross-signatures ends.
pub(super) const CHAIN_MAX: usize = 10;

/// What happens to a certificate that would outlive its issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outliving {
    #[default]
    Err,
    Truncate,
    Permit,
}

impl Outliving {
    fn name(self) -> &'static str {
        match self {
            Outliving::Err => "err",
            Outliving::Truncate => "truncate",
            Outliving::Permit => "permit",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Outliving, Fault> {
        match text {
            "" | "err" | "always_enforce_err" => Ok(Outliving::Err),
            "truncate" => Ok(Outliving::Truncate),
            "permit" => Ok(Outliving::Permit),
            _ => Err(Fault::invalid(
                "unknown leaf_not_after_behavior: use err, truncate or permit",
            )),
        }
    }
}

/// What an issuer may be used for.
pub(super) const USAGES: [&str; 4] = [
    "read-only",
    "issuing-certificates",
    "crl-signing",
    "ocsp-signing",
];

#[derive(Serialize, Deserialize)]
pub(super) struct Issuer {
    pub id: String,
    pub name: String,
    /// Empty if only the certificate is known.
    pub key_id: String,
    /// DER in base64.
    certificate: String,
    /// Ids, itself first; empty to let them be found.
    #[serde(default)]
    pub manual_chain: Vec<String>,
    #[serde(default)]
    pub outliving: Outliving,
    #[serde(default)]
    pub usages: Vec<String>,
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// In place of the mount's.
    #[serde(default)]
    pub places: Option<Places>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Config {
    pub default: String,
    #[serde(default)]
    pub follows_latest: bool,
}

pub(super) fn row(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

/// What a certificate in DER says.
pub(super) fn facts(der: &[u8]) -> Result<Facts, Fault> {
    Facts::from_der(der).map_err(|error| Fault::invalid(error.to_string()))
}

pub(super) fn certificate_pem(der: &[u8]) -> String {
    pem::write("CERTIFICATE", der, 64).trim_end().to_owned()
}

impl Issuer {
    pub(super) fn new(der: &[u8], key_id: &str, name: String, random: &dyn Random) -> Issuer {
        Issuer {
            id: uuid_v4(random),
            name,
            key_id: key_id.to_owned(),
            certificate: STANDARD.encode(der),
            manual_chain: Vec::new(),
            outliving: Outliving::Err,
            usages: USAGES.map(str::to_owned).to_vec(),
            revoked_at: None,
            places: None,
        }
    }

    pub(super) fn der(&self) -> Result<Vec<u8>, Fault> {
        STANDARD
            .decode(&self.certificate)
            .map_err(|_| Fault::Internal("a stored certificate is no base64"))
    }

    pub(super) fn pem(&self) -> Result<String, Fault> {
        Ok(certificate_pem(&self.der()?))
    }

    pub(super) fn may(&self, usage: &str) -> Result<(), Fault> {
        match self.usages.iter().any(|known| known == usage) {
            true => Ok(()),
            false => Err(Fault::invalid(format!(
                "the issuer's usage does not allow {usage}"
            ))),
        }
    }

    /// The first issuer that can sign is the default one.
    pub(super) async fn store(&self, view: &mut View<'_>, is_new: bool) -> Result<(), Fault> {
        view.put(&row(&self.id), self).await?;
        let mut config: Config = view.get(CONFIG).await?.unwrap_or_default();
        let default = config.default.is_empty() || config.follows_latest;
        if is_new && default && !self.key_id.is_empty() {
            config.default.clone_from(&self.id);
            view.put(CONFIG, &config).await?;
        }
        Ok(())
    }

    pub(super) async fn all(view: &mut View<'_>) -> Result<Vec<Issuer>, Fault> {
        let mut found = Vec::new();
        for id in view.list(FOLDER).await? {
            found.extend(view.get(&row(&id)).await?);
        }
        Ok(found)
    }

    /// By id, by name, or the default one.
    pub(super) async fn named(view: &mut View<'_>, reference: &str) -> Result<Issuer, Fault> {
        if let Some(found) = Issuer::find(view, reference).await? {
            return Ok(found);
        }
        Err(Fault::invalid(match reference {
            "" | "default" => {
                "no default issuer currently configured: generate or import one, or set it in config/issuers"
            }
            _ => "unable to find issuer for reference: no such issuer",
        }))
    }

    pub(super) async fn find(
        view: &mut View<'_>,
        reference: &str,
    ) -> Result<Option<Issuer>, Fault> {
        if matches!(reference, "" | "default") {
            let config: Config = view.get(CONFIG).await?.unwrap_or_default();
            return match config.default.as_str() {
                "" => Ok(None),
                id => Ok(view.get(&row(id)).await?),
            };
        }
        // What holds a slash or a dot at its ends is no name of a row.
        if name::check(reference, "issuer").is_ok()
            && let Some(found) = view.get(&row(reference)).await?
        {
            return Ok(Some(found));
        }
        let all = Issuer::all(view).await?;
        Ok(all
            .into_iter()
            .find(|issuer| issuer.name == reference && !reference.is_empty()))
    }

    /// Its certificate and those above it that are known here.
    pub(super) async fn chain(&self, view: &mut View<'_>) -> Result<Vec<Vec<u8>>, Fault> {
        let mut chain = vec![self.der()?];
        if !self.manual_chain.is_empty() {
            for id in self.manual_chain.iter().skip(1) {
                let issuer: Option<Issuer> = view.get(&row(id)).await?;
                chain.extend(issuer.map(|issuer| issuer.der()).transpose()?);
            }
            return Ok(chain);
        }
        let facts_of = facts(&chain[0])?;
        if facts_of.subject == facts_of.issuer {
            return Ok(chain);
        }
        let mut above = Vec::new();
        for issuer in Issuer::all(view).await? {
            let der = issuer.der()?;
            above.push((facts(&der)?, der));
        }
        while chain.len() < CHAIN_MAX {
            let last = chain.last().cloned().unwrap_or_default();
            let next = above
                .iter()
                .find(|(facts, der)| !chain.contains(der) && facts.signed(&last));
            let Some((facts, der)) = next else {
                break;
            };
            chain.push(der.clone());
            if facts.subject == facts.issuer {
                break;
            }
        }
        Ok(chain)
    }

    /// Ready to sign.
    pub(super) async fn open(self, view: &mut View<'_>) -> Result<Authority, Fault> {
        let key = Key::get(view, &self.key_id)
            .await?
            .ok_or_else(|| Fault::invalid("the issuer has no private key here: it cannot sign"))?;
        let der = self.der()?;
        let chain = self.chain(view).await?;
        let facts = facts(&der)?;
        let mut constraints = Vec::new();
        for der in &chain {
            constraints.push(self::facts(der)?.constraints);
        }
        constraints.retain(|some| !some.is_empty());
        Ok(Authority {
            key: key.open()?,
            key_id: facts.public.id(),
            facts,
            constraints,
            chain,
            der,
            issuer: self,
        })
    }

    pub(super) async fn show(&self, view: &mut View<'_>) -> Result<Map<String, Value>, Fault> {
        let chain = self.chain(view).await?;
        let places = self.places.clone().unwrap_or_default();
        let Value::Object(map) = json!({
            "issuer_id": self.id,
            "issuer_name": self.name,
            "key_id": self.key_id,
            "certificate": self.pem()?,
            "ca_chain": chain.iter().map(|der| certificate_pem(der)).collect::<Vec<_>>(),
            "manual_chain": match self.manual_chain.is_empty() {
                true => Value::Null,
                false => json!(self.manual_chain),
            },
            "leaf_not_after_behavior": self.outliving.name(),
            "usage": self.usages.join(","),
            "revocation_signature_algorithm": "",
            "revoked": self.revoked_at.is_some(),
            "issuing_certificates": places.issuing_certificates,
            "crl_distribution_points": places.crl_distribution_points,
            "delta_crl_distribution_points": places.delta_crl_distribution_points,
            "ocsp_servers": places.ocsp_servers,
            "enable_aia_url_templating": places.enable_templating,
        }) else {
            return Err(Fault::Internal("show an issuer"));
        };
        let mut map = map;
        if let Some(at) = self.revoked_at {
            map.insert("revocation_time".into(), at.as_second().into());
            map.insert("revocation_time_rfc3339".into(), at.to_string().into());
        }
        Ok(map)
    }

    /// The URLs of what it signs.
    pub(super) async fn urls(&self, view: &mut View<'_>) -> Result<Urls, Fault> {
        let cluster = Cluster::load(view).await?;
        match &self.places {
            Some(places) => places.of(&self.id, &cluster),
            None => Places::load(view).await?.of(&self.id, &cluster),
        }
    }
}

/// An issuer that can sign.
pub(super) struct Authority {
    pub issuer: Issuer,
    pub facts: Facts,
    /// Its own and those of all above it.
    pub constraints: Vec<NameConstraints>,
    pub key_id: Vec<u8>,
    pub der: Vec<u8>,
    /// Itself first.
    pub chain: Vec<Vec<u8>>,
    key: PrivateKey,
}

impl Authority {
    pub(super) fn signer(&self, hash: Hash, pss: bool) -> Signer<'_> {
        Signer::new(&self.key, hash, pss)
    }
}

/// The name that a request gives to a new issuer.
pub(super) async fn new_name(body: &Body, view: &mut View<'_>) -> Result<String, Fault> {
    let name = super::name::optional(body, "issuer_name")?;
    let all = Issuer::all(view).await?;
    match !name.is_empty() && all.iter().any(|issuer| issuer.name == name) {
        true => Err(Fault::invalid(
            "issuer_name: another issuer has this name already",
        )),
        false => Ok(name),
    }
}
