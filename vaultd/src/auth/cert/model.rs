//! What the cert method stores.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::matching::Conditions;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;
use crate::outbound::Url;

/// A role: which certificates it trusts, what they must say, what token they get.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    /// PEM, as it was given.
    pub certificate: String,
    pub display_name: String,
    pub conditions: Conditions,
    /// Object identifiers of extensions that are shown with the token.
    pub metadata_extensions: Vec<String>,
    pub ocsp: Ocsp,
    pub token: TokenParams,
    /// Set through the old name `policies`, which is then shown too.
    pub old_policies: bool,
}

impl Role {
    /// The certificates of the role.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| Fault::Internal("a stored certificate is damaged: write the role again"))
    }
}

/// How responders are asked (RFC 6960).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Ocsp {
    pub enabled: bool,
    /// PEM of who may sign responses besides the issuer, and of issuers that no client sends along.
    pub ca_certificates: String,
    /// Asked instead of those that a certificate names.
    pub servers: Vec<Url>,
    /// What is not known counts as good.
    pub fail_open: bool,
    /// All responders have to agree.
    pub query_all: bool,
    /// After a failure.
    pub retries: u64,
    /// Seconds since a response was made; 0 is any number.
    pub this_update_max_age: u64,
}

impl Ocsp {
    /// The certificates of `ca_certificates`, which were read before they were stored.
    pub fn authorities(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.ca_certificates.as_bytes())
            .filter_map(Result::ok)
            .collect()
    }
}

impl Default for Ocsp {
    fn default() -> Ocsp {
        Ocsp {
            enabled: false,
            ca_certificates: String::new(),
            servers: Vec::new(),
            fail_open: false,
            query_all: false,
            retries: 4,
            this_update_max_age: 0,
        }
    }
}

/// The settings of a mount. The sizes of caches are kept for clients that read them back: nothing is
/// cached here.
#[derive(Serialize, Deserialize)]
pub(super) struct Config {
    /// Renew tokens over connections with another certificate, or none.
    pub disable_binding: bool,
    pub alias_metadata: bool,
    /// A refusal says whose certificate it was.
    #[serde(default)]
    pub metadata_on_failures: bool,
    pub ocsp_cache_size: i64,
    pub role_cache_size: i64,
}

impl Config {
    pub const ROW: &'static str = "config";
}

impl Default for Config {
    fn default() -> Config {
        Config {
            disable_binding: false,
            alias_metadata: false,
            metadata_on_failures: false,
            ocsp_cache_size: 100,
            role_cache_size: 200,
        }
    }
}
