//! Which servers are trusted, and how the client proves itself.
//!
//! Promises: the provider is passed explicitly, so the app's own choice is
//! neither used nor changed; a given CA replaces the system's. Does not
//! promise anything once verification was switched off.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Error;

/// Which certificate authorities vouch for the server.
#[derive(Clone, Default)]
pub(crate) enum Trust {
    /// Those of the operating system.
    #[default]
    System,
    /// Only these.
    Only(Vec<CertificateDer<'static>>),
    /// Anything at all.
    Anything,
}

/// The client's own certificate and key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            Error::Config(
                "the client key is not a PEM private key; give PKCS#8, PKCS#1 or SEC1".into(),
            )
        })?;
        Ok(Self {
            chain: certificates(chain, "the client certificate")?,
            key,
        })
    }
}

/// All certificates of a PEM text. `what` names it in errors.
pub(crate) fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Config(format!("{what} is not valid PEM")))?;
    if found.is_empty() {
        return Err(Error::Config(format!("{what} holds no certificate")));
    }
    Ok(found)
}

/// All certificates of the files of a folder (`VAULT_CAPATH`).
pub(crate) fn certificates_of_folder(folder: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |cause| {
        Error::Config(format!(
            "cannot read the CA folder {}: {cause}",
            folder.display()
        ))
    };
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = file.map_err(unreadable)?.path();
        // A CA folder also holds other things; only readable PEM counts.
        if let Ok(pem) = std::fs::read(&path) {
            found.extend(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        }
    }
    if found.is_empty() {
        return Err(Error::Config(format!(
            "the CA folder {} holds no certificate",
            folder.display()
        )));
    }
    Ok(found)
}

pub(crate) fn client_config(
    trust: Trust,
    identity: Option<Identity>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = |cause: rustls::Error| Error::Config(format!("TLS cannot be set up: {cause}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(config)?;
    let builder = match trust {
        Trust::System => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(
                rustls_platform_verifier::Verifier::new(provider).map_err(config)?,
            )),
        Trust::Only(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(authority).map_err(config)?;
            }
            builder.with_root_certificates(roots)
        }
        Trust::Anything => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider))),
    };
    match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(config),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// Accepts every certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
