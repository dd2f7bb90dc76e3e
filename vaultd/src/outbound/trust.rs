//! Which servers are believed to be who they say they are.
//!
//! Certificates that were given replace the system's. One of them may be the server's own: it is
//! believed for its names while it is valid, even if it calls itself a CA (RFC 5280 would refuse
//! that, but self-signed servers have such certificates).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::{Failure, TlsRules};

/// Which certificate authorities vouch for a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those of the operating system.
    #[default]
    System,
    /// Only these.
    Only(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// The certificates of a PEM text; the system's if the text is empty.
    pub fn from_pem(pem: &str) -> Result<Trust, Failure> {
        if pem.trim().is_empty() {
            return Ok(Trust::System);
        }
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        match found {
            Ok(found) if !found.is_empty() && found.iter().all(is_certificate) => {
                Ok(Trust::Only(found))
            }
            _ => Err(Failure::Authority),
        }
    }

    /// For these protocols over TLS (RFC 7301); none if the server need not choose.
    pub(super) fn config(
        &self,
        rules: &TlsRules,
        protocols: &[&[u8]],
    ) -> Result<Arc<ClientConfig>, Failure> {
        let failed = |error: Error| Failure::Tls(error.to_string());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Trust::System => Arc::new(
                rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(failed)?,
            ),
            Trust::Only(given) => Arc::new(Given::new(given, &provider)),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&rules.versions())
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &rules.own {
            Some(own) => {
                let own = SingleCertAndKey::from(Arc::clone(own));
                builder.with_client_cert_resolver(Arc::new(own))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn is_certificate(der: &CertificateDer<'static>) -> bool {
    X509Certificate::from_der(der).is_ok()
}

/// Believes what the given certificates vouch for, and themselves.
#[derive(Debug)]
struct Given {
    given: Vec<CertificateDer<'static>>,
    /// `None` if none of them can vouch for others.
    chains: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Given {
    fn new(given: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Given {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(given.iter().cloned());
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Given {
            given: given.to_vec(),
            chains: builder.build().ok(),
            provider: Arc::clone(provider),
        }
    }
}

fn check_itself(
    cert: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let bad = |why| Error::InvalidCertificate(why);
    let (_, parsed) =
        X509Certificate::from_der(cert).map_err(|_| bad(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
        .ok_or_else(|| bad(CertificateError::Expired))?;
    match parsed.validity() {
        validity if now < validity.not_before => Err(bad(CertificateError::NotValidYet)),
        validity if now > validity.not_after => Err(bad(CertificateError::Expired)),
        _ => rustls::client::verify_server_name(&ParsedCertificate::try_from(cert)?, name),
    }
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.given.iter().any(|given| given == cert) {
            check_itself(cert, name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(cert, chain, name, ocsp, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
