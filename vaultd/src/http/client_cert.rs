//! Whether clients are asked for a certificate, and what the handshake makes of it.
//!
//! By default every client may show one and none is judged: the handshake proves only that the client
//! holds the key. Who vouches for it is for the cert method to decide, with the core's clock and roles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

/// Whether a client shows a certificate of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCert {
    /// It is not asked to.
    Never,
    /// It may show any. The file, if there is one, holds the authorities that are named to clients, so
    /// that they know which certificate to show.
    Optional(Option<PathBuf>),
    /// It gets no connection without one that these authorities vouch for.
    Required(PathBuf),
}

impl ClientCert {
    /// From Vault's three keys: `tls_client_ca_file`, `tls_require_and_verify_client_cert` and
    /// `tls_disable_client_certs`.
    pub fn new(authorities: Option<PathBuf>, required: bool, disabled: bool) -> Result<ClientCert> {
        match (authorities, required, disabled) {
            (_, true, true) => bail!(
                "tls_require_and_verify_client_cert and tls_disable_client_certs contradict each other"
            ),
            (None, true, _) => bail!("tls_require_and_verify_client_cert needs tls_client_ca_file"),
            (Some(file), true, _) => Ok(ClientCert::Required(file)),
            (_, _, true) => Ok(ClientCert::Never),
            (file, ..) => Ok(ClientCert::Optional(file)),
        }
    }

    /// `None` asks for nothing.
    pub fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>> {
        match self {
            ClientCert::Never => Ok(None),
            ClientCert::Optional(file) => {
                let hints = match file {
                    Some(file) => authorities(file)?.subjects(),
                    None => Vec::new(),
                };
                let algorithms = provider.signature_verification_algorithms;
                Ok(Some(Arc::new(Unjudged { algorithms, hints })))
            }
            ClientCert::Required(file) => {
                let roots = Arc::new(authorities(file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .with_context(|| format!("client CA {}", file.display()))?;
                Ok(Some(verifier))
            }
        }
    }
}

fn authorities(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let context = || format!("client CA {}", file.display());
    for certificate in CertificateDer::pem_file_iter(file).with_context(context)? {
        roots
            .add(certificate.with_context(context)?)
            .with_context(context)?;
    }
    if roots.is_empty() {
        bail!("{} holds no certificate", file.display());
    }
    Ok(roots)
}

/// Checks that the client holds the key of the certificate that it shows, and nothing else.
#[derive(Debug)]
struct Unjudged {
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Unjudged {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _own: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
