//! How TLS is spoken with a server, beside whom we trust: versions, and a certificate of our own.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedProtocolVersion, crypto::aws_lc_rs};
use serde::{Deserialize, Serialize};

use super::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

impl TlsVersion {
    pub fn parse(text: &str) -> Option<TlsVersion> {
        match text {
            "tls12" => Some(TlsVersion::Tls12),
            "tls13" => Some(TlsVersion::Tls13),
            _ => None,
        }
    }
}

/// What both sides have to agree on.
#[derive(Debug, Clone)]
pub struct TlsRules {
    pub oldest: TlsVersion,
    pub newest: TlsVersion,
    /// Shown to servers that want to know who asks.
    pub own: Option<Arc<CertifiedKey>>,
}

impl Default for TlsRules {
    fn default() -> TlsRules {
        TlsRules {
            oldest: TlsVersion::Tls12,
            newest: TlsVersion::Tls13,
            own: None,
        }
    }
}

impl TlsRules {
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let known = [(TlsVersion::Tls12, &TLS12), (TlsVersion::Tls13, &TLS13)];
        let within = |version: &TlsVersion| (self.oldest..=self.newest).contains(version);
        let chosen = known.into_iter().filter(|(version, _)| within(version));
        chosen.map(|(_, known)| known).collect()
    }
}

/// A certificate with its key, which must be its own; both in PEM, the certificate with its chain.
pub fn certified(certificates: &str, key: &str) -> Result<Arc<CertifiedKey>, Failure> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
    let chain = chain.map_err(|_| Failure::OwnCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| Failure::OwnCertificate)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map(Arc::new)
        .map_err(|_| Failure::OwnCertificate)
}
