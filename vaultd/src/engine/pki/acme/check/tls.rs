//! tls-alpn-01 (RFC 8737): a certificate that is shown for this protocol only, and TLS to hosts of which
//! nobody knows whose they are.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vault_x509::x509_parser::extensions::{GeneralName, ParsedExtension};
use vault_x509::x509_parser::prelude::{FromDer, X509Certificate};

use super::{Check, Failed, incorrect};
use crate::engine::pki::acme::identifier::Identifier;
use crate::engine::pki::acme::problem::{Kind, Problem};

const ALPN: &[u8] = b"acme-tls/1";
pub(super) const HTTP: &[u8] = b"http/1.1";
/// `id-pe-acmeIdentifier`.
const EXTENSION: &str = "1.3.6.1.5.5.7.1.31";

fn failed(text: &str) -> Failed {
    Problem::new(Kind::Tls, text).into()
}

pub(super) async fn check(check: &Check) -> Result<(), Failed> {
    let host = check.identifier.text();
    let stream = check.guarded.connect(&host, check.tls_port).await?;
    let shown = match &check.identifier {
        Identifier::Dns(name) => name.clone(),
        Identifier::Ip(address) => reversed(*address),
    };
    let stream = connect(stream, &shown, ALPN).await?;
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(ALPN) {
        return Err(incorrect("the host does not take part in acme-tls/1"));
    }
    let certificates = session.peer_certificates().unwrap_or_default();
    match certificates {
        [only] => proves(only, check),
        _ => Err(incorrect("the host shows not exactly one certificate")),
    }
}

/// The name by which an address is asked for (RFC 8738, 6).
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev();
            let nibbles = nibbles.map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

/// RFC 8737, 3.
fn proves(der: &CertificateDer<'_>, check: &Check) -> Result<(), Failed> {
    let Ok(([], certificate)) = X509Certificate::from_der(der) else {
        return Err(incorrect("the host's certificate cannot be parsed"));
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice());
    let is_named = match (names, &check.identifier) {
        (Some([GeneralName::DNSName(name)]), Identifier::Dns(wanted)) => {
            name.eq_ignore_ascii_case(wanted)
        }
        (Some([GeneralName::IPAddress(bytes)]), Identifier::Ip(wanted)) => match wanted {
            IpAddr::V4(address) => *bytes == address.octets(),
            IpAddr::V6(address) => *bytes == address.octets(),
        },
        _ => false,
    };
    if !is_named {
        return Err(incorrect(
            "the host's certificate is not for the identifier alone",
        ));
    }
    let mut extensions = certificate.extensions().iter();
    let found = extensions.find(|found| found.oid.to_id_string() == EXTENSION);
    let digest = check.digest();
    let expected = [&[4, 32][..], &digest].concat();
    let is_right = found.is_some_and(|found| {
        let unparsed = !matches!(found.parsed_extension(), ParsedExtension::ParseError { .. });
        found.critical && unparsed && found.value == expected
    });
    match is_right {
        true => Ok(()),
        false => Err(incorrect(
            "the host's certificate lacks the expected critical acmeIdentifier",
        )),
    }
}

/// TLS with whoever answers.
pub(super) async fn connect(
    stream: TcpStream,
    host: &str,
    protocol: &'static [u8],
) -> Result<TlsStream<TcpStream>, Failed> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| failed("the host has no name for TLS"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[_] = match protocol {
        // Its certificates have a critical extension that the check of TLS 1.2 does not know.
        ALPN => &[&rustls::version::TLS13],
        _ => rustls::DEFAULT_VERSIONS,
    };
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|_| failed("TLS cannot be set up"))?;
    let mut config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connected
        .await
        .map_err(|_| failed("the host does not speak TLS 1.3, or refuses the protocol"))
}

/// Believes everybody to be anybody: only that the certificate's key is there is checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    /// With the key alone: the usual way refuses critical extensions.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        let (_, parsed) = X509Certificate::from_der(cert).map_err(|_| bad())?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_asked_for_backwards() {
        let reversed = |text: &str| reversed(text.parse().unwrap());
        assert_eq!(reversed("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        assert_eq!(
            reversed("2001:db8::1"),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
