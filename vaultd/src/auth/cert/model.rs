//! What the cert method stores.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::matching::Conditions;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;

/// A role: which certificates it trusts, what they must say, what token they get.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    /// PEM, as it was given.
    pub certificate: String,
    pub display_name: String,
    pub conditions: Conditions,
    /// Object identifiers of extensions that are shown with the token.
    pub metadata_extensions: Vec<String>,
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

/// The settings of a mount. The sizes of caches are kept for clients that read them back: nothing is
/// cached here.
#[derive(Serialize, Deserialize)]
pub(super) struct Config {
    /// Renew tokens over connections with another certificate, or none.
    pub disable_binding: bool,
    pub alias_metadata: bool,
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
            ocsp_cache_size: 100,
            role_cache_size: 200,
        }
    }
}
